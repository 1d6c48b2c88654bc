import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as Json from "../../src/core/data/Json.ts"
import * as SimNet from "../../src/testing/SimNet.ts"
import type { PipeEnd } from "../../src/testing/VirtualPipe.ts"
import type { Program } from "../../src/testing/VirtualSpawner.ts"
import { initialize } from "./McpPrograms.ts"
import { PATIENCE_MS } from "./Patience.ts"

/** A server with one tool of that name, which answers with its own name. */
const server =
  (name: string): Program =>
  (child) =>
    Effect.gen(function* () {
      while (true) {
        const { id, method } = Json.parseObject(yield* child.readLine) ?? {}
        const result =
          method === "initialize"
            ? { protocolVersion: "2025-11-25", capabilities: { tools: {} } }
            : method === "tools/list"
              ? { tools: [{ name, inputSchema: { type: "object" } }] }
              : { content: [{ type: "text", text: name }] }
        if (id !== undefined) yield* child.writeLine(JSON.stringify({ jsonrpc: "2.0", id, result }))
      }
    }).pipe(Effect.ignore)

/** Requests of the front's client one after the other; what comes unasked between is counted. */
const clientOf = (pipe: PipeEnd) => {
  let asked = 100
  let changes = 0
  const next = Effect.gen(function* () {
    const message = Json.parseObject(yield* pipe.readLine) ?? {}
    if (message["method"] === "notifications/tools/list_changed") changes++
    return message
  })
  const ask = Effect.fnUntraced(function* (method: string, params: Json.JsonObject = {}) {
    const id = ++asked
    yield* pipe.writeLine(JSON.stringify({ jsonrpc: "2.0", id, method, params }))
    while (true) {
      const message = yield* next
      if (message["id"] === id) return message
    }
  })
  const names = Effect.map(ask("tools/list"), (message) => {
    const result = Json.member(message, "result")
    return Json.isObject(result) ? Json.objects(result, "tools").map((tool) => Json.string(tool, "name")) : []
  })
  const changed = Effect.gen(function* () {
    const before = changes
    while (changes === before) yield* next
  })
  const code = (name: string) =>
    Effect.map(ask("tools/call", { name, arguments: {} }), (message) => {
      const error = Json.member(message, "error")
      return Json.isObject(error) ? Json.integer(error, "code") : "answered"
    })
  return { names, changed, code }
}

describe("a front across the simulated network (mcp §6.11)", { timeout: PATIENCE_MS }, () => {
  it.effect(
    "a host that dies keeps its tools listed for ten minutes, its calls end; when it is back, so are they",
    () =>
      SimNet.run({ seed: 31 }, (net) =>
        Effect.gen(function* () {
          const files = yield* net.node("files", { nat: "portRestrictedCone", programs: { say: server("read") } })
          const notes = yield* net.node("notes", { programs: { say: server("write") } })
          const user = yield* net.node("user", { link: { rttMs: 40, loss: 0.01 } })
          for (const host of [files, notes]) {
            yield* net.trust(user, host)
            yield* net.expose(host, { name: "say", command: "say", allow: [user] })
          }
          const pipe = yield* net.front(user, ["files", "notes"])
          yield* initialize(pipe)
          const { changed, code, names } = clientOf(pipe)
          const both = ["files_say__read", "notes_say__write"]
          assert.deepStrictEqual(yield* names, both)
          assert.deepStrictEqual(
            [yield* code("files_say__read"), yield* code("notes_say__write")],
            ["answered", "answered"]
          )

          yield* net.crash(files)
          yield* net.sleep("2 minutes")
          assert.deepStrictEqual(yield* names, both)
          assert.deepStrictEqual(
            [yield* code("files_say__read"), yield* code("notes_say__write")],
            [-31001, "answered"]
          )

          yield* changed
          assert.deepStrictEqual(yield* names, ["notes_say__write"])

          yield* net.restart(files)
          yield* changed
          assert.deepStrictEqual(yield* names, both)
          assert.strictEqual(yield* code("files_say__read"), "answered")
        })
      )
  )
})

import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { HttpClient, HttpClientResponse } from "effect/http"
import { TestClock } from "effect/testing"
import * as HttpUpstream from "../../../../src/actors/mcp/server/HttpUpstream.ts"
import * as Bytes from "../../../../src/core/data/Bytes.ts"
import * as Json from "../../../../src/core/data/Json.ts"
import * as ScriptedServer from "../../../support/ScriptedServer.ts"

/** A session with a server that answers each message as `answer` says; undefined: never. */
const open = Effect.fnUntraced(function* (answer: (message: Json.JsonObject) => string | undefined) {
  const posted: Array<string> = []
  const client = HttpClient.make((request) =>
    Effect.suspend(() => {
      const text = request.body._tag === "Uint8Array" ? Bytes.toUtf8Lossy(request.body.body) : ""
      const message = Json.parseObject(text) ?? {}
      if (request.method === "POST") posted.push(Json.string(message, "method"))
      const said = request.method === "POST" ? answer(message) : undefined
      if (said === undefined) return Effect.never
      const headers = { "content-type": said.startsWith("data:") ? "text/event-stream" : "application/json" }
      const status = said === "" ? 202 : 200
      return Effect.succeed(
        HttpClientResponse.fromWeb(request, new Response(said === "" ? null : said, { status, headers }))
      )
    })
  )
  const child = yield* HttpUpstream.open({
    ...{ client, service: "files", self: "mcp-host", url: "http://127.0.0.1:1/mcp", headers: {} },
    caller: () => ({}),
    mayRepeat: () => false
  })
  const write = (message: object) => child.stdio.write(Bytes.fromUtf8(`${JSON.stringify(message)}\n`))
  return { posted, write, line: ScriptedServer.lines(child.stdio) }
})

const result = (id: string, value: object = {}) => `{"jsonrpc":"2.0","id":${id},"result":${JSON.stringify(value)}}`
const INITIALIZE = { jsonrpc: "2.0", id: 0, method: "initialize", params: {} }

describe("HttpUpstream", () => {
  it.effect("a notification that the server never answers does not hold up what follows", () =>
    Effect.gen(function* () {
      const { line, posted, write } = yield* open(({ id, method }) =>
        method === "notifications/cancelled" ? undefined : id === undefined ? "" : result(JSON.stringify(id))
      )
      yield* write(INITIALIZE)
      yield* line
      const told = yield* Effect.forkChild(
        write({ jsonrpc: "2.0", method: "notifications/cancelled", params: { requestId: 7 } })
      )
      yield* TestClock.adjust("1 minute")
      yield* Fiber.join(told)
      yield* write({ jsonrpc: "2.0", id: 1, method: "ping" })
      assert.strictEqual(yield* line, result("1"))
      assert.deepStrictEqual(posted, ["initialize", "notifications/cancelled", "ping"])
    })
  )

  it.effect("an answer under the same id in another spelling is the answer, and the only one", () =>
    Effect.gen(function* () {
      const { line, write } = yield* open(({ id }) =>
        typeof id === "string" ? result(JSON.stringify(id).replaceAll("/", "\\/")) : result(JSON.stringify(id))
      )
      yield* write({ jsonrpc: "2.0", id: "a/1", method: "tools/list" })
      yield* write({ jsonrpc: "2.0", id: 2, method: "tools/list" })
      assert.deepStrictEqual([yield* line, yield* line], [result('"a\\/1"'), result("2")])
    })
  )
})

import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Queue } from "effect"
import { TestClock } from "effect/testing"
import * as MountProbe from "../../../src/actors/mcp/mount/MountProbe.ts"
import { CannotReach } from "../../../src/actors/mcp/mount/ShimFailure.ts"
import { CannotStart } from "../../../src/actors/mcp/server/Child.ts"
import * as NativeCrypto from "../../../src/core/crypto/NativeCrypto.ts"
import * as Json from "../../../src/core/data/Json.ts"
import * as McpRig from "../../support/McpRig.ts"
import * as ScriptedServer from "../../support/ScriptedServer.ts"

type Answer = (method: string, id: Json.Json) => Json.JsonObject | undefined

/** What a healthy legacy server says. */
const legacy =
  (tools: ReadonlyArray<Json.JsonObject>): Answer =>
  (method) => {
    switch (method) {
      case "initialize":
        return {
          result: {
            protocolVersion: "2025-11-25",
            capabilities: { tools: {} },
            serverInfo: { name: "files", version: "1" }
          }
        }
      case "ping":
        return { result: {} }
      case "tools/list":
        return { result: { tools } }
      case "tools/call":
        return { result: { content: [], isError: true } }
      default:
        return { error: { code: -32601, message: "no" } }
    }
  }

/** Serves as `answer` says; a method without an answer ends the server. */
const scripted = Effect.fnUntraced(function* (answer: Answer) {
  const server = yield* ScriptedServer.make()
  yield* Effect.gen(function* () {
    while (true) {
      const message = Json.parseObject(yield* server.line) ?? {}
      const id = Json.member(message, "id")
      if (id === undefined) continue
      const body = answer(Json.string(message, "method"), id)
      if (body === undefined) yield* server.die
      else yield* server.write(`${JSON.stringify({ jsonrpc: "2.0", id, ...body })}\n`)
    }
  }).pipe(Effect.ignore, Effect.forkScoped)
  return server.child
})

const call = (id: number) => `{"jsonrpc":"2.0","id":${id},"method":"tools/call","params":{"name":"t"}}\n`
const encode = (text: string) => new TextEncoder().encode(text)
/** Everything here is at most seconds away. */
const passing = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.gen(function* () {
    const fiber = yield* Effect.forkChild(effect)
    for (let second = 0; second < 60; second++) yield* TestClock.adjust("1 second")
    return yield* Fiber.join(fiber)
  })

const probe = (rig: McpRig.McpRig, service = "files") =>
  passing(
    MountProbe.run({
      target: { peer: "mcp-host", service },
      dial: rig.stream(2),
      clientInfo: { name: "test", version: "1" }
    })
  ).pipe(Effect.provide(NativeCrypto.layer))

const ECHO = { name: "echo", inputSchema: { type: "object" } }

describe("a service's health", () => {
  it.effect("is told with its tools when the whole way works", () =>
    Effect.gen(function* () {
      const rig = yield* McpRig.make({ services: [McpRig.service("files")], spawn: () => scripted(legacy([ECHO])) })
      const report = yield* probe(rig)

      assert.deepInclude(report, { verdict: "healthy", reason: "", failedAt: undefined, revision: "2025-11-25" })
      assert.lengthOf(report.tools, 1)
      for (const ms of [report.reachMs, report.openMs, report.pingMs, report.listMs]) assert.isDefined(ms)
      assert.strictEqual(rig.keeper().health("files").breaker, "closed")
    })
  )

  it.effect("is never good without tools", () =>
    Effect.gen(function* () {
      const services = [McpRig.service("files"), McpRig.service("none")]
      const none: Answer = (method, id) =>
        method === "initialize"
          ? { result: { protocolVersion: "2025-11-25", capabilities: {}, serverInfo: {} } }
          : legacy([])(method, id)
      const rig = yield* McpRig.make({
        services,
        spawn: ({ name }) => scripted(name === "none" ? none : legacy([]))
      })

      assert.deepInclude(yield* probe(rig), { verdict: "no-tools", reason: "the server lists no tools" })
      assert.deepInclude(yield* probe(rig, "none"), { verdict: "no-tools", reason: "the server offers no tools" })
    })
  )

  it.effect("says where a probe ended: on the way, at the keeper, at the server, at its list", () =>
    Effect.gen(function* () {
      const broken: Answer = (method, id) =>
        method === "tools/list" ? { error: { code: -32603, message: "\u001b[2Jbroken" } } : legacy([])(method, id)
      const rig = yield* McpRig.make({
        services: [McpRig.service("files"), McpRig.service("dead")],
        spawn: ({ name }) => (name === "dead" ? new CannotStart({ detail: "no such file" }) : scripted(broken))
      })

      assert.deepInclude(yield* probe(rig), { verdict: "failing", failedAt: "list", code: -32603, reason: "[2Jbroken" })
      assert.deepInclude(yield* probe(rig, "dead"), { verdict: "failing", failedAt: "open", code: -31001 })
      assert.deepInclude(yield* probe(rig, "unknown"), { verdict: "failing", failedAt: "open", code: -31003 })
      const away = yield* passing(
        MountProbe.run({
          target: { peer: "mcp-host", service: "files" },
          dial: new CannotReach({ kind: "unreachable", detail: "It is away.", isFinal: false }),
          clientInfo: { name: "test", version: "1" }
        })
      ).pipe(Effect.provide(NativeCrypto.layer))
      assert.deepInclude(away, { verdict: "failing", failedAt: "reach", code: -31001, reason: "It is away." })
    })
  )

  it.effect("calls of a service that cannot be started end at once after the third, for all peers; one probes", () =>
    Effect.gen(function* () {
      const starts = yield* Queue.unbounded<void>()
      let works = false
      const rig = yield* McpRig.make({
        services: [McpRig.service("files")],
        spawn: () =>
          Effect.andThen(
            Queue.offer(starts, undefined),
            works ? scripted(legacy([ECHO])) : new CannotStart({ detail: "/secret: no such file" })
          )
      })
      const outcomes: Array<Json.JsonObject> = []
      const ask = Effect.fnUntraced(function* (node: number) {
        const client = yield* rig.client("files", node)
        const lines = ScriptedServer.lines(client)
        yield* client.write(encode(call(outcomes.length)))
        outcomes.push(Json.parseObject(yield* lines) ?? {})
        yield* TestClock.adjust("1 second")
        return outcomes.at(-1) ?? {}
      }, Effect.scoped)

      for (const node of [2, 3, 4]) yield* ask(node)
      assert.strictEqual(yield* Queue.size(starts), 3)
      const refused = Json.member(yield* ask(5), "error")
      assert.strictEqual(yield* Queue.size(starts), 3, "nothing is started for a call that is refused")
      assert.isTrue(Json.isObject(refused))
      if (!Json.isObject(refused)) return
      assert.strictEqual(Json.integer(refused, "code"), -31001)
      assert.match(Json.string(refused, "message"), /keeps failing.*could not be started.*again in \d s/)
      assert.notInclude(JSON.stringify(outcomes), "secret")
      assert.deepInclude(rig.keeper().health("files"), { breaker: "open", refused: 1 })

      works = true
      yield* TestClock.adjust("5 seconds")
      assert.isDefined(Json.member(yield* ask(6), "result"))
      assert.deepInclude(rig.keeper().health("files"), { breaker: "closed", reason: "" })
    }).pipe(Effect.provide(NativeCrypto.layer))
  )

  it.effect("a server that answers is healthy, whatever its tools say of themselves (isError)", () =>
    Effect.gen(function* () {
      const rig = yield* McpRig.make({ services: [McpRig.service("files")], spawn: () => scripted(legacy([ECHO])) })
      const client = yield* rig.client("files")
      const lines = ScriptedServer.lines(client)
      for (let id = 1; id <= 8; id++) {
        yield* client.write(encode(id % 2 === 0 ? call(id) : `{"jsonrpc":"2.0","id":${id},"method":"nothing"}\n`))
        assert.include(yield* lines, id % 2 === 0 ? '"isError":true' : "-32601")
        yield* TestClock.adjust("1 second")
      }
      assert.deepInclude(rig.keeper().health("files"), { breaker: "closed", reason: "" })
    }).pipe(Effect.provide(NativeCrypto.layer))
  )

  it.effect("a mount refuses at once when its peer stays away, and goes on when the way is there again", () =>
    Effect.gen(function* () {
      const rig = yield* McpRig.make({ services: [McpRig.service("files")], spawn: () => scripted(legacy([ECHO])) })
      const client = yield* rig.client("files")
      const lines = ScriptedServer.lines(client)
      yield* rig.connect(false)
      for (let id = 1; id <= 3; id++) {
        yield* client.write(encode(call(id)))
        const answer = yield* Effect.forkChild(lines)
        while (answer.pollUnsafe() === undefined) yield* TestClock.adjust("1 second")
        assert.include(yield* Fiber.join(answer), '"code":-31001')
      }
      yield* client.write(encode(call(4)))
      // No time has passed.
      assert.match(yield* lines, /"code":-31001.*keeps failing.*does not answer/)

      yield* rig.connect(true)
      for (let second = 0; second < 10; second++) yield* TestClock.adjust("1 second")
      yield* client.write(encode(call(5)))
      assert.include(yield* lines, '"isError":true')
    }).pipe(Effect.provide(NativeCrypto.layer))
  )
})

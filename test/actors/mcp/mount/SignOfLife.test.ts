import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Latch, Queue } from "effect"
import { TestClock } from "effect/testing"
import * as InstanceHealth from "../../../../src/actors/mcp/mount/InstanceHealth.ts"
import { MountBoard } from "../../../../src/actors/mcp/mount/MountBoard.ts"
import * as Shim from "../../../../src/actors/mcp/mount/Shim.ts"
import type { ShimSession } from "../../../../src/actors/mcp/mount/ShimSession.ts"
import * as SignOfLife from "../../../../src/actors/mcp/mount/SignOfLife.ts"
import * as NativeCrypto from "../../../../src/core/crypto/NativeCrypto.ts"
import * as Bytes from "../../../../src/core/data/Bytes.ts"
import * as Json from "../../../../src/core/data/Json.ts"
import * as JsonRpcPeek from "../../../../src/protocol/relay/JsonRpcPeek.ts"
import type { Line } from "../../../../src/protocol/relay/LineSplitter.ts"
import * as DuplexPair from "../../../support/DuplexPair.ts"
import * as McpRig from "../../../support/McpRig.ts"
import { NO_MOVES } from "../../../support/NoMoves.ts"
import * as ScriptedServer from "../../../support/ScriptedServer.ts"

const NO_SESSION: ShimSession = {
  epoch: () => assert.fail("no epoch"),
  fromClient: () => Effect.void,
  say: () => Effect.void,
  welcomed: () => Effect.die("not welcomed"),
  fail: () => Effect.void,
  away: Effect.void,
  demand: Latch.makeUnsafe(false),
  settled: Effect.never,
  health: () => assert.fail("no health"),
  over: Effect.never
}
const ECHO = { name: "echo", inputSchema: { type: "object" } }

/** A client of a server that answers `tools/list` with what `listed` says, and is silent where that says nothing. */
const stage = Effect.fnUntraced(function* (listed: { body: Json.JsonObject | undefined }) {
  const heard = yield* Queue.unbounded<Json.JsonObject>()
  const rig = yield* McpRig.make({
    services: [McpRig.service("files")],
    spawn: () =>
      Effect.gen(function* () {
        const server = yield* ScriptedServer.make()
        yield* Effect.gen(function* () {
          while (true) {
            const message = Json.parseObject(yield* server.line) ?? {}
            yield* Queue.offer(heard, message)
            const id = Json.member(message, "id")
            const opened = { result: { protocolVersion: "2025-11-25", capabilities: { tools: {} } } }
            const body = Json.string(message, "method") === "initialize" ? opened : listed.body
            if (id === undefined || body === undefined) continue
            yield* server.write(`${JSON.stringify({ jsonrpc: "2.0", id, ...body })}\n`)
          }
        }).pipe(Effect.ignore, Effect.forkScoped)
        return server.child
      })
  })
  const stdio = yield* DuplexPair.make({})
  const board = new MountBoard()
  const target = { peer: "mcp-host", service: "files" }
  yield* Effect.forkScoped(Shim.run({ client: stdio.right, target, dial: rig.stream(2), board }))
  const send = (message: Json.JsonObject) =>
    stdio.left.write(new TextEncoder().encode(`${JSON.stringify({ jsonrpc: "2.0", ...message })}\n`))
  const line = Effect.map(ScriptedServer.lines(stdio.left), (text) => Json.parseObject(text) ?? {})
  const open = Effect.gen(function* () {
    yield* send({ id: 0, method: "initialize", params: { protocolVersion: "2025-11-25", capabilities: {} } })
    yield* line
    yield* send({ method: "notifications/initialized" })
  })
  /** The sign of the one session, asked for now. */
  const asked = Effect.gen(function* () {
    const asking = yield* Effect.forkChild(board.ask)
    while (asking.pollUnsafe() === undefined) yield* TestClock.adjust("100 millis")
    yield* Fiber.join(asking)
    return board.sessions()[0]?.sign
  })
  return { asked, board, heard, line, open, rig, send }
})

describe("a running mount that is asked how it does", () => {
  it.effect("asks the server over the client's session, and the client hears nothing of it", () =>
    Effect.gen(function* () {
      const { asked, board, heard, line, open, send } = yield* stage({ body: { result: { tools: [ECHO, ECHO] } } })
      assert.isUndefined(yield* asked, "nothing is asked before the client has opened the server")
      yield* open
      const sign = yield* asked
      assert.deepInclude(sign, { verdict: "healthy", tools: 2, reason: "" })
      yield* send({ id: 1, method: "tools/list" })
      assert.strictEqual(Json.member(yield* line, "id"), 1)

      const methods = (yield* Queue.takeAll(heard)).map((message) => Json.string(message, "method"))
      assert.deepStrictEqual(methods, ["initialize", "notifications/initialized", "tools/list", "tools/list"])
      assert.deepInclude(board.sessions()[0], {
        target: "mcp-host/files",
        isConnected: true,
        inFlight: 0,
        breaker: "closed"
      })
    }).pipe(Effect.provide(NativeCrypto.layer))
  )

  it.effect("a server that escapes slashes, as PHP does, has answered all the same", () =>
    Effect.gen(function* () {
      const waiting: Array<string> = []
      const client = {
        read: Effect.never,
        write: (line: Uint8Array) =>
          Effect.sync(() => {
            waiting.push(Bytes.toUtf8Lossy(line))
          }),
        end: Effect.void
      }
      const signs = yield* SignOfLife.make(client, "legacy")
      const answer = (id: string) =>
        Bytes.fromUtf8(`{"jsonrpc":"2.0","id":${id.replaceAll("/", "\\/")},"result":{"tools":[{"name":"echo"}]}}\n`)
      const session = {
        fromClient: (line: Line) =>
          signs.client.write(answer(line._tag === "Whole" ? (JsonRpcPeek.member(line.bytes, ["id"]) ?? "") : ""))
      }
      signs.watch({ ...NO_SESSION, ...session })
      const asked = yield* Effect.forkChild(signs.ask)
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual((yield* Fiber.join(asked))?.verdict, "healthy")

      const moves = { ...NO_MOVES, failing: Effect.void }
      const health = yield* InstanceHealth.make(client, moves)
      yield* health.client.write(answer('"effect-pilot/health-1"'))
      assert.deepStrictEqual(waiting, [])
    })
  )

  it.effect("a server without tools is never healthy", () =>
    Effect.gen(function* () {
      const listed: { body: Json.JsonObject } = { body: { result: { tools: [] } } }
      const { asked, open } = yield* stage(listed)
      yield* open
      assert.deepInclude(yield* asked, { verdict: "no-tools", tools: 0, reason: "the server lists no tools" })
      listed.body = { error: { code: -32601, message: "Method not found" } }
      assert.deepInclude(yield* asked, { verdict: "no-tools", reason: "the server offers no tools" })
      listed.body = { result: { tools: [ECHO], _meta: { "dev.effect-pilot/asOf": "2026-11-30T09:00:00Z" } } }
      assert.deepInclude(yield* asked, { verdict: "failing", tools: 0 }, "a list from memory is no sign of life")
      listed.body = { error: { code: -32603, message: "out of\u001b[31m order" } }
      const failed = yield* asked
      assert.deepInclude(failed, { verdict: "failing", tools: 0 })
      assert.notInclude(failed?.reason ?? "", "\u001b")
    }).pipe(Effect.provide(NativeCrypto.layer))
  )

  it.effect("one that is silent has failed after five seconds, and its late answers are still not the client's", () =>
    Effect.gen(function* () {
      const listed: { body: Json.JsonObject | undefined } = { body: undefined }
      const { asked, board, line, open, send } = yield* stage(listed)
      yield* open
      const sign = yield* asked
      assert.deepInclude(sign, { verdict: "failing", reason: "no answer within 5 s" })
      assert.strictEqual(board.sessions()[0]?.inFlight, 1)
      for (let times = 1; times < 16; times++) yield* asked
      assert.deepInclude(yield* asked, { reason: "earlier questions were not answered" })

      listed.body = { result: { tools: [ECHO] } }
      yield* send({ id: 7, method: "tools/list" })
      assert.strictEqual(Json.member(yield* line, "id"), 7)
    }).pipe(Effect.provide(NativeCrypto.layer))
  )
})

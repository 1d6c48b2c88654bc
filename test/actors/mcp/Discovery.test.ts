import { assert, describe, it } from "@effect/vitest"
import { Effect, Queue, type Scope } from "effect"
import { TestClock } from "effect/testing"
import type { Crypto } from "../../../src/core/crypto/Crypto.ts"
import * as PortableCrypto from "../../../src/core/crypto/PortableCrypto.ts"
import * as McpRig from "../../support/McpRig.ts"
import * as ScriptedServer from "../../support/ScriptedServer.ts"

const station = Effect.gen(function* () {
  const started = yield* Queue.unbounded<ScriptedServer.ScriptedServer>()
  const rig = yield* McpRig.make({
    services: [McpRig.service("files")],
    spawn: () =>
      Effect.map(
        Effect.tap(ScriptedServer.make(), (server) => Queue.offer(started, server)),
        ({ child }) => child
      )
  })
  const client = (node = 2) =>
    Effect.map(rig.client("files", node), (duplex) => ({
      write: (text: string) => duplex.write(new TextEncoder().encode(`${text}\n`)),
      line: ScriptedServer.lines(duplex),
      end: duplex.end
    }))
  return { rig, client, server: Queue.take(started), starts: Queue.size(started) }
})

const DISCOVER = '{"jsonrpc":"2.0","id":"probe","method":"server/discover"}'
const UNKNOWN = '{"jsonrpc":"2.0","id":"probe","error":{"code":-32601,"message":"Method not found"}}'
const CALL = '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"t"}}'

/** A client that asks what the server is, as an official one does before it starts the one it uses. */
const probed = Effect.fnUntraced(function* ({ client, server }: Effect.Success<typeof station>, node = 2) {
  const probe = yield* client(node)
  yield* probe.write(DISCOVER)
  const running = yield* server
  assert.strictEqual(yield* running.line, DISCOVER)
  yield* running.write(`${UNKNOWN}\n`)
  assert.strictEqual(yield* probe.line, UNKNOWN)
  yield* probe.end
  yield* TestClock.adjust("1 second")
  return running
})

const test = (name: string, body: () => Effect.Effect<void, unknown, Crypto | Scope.Scope>) =>
  it.effect(name, () => Effect.provide(body(), PortableCrypto.layer))

describe("server/discover through the keeper", () => {
  test("the server that a client asked is the one that its next session uses (mcp §6.4)", () =>
    Effect.gen(function* () {
      const all = yield* station
      const running = yield* probed(all)
      const next = yield* all.client()
      yield* next.write(DISCOVER)
      assert.strictEqual(yield* next.line, UNKNOWN)
      yield* next.write(CALL)
      assert.strictEqual(yield* running.line, CALL)
      assert.strictEqual(yield* all.starts, 0)
    }))

  test("what is known is answered without a server, until one dies (mcp §6.4)", () =>
    Effect.gen(function* () {
      const all = yield* station
      const running = yield* probed(all)
      yield* TestClock.adjust("11 seconds")
      yield* running.stopped
      const next = yield* all.client()
      yield* next.write(DISCOVER)
      assert.strictEqual(yield* next.line, UNKNOWN)
      assert.strictEqual(yield* all.starts, 0)

      yield* next.write(CALL)
      yield* (yield* all.server).die
      yield* next.line
      const last = yield* all.client()
      yield* last.write(DISCOVER)
      assert.strictEqual(yield* (yield* all.server).line, DISCOVER)
    }))

  test("no other peer gets the answer or the server (mcp §6.9)", () =>
    Effect.gen(function* () {
      const all = yield* station
      yield* probed(all)
      const other = yield* all.client(3)
      yield* other.write(DISCOVER)
      assert.strictEqual(yield* (yield* all.server).line, DISCOVER)
    }))

  test("a server that did anything else is stopped with its session", () =>
    Effect.gen(function* () {
      const all = yield* station
      const first = yield* all.client()
      yield* first.write(DISCOVER)
      const running = yield* all.server
      yield* running.line
      yield* running.write(`${UNKNOWN}\n`)
      yield* first.line
      yield* first.write('{"jsonrpc":"2.0","id":2,"method":"ping"}')
      yield* running.line
      yield* running.write('{"jsonrpc":"2.0","id":2,"result":{}}\n')
      yield* first.line
      yield* first.end
      yield* TestClock.adjust("1 second")
      yield* running.stopped
    }))

  test("a server that dies while it is kept is not given to anybody", () =>
    Effect.gen(function* () {
      const all = yield* station
      const running = yield* probed(all)
      yield* running.die
      yield* TestClock.adjust("1 second")
      const next = yield* all.client()
      yield* next.write(CALL)
      assert.strictEqual(yield* (yield* all.server).line, CALL)
    }))
})

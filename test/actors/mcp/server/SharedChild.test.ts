import { assert, describe, it } from "@effect/vitest"
import { Effect, Queue, type Scope } from "effect"
import { TestClock } from "effect/testing"
import type { Crypto } from "../../../../src/core/crypto/Crypto.ts"
import * as PortableCrypto from "../../../../src/core/crypto/PortableCrypto.ts"
import * as McpRig from "../../../support/McpRig.ts"
import * as ScriptedServer from "../../../support/ScriptedServer.ts"

/** A shared service whose server answers the probe with these revisions. */
const station = Effect.fnUntraced(function* (
  supported: ReadonlyArray<string> = ["2026-07-28"],
  isReading: () => boolean = () => true
) {
  const started = yield* Queue.unbounded<ScriptedServer.ScriptedServer>()
  const rig = yield* McpRig.make({
    services: [{ ...McpRig.service("files"), shared: true }],
    spawn: () =>
      Effect.gen(function* () {
        const server = yield* ScriptedServer.make({ capacity: 2000 })
        yield* Effect.forkScoped(
          Effect.gen(function* () {
            const probe = JSON.parse(yield* server.line)
            assert.strictEqual(probe.method, "server/discover")
            const result = { supportedVersions: supported, capabilities: {} }
            yield* server.write(`${JSON.stringify({ jsonrpc: "2.0", id: probe.id, result })}\n`)
            yield* Queue.offer(started, server)
          })
        )
        const { stdio, ...child } = server.child
        const write = (bytes: Uint8Array) => (isReading() ? stdio.write(bytes) : Effect.never)
        return { ...child, stdio: { ...stdio, write } }
      })
  })
  const client = (node: number) =>
    Effect.map(rig.client("files", node), (duplex) => ({
      write: (text: string) => duplex.write(new TextEncoder().encode(`${text}\n`)),
      line: ScriptedServer.lines(duplex),
      end: duplex.end
    }))
  return { rig, client, server: Queue.take(started), starts: Queue.size(started) }
})

const call = (id: string, token: string) =>
  `{"jsonrpc":"2.0","id":${id},"method":"tools/call","params":{"name":"t","n":1.0,"_meta":{"progressToken":${token}}}}`
const idOf = (line: string): string => JSON.stringify(JSON.parse(line).id)

const test = (name: string, body: () => Effect.Effect<void, unknown, Crypto | Scope.Scope>) =>
  it.effect(name, () => Effect.provide(body(), PortableCrypto.layer))

describe("a shared child", () => {
  test("two clients use one server under the same ids and see nothing of each other (mcp §6.4)", () =>
    Effect.gen(function* () {
      const { client, server, starts } = yield* station()
      const [a, b] = [yield* client(2), yield* client(3)]
      yield* a.write(call("1", "0"))
      const running = yield* server
      const first = yield* running.line
      yield* b.write(call("1", '"0"'))
      const second = yield* running.line
      assert.strictEqual(yield* starts, 0)
      assert.notStrictEqual(idOf(first), idOf(second))
      assert.include(first, '"n":1.0')

      const progress = (id: string) =>
        `{"method":"notifications/progress","params":{"progressToken":${id},"progress":1.0}}`
      yield* running.write(`{"method":"notifications/message","params":{"data":"whose?"}}\n`)
      yield* running.write(`{"method":"notifications/progress","params":{"progressToken":0,"progress":9}}\n`)
      yield* running.write(`${progress(idOf(second))}\n{"id":${idOf(second)},"result":{"x":1.0}}\n`)
      yield* running.write(`${progress(idOf(first))}\n{"id":${idOf(first)},"result":{"x":2.0}}\n`)
      assert.strictEqual(yield* b.line, progress('"0"'))
      assert.strictEqual(yield* b.line, '{"id":1,"result":{"x":1.0}}')
      assert.strictEqual(yield* a.line, progress("0"))
      assert.strictEqual(yield* a.line, '{"id":1,"result":{"x":2.0}}')
    }))

  test("subscriptions are tagged with the id that their client chose (mcp §1.4)", () =>
    Effect.gen(function* () {
      const { client, server } = yield* station()
      const a = yield* client(2)
      yield* a.write('{"jsonrpc":"2.0","id":"listen:0","method":"subscriptions/listen"}')
      const running = yield* server
      const id = idOf(yield* running.line)
      const tagged = (value: string) =>
        `{"method":"x","params":{"_meta":{"io.modelcontextprotocol/subscriptionId":${value}}}}`
      yield* running.write(`${tagged(id)}\n`)
      assert.strictEqual(yield* a.line, tagged('"listen:0"'))
    }))

  test("a client cancels its own call only, and what it leaves behind is cancelled", () =>
    Effect.gen(function* () {
      const { client, server } = yield* station()
      const [a, b] = [yield* client(2), yield* client(3)]
      yield* a.write(call("7", "7"))
      const running = yield* server
      const first = idOf(yield* running.line)
      const cancel = (id: string) => `{"method":"notifications/cancelled","params":{"requestId":${id}}}`
      yield* b.write(cancel("7"))
      yield* b.write(cancel(first))
      yield* b.write(call("8", "8"))
      const second = idOf(yield* running.line)
      yield* a.write(cancel("7"))
      assert.strictEqual(yield* running.line, cancel(first))

      yield* b.end
      yield* TestClock.adjust("12 seconds")
      const { method, params } = JSON.parse(yield* running.line)
      assert.deepStrictEqual([method, JSON.stringify(params.requestId)], ["notifications/cancelled", second])
    }))

  test("a legacy server is not shared: its clients are told that it cannot start (mcp §6.4)", () =>
    Effect.gen(function* () {
      const { client } = yield* station(["2025-11-25"])
      const a = yield* client(2)
      yield* a.write(call("1", "1"))
      assert.strictEqual(JSON.parse(yield* a.line).error.code, -31001)
    }))

  test("a legacy client is told which revision there is (mcp §1.2)", () =>
    Effect.gen(function* () {
      const { client } = yield* station()
      const a = yield* client(2)
      yield* a.write('{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25"}}')
      const { error } = JSON.parse(yield* a.line)
      assert.strictEqual(error.code, -32022)
      assert.deepStrictEqual(error.data, { supported: ["2026-07-28"], requested: "2025-11-25" })
    }))

  test("the server's death is every client's, and the next call starts another", () =>
    Effect.gen(function* () {
      const { client, server } = yield* station()
      const [a, b] = [yield* client(2), yield* client(3)]
      yield* a.write(call("1", "1"))
      const running = yield* server
      yield* running.line
      yield* b.write(call("2", "2"))
      yield* running.line
      yield* running.die
      for (const { line } of [a, b]) assert.strictEqual(JSON.parse(yield* line).error.code, -31002)
      yield* a.write(call("3", "3"))
      yield* b.write(call("4", "4"))
      const next = yield* server
      yield* next.line
      yield* next.line
    }))

  test("one that reads nothing any more stops a moment after its last client, too", () =>
    Effect.gen(function* () {
      let isReading = true
      const { client, server } = yield* station(undefined, () => isReading)
      const a = yield* client(2)
      yield* a.write(call("1", "1"))
      const running = yield* server
      yield* running.line
      yield* a.write(call("2", "2"))
      yield* running.line
      isReading = false
      yield* a.end
      yield* Effect.raceFirst(running.stopped, Effect.forever(TestClock.adjust("1 second")))
      isReading = true
      const b = yield* client(2)
      yield* b.write(call("2", "2"))
      yield* (yield* server).line
    }))

  test("the server stops a moment after its last client", () =>
    Effect.gen(function* () {
      const { client, server } = yield* station()
      const a = yield* client(2)
      yield* a.write(call("1", "1"))
      const running = yield* server
      const id = idOf(yield* running.line)
      yield* running.write(`{"id":${id},"result":{}}\n`)
      yield* a.line
      yield* a.end
      yield* Effect.raceFirst(running.stopped, Effect.forever(TestClock.adjust("1 second")))
    }))
})

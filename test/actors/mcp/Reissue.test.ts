import { assert, describe, it } from "@effect/vitest"
import { Effect, Latch, Queue, Result, type Scope } from "effect"
import { TestClock } from "effect/testing"
import type { Child } from "../../../src/actors/mcp/server/Child.ts"
import type { Crypto } from "../../../src/core/crypto/Crypto.ts"
import * as PortableCrypto from "../../../src/core/crypto/PortableCrypto.ts"
import type * as AuditChain from "../../../src/protocol/relay/AuditChain.ts"
import * as McpRig from "../../support/McpRig.ts"
import * as ScriptedServer from "../../support/ScriptedServer.ts"

/** A host whose one service declares these tools safe; `change` puts something of the test's around the children. */
const station = Effect.fnUntraced(function* (
  safe: ReadonlyArray<string>,
  trustHints = false,
  change: (child: Child) => Child = (child) => child
) {
  const recorded: Array<AuditChain.Call> = []
  const started = yield* Queue.unbounded<ScriptedServer.ScriptedServer>()
  const rules = { tools: [], transparent: false, identify: false, safe, trustHints }
  const rig = yield* McpRig.make({
    services: [{ ...McpRig.service("files"), rules }],
    audit: { sha256: () => new Uint8Array(32), record: (entry) => recorded.push(entry), time: () => "now" },
    spawn: () =>
      Effect.map(
        Effect.tap(ScriptedServer.make(), (server) => Queue.offer(started, server)),
        ({ child }) => change(child)
      )
  })
  const duplex = yield* rig.client("files", 2)
  const line = ScriptedServer.lines(duplex)
  const write = (text: string) => duplex.write(new TextEncoder().encode(`${text}\n`))
  return { recorded, rig, line, write, server: Queue.take(started), starts: Queue.size(started) }
})

const call = (id: number, tool: string) =>
  `{"jsonrpc":"2.0","id":${id},"method":"tools/call","params":{"name":"${tool}"}}`
const answer = (id: number) => `{"jsonrpc":"2.0","id":${id},"result":{}}`
const LIST = '{"jsonrpc":"2.0","id":9,"method":"tools/list"}'

const INITIALIZE = '{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25"}}'
const INITIALIZED = '{"jsonrpc":"2.0","method":"notifications/initialized"}'
const initializeResult = (capabilities: string) =>
  `{"result":{"protocolVersion":"2025-11-25","capabilities":${capabilities}},"jsonrpc":"2.0","id":0}`

/** Opens a legacy session. */
const opened = Effect.fnUntraced(function* ({ line, server, write }: Effect.Success<ReturnType<typeof station>>) {
  yield* write(INITIALIZE)
  const running = yield* server
  yield* running.line
  yield* running.write(`${initializeResult('{"tools":{}}')}\n`)
  yield* line
  yield* write(INITIALIZED)
  yield* running.line
  return running
})

const test = (name: string, body: () => Effect.Effect<void, unknown, Crypto | Scope.Scope>) =>
  it.effect(name, () => Effect.provide(body(), PortableCrypto.layer))

describe("calls that may run twice", () => {
  test("a safe call and a list go on with the next server, an unsafe one ends with -31002 (mcp §6.3)", () =>
    Effect.gen(function* () {
      const { line, recorded, server, write } = yield* station(["read_*"])
      yield* write(call(1, "read_file"))
      yield* write(call(2, "write_file"))
      yield* write(LIST)
      const first = yield* server
      for (let count = 0; count < 3; count++) yield* first.line
      yield* first.die

      const lost = JSON.parse(yield* line)
      assert.strictEqual(lost.id, 2)
      assert.strictEqual(lost.error.code, -31002)
      const second = yield* server
      assert.strictEqual(yield* second.line, call(1, "read_file"))
      assert.strictEqual(yield* second.line, LIST)
      yield* second.write(`${answer(1)}\n${answer(9)}\n`)
      assert.strictEqual(yield* line, answer(1))
      assert.strictEqual(yield* line, answer(9))
      assert.deepStrictEqual(
        recorded.map(({ id, outcome }) => [id, outcome]),
        [
          ["2", "unknown"],
          ["1", "ok"],
          ["9", "ok"]
        ]
      )
    }))

  test("a call that kills every server gets three of them, then -31002", () =>
    Effect.gen(function* () {
      const { line, server, starts, write } = yield* station(["t"])
      yield* write(call(1, "t"))
      for (let life = 0; life < 3; life++) {
        const running = yield* server
        assert.strictEqual(yield* running.line, call(1, "t"))
        yield* running.die
      }
      const { error, id } = JSON.parse(yield* line)
      assert.deepStrictEqual([id, error.code, error.data.retryable], [1, -31002, true])
      assert.strictEqual(yield* starts, 0)
    }))

  test("a legacy server hears the opening before what it is given again (mcp §6.3)", () =>
    Effect.gen(function* () {
      const rig = yield* station(["t"])
      const first = yield* opened(rig)
      yield* rig.write(call(1, "t"))
      yield* rig.write(call(2, "t"))
      yield* first.line
      yield* first.line
      yield* first.die
      const second = yield* rig.server
      assert.strictEqual(yield* second.line, INITIALIZE)
      yield* TestClock.adjust("1 second")
      yield* second.write(`${initializeResult('{"tools":{}}')}\n`)
      assert.strictEqual(yield* second.line, INITIALIZED)
      assert.strictEqual(yield* second.line, call(1, "t"))
      assert.strictEqual(yield* second.line, call(2, "t"))
      yield* second.write(`${answer(2)}\n`)
      assert.strictEqual(yield* rig.line, answer(2))
      assert.strictEqual(yield* rig.starts, 0)
    }))

  test("another kind of server gets no call, and the client has to start anew (mcp §6.3)", () =>
    Effect.gen(function* () {
      const rig = yield* station(["t"])
      const first = yield* opened(rig)
      yield* rig.write(call(1, "t"))
      yield* first.line
      yield* first.die
      const second = yield* rig.server
      assert.strictEqual(yield* second.line, INITIALIZE)
      yield* second.write(`${initializeResult('{"prompts":{}}')}\n`)
      assert.strictEqual(JSON.parse(yield* rig.line).error.code, -31001)
      yield* TestClock.adjust("2 seconds")
      const third = yield* rig.server
      assert.strictEqual(yield* third.line, INITIALIZE)
      yield* third.write(`${initializeResult('{"prompts":{}}')}\n`)
      yield* TestClock.adjust("2 seconds")
      assert.isTrue(Result.isFailure(yield* Effect.result(rig.line)))
    }))

  test("a server that dies while it is opened again is no other kind of server", () =>
    Effect.gen(function* () {
      const rig = yield* station(["t"])
      const first = yield* opened(rig)
      yield* rig.write(call(1, "t"))
      yield* first.line
      yield* first.die
      const second = yield* rig.server
      yield* second.line
      yield* second.die
      assert.strictEqual(JSON.parse(yield* rig.line).error.code, -31001)
      assert.strictEqual((yield* rig.rig.keeper().status).length, 1)
    }))

  test("after the keeper's death the mount sends safe calls again, and no others (mcp §6.3)", () =>
    Effect.gen(function* () {
      const { line, rig, server, write } = yield* station(["read_*"])
      yield* write(call(0, "read_file"))
      const first = yield* server
      yield* first.line
      yield* first.write(`${answer(0)}\n`)
      yield* line
      yield* write(call(1, "read_file"))
      yield* write(call(2, "write_file"))
      yield* first.line
      yield* first.line
      yield* rig.restartKeeper
      yield* TestClock.adjust("1 second")

      const lost = JSON.parse(yield* line)
      assert.deepStrictEqual([lost.id, lost.error.code], [2, -31002])
      const second = yield* server
      assert.strictEqual(yield* second.line, call(1, "read_file"))
      yield* second.write(`${answer(1)}\n`)
      assert.strictEqual(yield* line, answer(1))
    }))

  test("hints of the server count if the owner trusts them, in the keeper and in the mount", () =>
    Effect.gen(function* () {
      const { line, rig, server, write } = yield* station([], true)
      yield* write(LIST)
      const first = yield* server
      yield* first.line
      const tools = '[{"name":"look","annotations":{"readOnlyHint":true}},{"name":"touch"}]'
      yield* first.write(`{"jsonrpc":"2.0","id":9,"result":{"tools":${tools}}}\n`)
      yield* line
      for (const [id, tool] of [
        [1, "look"],
        [2, "touch"]
      ] as const) {
        yield* write(call(id, tool))
        yield* first.line
      }
      yield* first.die
      assert.strictEqual(JSON.parse(yield* line).id, 2)
      const second = yield* server
      assert.strictEqual(yield* second.line, call(1, "look"))
      yield* rig.restartKeeper
      yield* TestClock.adjust("1 second")
      const third = yield* server
      assert.strictEqual(yield* third.line, call(1, "look"))
    }))

  test("a call that was cancelled is not sent again", () =>
    Effect.gen(function* () {
      const { server, starts, write } = yield* station(["t"])
      yield* write(call(1, "t"))
      const first = yield* server
      yield* first.line
      yield* write('{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}')
      yield* first.line
      yield* first.die
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* starts, 0)
      yield* write(call(2, "t"))
      assert.strictEqual(yield* (yield* server).line, call(2, "t"))
    }))

  test("a server that dies while it hears the last of what the one before it knew has the call answered all the same", () =>
    Effect.gen(function* () {
      const taken = Latch.makeUnsafe(true)
      const stage = yield* station([], false, ({ stdio, ...child }) => ({
        ...child,
        stdio: {
          ...stdio,
          write: (bytes) => {
            const isLast = new TextDecoder().decode(bytes).includes("notifications/initialized")
            return isLast ? Effect.andThen(taken.await, stdio.write(bytes)) : stdio.write(bytes)
          }
        }
      }))
      const { line, server, write } = stage
      const first = yield* opened(stage)
      taken.closeUnsafe()
      yield* first.die
      yield* TestClock.adjust("2 seconds")
      yield* write(call(1, "write_file"))
      const second = yield* server
      yield* second.line
      yield* second.write(`${initializeResult('{"tools":{}}')}\n`)
      yield* TestClock.adjust("1 second")
      yield* second.die
      yield* TestClock.adjust("5 seconds")
      yield* taken.open

      const { error, id } = JSON.parse(yield* line)
      assert.deepStrictEqual([id, error.code, error.data.delivered], [1, -31001, false])
      yield* write(call(2, "write_file"))
      const third = yield* server
      yield* third.line
    }))

  test("a call given up before it left is waited for no more, whoever carries it in the end", () =>
    Effect.gen(function* () {
      const host = yield* station([])
      const { line, rig, server, write } = host
      yield* opened(host)
      yield* rig.connect(false)
      yield* write(
        '{"jsonrpc":"2.0","id":5,"method":"tools/call","params":{"name":"slow","_meta":{"progressToken":"t"}}}'
      )
      yield* write('{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":5}}')
      yield* TestClock.adjust("100 millis")
      yield* rig.restartKeeper
      yield* rig.connect(true)
      yield* TestClock.adjust("5 seconds")
      const next = yield* server
      yield* next.line
      yield* next.write(`${initializeResult('{"tools":{}}')}\n`)
      for (const method of ["notifications/initialized", "tools/call", "notifications/cancelled"])
        assert.strictEqual(JSON.parse(yield* next.line).method, method)

      yield* TestClock.adjust("20 seconds")
      yield* write('{"jsonrpc":"2.0","id":6,"method":"ping"}')
      yield* next.line
      yield* next.write(`${answer(6)}\n`)
      assert.strictEqual(yield* line, answer(6))
    }))
})

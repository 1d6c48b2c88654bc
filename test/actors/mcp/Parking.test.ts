import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Queue, Scope } from "effect"
import { TestClock } from "effect/testing"
import * as FrameStream from "../../../src/actors/mcp/FrameStream.ts"
import type { Crypto } from "../../../src/core/crypto/Crypto.ts"
import * as PortableCrypto from "../../../src/core/crypto/PortableCrypto.ts"
import type * as AuditChain from "../../../src/protocol/relay/AuditChain.ts"
import type * as Policy from "../../../src/protocol/relay/Policy.ts"
import { Frame } from "../../../src/protocol/relay/RelayFrame.ts"
import * as McpRig from "../../support/McpRig.ts"
import * as ScriptedServer from "../../support/ScriptedServer.ts"

/** A host whose one service parks calls of `slow*`. */
const station = Effect.fnUntraced(function* (changes: Partial<Policy.Rules> = {}) {
  const recorded: Array<AuditChain.Call> = []
  const started = yield* Queue.unbounded<ScriptedServer.ScriptedServer>()
  const rules = { tools: [], transparent: false, identify: false, safe: ["slow*"], park: true, ...changes }
  const rig = yield* McpRig.make({
    services: [{ ...McpRig.service("files"), rules }],
    audit: { sha256: () => new Uint8Array(32), record: (entry) => recorded.push(entry), time: () => "now" },
    spawn: () =>
      Effect.map(
        Effect.tap(ScriptedServer.make({ capacity: 1024 }), (server) => Queue.offer(started, server)),
        ({ child }) => child
      )
  })
  /** A client in a scope of its own, so that its shim can be killed. */
  const client = Effect.fnUntraced(function* (node = 2, era?: McpRig.EraOptions) {
    const life = yield* Scope.make()
    yield* Effect.addFinalizer(() => Scope.close(life, Exit.void))
    const duplex = yield* Scope.provide(rig.client("files", node, undefined, era), life)
    return {
      line: ScriptedServer.lines(duplex),
      write: (text: string) => duplex.write(new TextEncoder().encode(`${text}\n`)),
      /** Without a word to the keeper. */
      kill: Effect.andThen(rig.connect(false), TestClock.adjust("100 millis")).pipe(
        Effect.andThen(Effect.forkChild(Scope.close(life, Exit.void))),
        Effect.andThen(TestClock.adjust("2 seconds")),
        Effect.andThen(rig.connect(true))
      ),
      // A mount lets calls finish for ten seconds.
      close: duplex.end.pipe(
        Effect.andThen(TestClock.adjust("11 seconds")),
        Effect.andThen(TestClock.adjust("1 second"))
      )
    }
  })
  return { recorded, rig, client, server: Queue.take(started), starts: Queue.size(started) }
})

const call = (id: number, tool = "slow", text = "a", more = "") =>
  `{"jsonrpc":"2.0","id":${id},"method":"tools/call","params":{"name":"${tool}","arguments":{"text":"${text}"}${more}}}`
const answer = (id: number, text = "done") =>
  `{"jsonrpc":"2.0","id":${id},"result":{"content":[{"type":"text","text":"${text}"}]}}`
const cancelled = (id: number, reason?: string) =>
  JSON.stringify({ jsonrpc: "2.0", method: "notifications/cancelled", params: { requestId: id, reason } })
/** A client whose first call it gave up for its time-out, while the server works on it. */
const parked = Effect.gen(function* () {
  const { client, ...rest } = yield* station()
  const { line, write } = yield* client()
  yield* write(call(1))
  const running = yield* rest.server
  yield* running.line
  yield* write(cancelled(1, TIMED_OUT))
  return { ...rest, client, line, write, running }
})
const TIMED_OUT = "McpError: MCP error -32001: Request timed out"
const PING = '{"jsonrpc":"2.0","id":99,"method":"ping"}'
const pinged = '{"jsonrpc":"2.0","id":99,"result":{}}'

const test = (name: string, body: () => Effect.Effect<void, unknown, Crypto | Scope.Scope>) =>
  it.effect(name, () => Effect.provide(body(), PortableCrypto.layer))

describe("parked calls (mcp §6.7)", () => {
  test("a call that its client gave up for its time-out goes on, and the same call waits for its answer", () =>
    Effect.gen(function* () {
      const { line, recorded, running, write } = yield* parked
      yield* write(call(2))
      yield* write(PING)
      // Neither the cancellation nor the second call reaches the server.
      assert.strictEqual(yield* running.line, PING)
      yield* running.write(`${pinged}\n${answer(1)}\n`)
      assert.strictEqual(yield* line, pinged)
      assert.strictEqual(yield* line, answer(2))
      assert.deepStrictEqual(
        recorded.map(({ id, outcome }) => [id, outcome]),
        [
          ["99", "ok"],
          ["1", "ok"],
          ["2", "ok"]
        ]
      )
      // It was given once: now it is asked for again.
      yield* write(call(3))
      assert.strictEqual(yield* running.line, call(3))
    }))

  test("however many other calls are given up meanwhile, a parked one has its end", () =>
    Effect.gen(function* () {
      const { line, recorded, running, write } = yield* parked
      for (let id = 1000; id < 1300; id++) {
        yield* write(call(id, "read"))
        yield* running.line
        yield* write(cancelled(id, TIMED_OUT))
        yield* running.line
      }
      yield* write(call(2))
      yield* TestClock.adjust("1 second")
      yield* running.write(`${answer(1)}\n`)
      assert.strictEqual(yield* line, answer(2))
      assert.deepStrictEqual(
        recorded.filter(({ outcome }) => outcome !== "cancelled").map(({ id, outcome }) => [id, outcome]),
        [
          ["1", "ok"],
          ["2", "ok"]
        ]
      )
    }))

  test("a client that uses the id of a parked call again is never given that one's answer for another call", () =>
    Effect.gen(function* () {
      const { line, running, write } = yield* parked
      yield* write(call(1, "read"))
      assert.strictEqual(JSON.parse(yield* line).error.code, -32600)

      // The same call under the same id is that one.
      yield* write(call(1))
      yield* TestClock.adjust("1 second")
      yield* running.write(`${answer(1)}\n`)
      assert.strictEqual(yield* line, answer(1))
      yield* write(call(1, "read"))
      assert.strictEqual(yield* running.line, call(1, "read"))
      yield* running.write(`${answer(1, "read")}\n`)
      assert.strictEqual(yield* line, answer(1, "read"))
    }))

  test("a parked call that is waited for again, and lost with its server, has its end in the record", () =>
    Effect.gen(function* () {
      const { line, recorded, running, server, write } = yield* parked
      yield* write(call(2))
      yield* TestClock.adjust("1 second")
      yield* running.die
      yield* TestClock.adjust("2 seconds")
      const next = yield* server
      assert.strictEqual(yield* next.line, call(2))
      yield* next.write(`${answer(2)}\n`)
      assert.strictEqual(yield* line, answer(2))
      assert.deepStrictEqual(
        recorded.map(({ id, outcome }) => [id, outcome]),
        [
          ["1", "unknown"],
          ["2", "ok"]
        ]
      )
    }))

  test("a call whose shim was killed goes on; the same call of a new one gets the result, once, before or after its end", () =>
    Effect.gen(function* () {
      const { client, server, starts } = yield* station()
      const first = yield* client()
      yield* first.write(call(1))
      yield* first.write(call(2, "slower"))
      const running = yield* server
      yield* running.line
      yield* running.line
      yield* first.kill
      yield* running.write(`${answer(1)}\n`)
      yield* TestClock.adjust("9 minutes")

      const second = yield* client()
      yield* second.write(call(7))
      assert.strictEqual(yield* second.line, answer(7))
      yield* second.write(call(8, "slower"))
      yield* TestClock.adjust("1 second")
      yield* running.write(`${answer(2, "late")}\n`)
      assert.strictEqual(yield* second.line, answer(8, "late"))
      assert.strictEqual(yield* starts, 0)
    }))

  test("a result on its way to a client that is dead without anybody knowing is not lost (mcp §6.7)", () =>
    Effect.gen(function* () {
      const { client, rig, server } = yield* station()
      const first = yield* client()
      yield* first.write(call(1))
      yield* first.write(call(2, "slower"))
      const running = yield* server
      yield* running.line
      yield* running.line
      yield* rig.stall
      yield* running.write(`${answer(1)}\n`)
      yield* TestClock.adjust("1 minute")
      yield* first.kill

      const second = yield* client()
      yield* second.write(call(7))
      assert.strictEqual(yield* second.line, answer(7))
      // Given, and taken: the next one is a call of its own.
      yield* TestClock.adjust("2 seconds")
      yield* second.write(call(8))
      assert.strictEqual(yield* (yield* server).line, call(8))
    }))

  test("a result that was given to somebody who died with it goes to the next (mcp §6.7)", () =>
    Effect.gen(function* () {
      const { client, rig, server, starts } = yield* station()
      const first = yield* client()
      yield* first.write(call(1))
      const running = yield* server
      yield* running.line
      yield* first.kill
      const second = yield* client()
      yield* second.write(call(2))
      yield* TestClock.adjust("1 second")
      yield* rig.stall
      yield* running.write(`${answer(1)}\n`)
      yield* TestClock.adjust("1 minute")
      yield* second.kill

      const third = yield* client()
      yield* third.write(call(3))
      assert.strictEqual(yield* third.line, answer(3))
      assert.strictEqual(yield* starts, 0)
    }))

  test("a client that says goodbye leaves its parked call running, and its server stops after that", () =>
    Effect.gen(function* () {
      const { client, server } = yield* station()
      const first = yield* client()
      yield* first.write(call(1))
      yield* first.write(call(2, "other"))
      const running = yield* server
      yield* running.line
      yield* running.line
      yield* first.close
      assert.include(yield* running.line, '"notifications/cancelled","params":{"requestId":2}')
      yield* running.write('{"jsonrpc":"2.0","id":5,"method":"elicitation/create","params":{}}\n')
      assert.include(yield* running.line, '"id":5,"error"')
      yield* TestClock.adjust("59 minutes")
      yield* running.write(`${answer(1)}\n`)
      yield* running.stopped

      const second = yield* client()
      yield* second.write(call(3))
      assert.strictEqual(yield* second.line, answer(3))
    }))

  test("an abandoned call may run for an hour", () =>
    Effect.gen(function* () {
      const { client, rig, server } = yield* station()
      const first = yield* client()
      yield* first.write(call(1))
      const running = yield* server
      yield* running.line
      yield* first.close
      assert.lengthOf(yield* rig.keeper().status, 1)
      yield* TestClock.adjust("61 minutes")
      yield* running.stopped
      assert.lengthOf(yield* rig.keeper().status, 0)
    }))

  test("a client that slept until it was given up finds its call under the session that it had", () =>
    Effect.gen(function* () {
      const { rig, server, starts } = yield* station()
      const bytes = new TextEncoder()
      /** A stream of the same mount, which asks what it asked before. */
      const carried = Effect.gen(function* () {
        const duplex = yield* rig.stream(2)
        const stream = FrameStream.make(duplex)
        const hello = { v: 1, session: "0".repeat(32), resumeKey: "k".repeat(43), rx: 0, service: "files", epoch: 0 }
        yield* stream.send(Frame.Hello({ hello }))
        const welcome = yield* stream.next
        assert.isFalse(welcome._tag === "Welcome" && welcome.welcome.resumed)
        yield* stream.send(Frame.Data({ seq: 1, last: true, rel: undefined, payload: bytes.encode(call(1)) }))
        return stream
      })
      const before = yield* carried
      const running = yield* server
      yield* running.line
      yield* before.end
      yield* TestClock.adjust("16 minutes")

      const after = yield* carried
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* starts, 0)
      yield* running.write(`${answer(1)}\n`)
      let frame = yield* after.next
      while (frame._tag !== "Data") frame = yield* after.next
      assert.strictEqual(new TextDecoder().decode(frame.payload), answer(1))
    }))

  test("two calls under one id at the same time park neither, so that no result is kept for the wrong one", () =>
    Effect.gen(function* () {
      const { client, server } = yield* station()
      const first = yield* client()
      yield* first.write(call(1, "slow", "a"))
      yield* first.write(call(1, "slow", "b"))
      const running = yield* server
      yield* running.line
      yield* running.line
      yield* running.write(`${answer(1, "of a")}\n${answer(1, "of b")}\n`)
      yield* TestClock.adjust("1 second")
      yield* first.kill

      const second = yield* client()
      for (const text of ["a", "b"]) yield* second.write(call(2, "slow", text))
      const next = yield* server
      assert.strictEqual(yield* next.line, call(2, "slow", "a"))
      assert.strictEqual(yield* next.line, call(2, "slow", "b"))
    }))

  test("a result waits ten minutes", () =>
    Effect.gen(function* () {
      const { client, server } = yield* station()
      const { line, write } = yield* client()
      yield* write(call(1))
      const running = yield* server
      yield* running.line
      yield* write(cancelled(1))
      yield* write(PING)
      yield* running.line
      yield* running.write(`${answer(1)}\n${pinged}\n`)
      assert.strictEqual(yield* line, pinged)
      yield* TestClock.adjust("601 seconds")
      yield* write(call(2))
      assert.strictEqual(yield* running.line, call(2))
    }))

  test("another peer, another tool, other arguments, another revision and a step of a dialogue are other calls", () =>
    Effect.gen(function* () {
      const { client, running, server, write } = yield* parked
      yield* write(PING)
      yield* running.line
      yield* running.write(`${answer(1)}\n`)

      const others = [
        call(2, "slow2"),
        call(3, "slow", "b"),
        call(4, "slow", "a", ',"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}'),
        call(5, "slow", "a", ',"requestState":"s"')
      ]
      for (const other of others) {
        yield* write(other)
        assert.strictEqual(yield* running.line, other)
      }
      const foreign = yield* client(3)
      yield* foreign.write(call(6))
      const own = yield* server
      assert.strictEqual(yield* own.line, call(6))
      // The progress token says nothing about what is asked.
      yield* write(call(7, "slow", "a", ',"_meta":{"progressToken":7}'))
      yield* write(PING)
      assert.strictEqual(yield* running.line, PING)
    }))

  for (const [name, rules, tool, reason] of [
    ["that its client stopped on purpose", {}, "slow", "The user pressed stop"],
    ["of a tool that the owner does not call safe", {}, "other", TIMED_OUT],
    ["of a tool that only its server calls harmless", { safe: [], trustHints: true }, "hinted", TIMED_OUT],
    ["of a service that does not park", { park: false }, "slow", TIMED_OUT]
  ] as const) {
    test(`a call ${name} is cancelled`, () =>
      Effect.gen(function* () {
        const { client, server } = yield* station(rules)
        const { line, write } = yield* client()
        yield* write('{"jsonrpc":"2.0","id":98,"method":"tools/list"}')
        const running = yield* server
        yield* running.line
        yield* running.write(
          '{"jsonrpc":"2.0","id":98,"result":{"tools":[{"name":"hinted","annotations":{"readOnlyHint":true}}]}}\n'
        )
        yield* line
        yield* write(call(1, tool))
        yield* running.line
        yield* write(cancelled(1, reason))
        assert.include(yield* running.line, "notifications/cancelled")
        yield* write(call(2, tool))
        assert.strictEqual(yield* running.line, call(2, tool))
      }))
  }

  test("two clients that both wait have a call each; one that lost its line gets its own answer, and leaves no copy", () =>
    Effect.gen(function* () {
      const { client, rig, server } = yield* station()
      const first = yield* client()
      const second = yield* client()
      yield* first.write(call(1))
      const one = yield* server
      yield* one.line
      yield* second.write(call(1))
      const two = yield* server
      yield* two.line
      yield* two.write(`${answer(1, "two")}\n`)
      assert.strictEqual(yield* second.line, answer(1, "two"))

      yield* rig.connect(false)
      yield* TestClock.adjust("1 second")
      yield* one.write(`${answer(1, "one")}\n`)
      yield* rig.connect(true)
      yield* TestClock.adjust("6 seconds")
      assert.strictEqual(yield* first.line, answer(1, "one"))
      yield* first.write(call(2))
      assert.strictEqual(yield* one.line, call(2))
    }))

  test("whoever waits for a call whose server dies makes it anew, and a policy applies to each", () =>
    Effect.gen(function* () {
      const quota = { callsPerMinute: 5, concurrent: 100, bytesPerMinute: 1_000_000 }
      const { client, recorded, server } = yield* station({ quota })
      const first = yield* client()
      yield* first.write(call(1))
      yield* first.write(call(9, "other"))
      const running = yield* server
      yield* running.line
      yield* running.line
      yield* first.close
      assert.include(yield* running.line, "notifications/cancelled")
      const second = yield* client()
      yield* second.write(call(2))
      yield* second.write(PING)
      const next = yield* server
      assert.strictEqual(yield* next.line, PING)
      yield* running.die
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual(yield* next.line, call(2))
      yield* second.write(call(3, "slow", "b"))
      const refused = JSON.parse(yield* second.line)
      assert.strictEqual(refused.id, 3)
      assert.isTrue(refused.result.isError)
      yield* next.write(`${answer(2)}\n`)
      assert.strictEqual(yield* second.line, answer(2))
      assert.deepStrictEqual(
        recorded.map(({ decision, id, outcome }) => [id, outcome, decision]),
        [
          ["9", "cancelled", "allow"],
          ["1", "unknown", "allow"],
          ["3", "denied", "quota"],
          ["2", "ok", "allow"]
        ]
      )
    }))

  test("one that waits for a parked call may give up too, and it goes on for the next", () =>
    Effect.gen(function* () {
      const { client, server } = yield* station()
      const { line, write } = yield* client()
      yield* write(call(1))
      const running = yield* server
      yield* running.line
      for (const id of [1, 2, 3]) {
        yield* write(cancelled(id, TIMED_OUT))
        yield* write(call(id + 1))
      }
      yield* write(PING)
      assert.strictEqual(yield* running.line, PING)
      yield* running.write(`${answer(1)}\n`)
      assert.strictEqual(yield* line, answer(4))
    }))

  test("a peer has 64 of them per service, the oldest result gives way; 16 MiB in all", () =>
    Effect.gen(function* () {
      const { client, server } = yield* station()
      const { line, write } = yield* client()
      let running: ScriptedServer.ScriptedServer | undefined
      const parked = Effect.fnUntraced(function* (id: number, text: string) {
        yield* write(call(id, "slow", String(id)))
        running ??= yield* server
        yield* running.line
        yield* write(cancelled(id, TIMED_OUT))
        yield* write(PING)
        assert.strictEqual(yield* running.line, PING)
        yield* running.write(`${answer(id, text)}\n${pinged}\n`)
        yield* line
      })
      for (let id = 1; id <= 65; id++) yield* parked(id, "small")
      const asked = Effect.fnUntraced(function* (id: number, of: number) {
        yield* write(call(id, "slow", String(of)))
        return yield* line
      })
      assert.strictEqual(yield* asked(200, 65), answer(200, "small"))
      assert.strictEqual(yield* asked(201, 2), answer(201, "small"))
      yield* write(call(202, "slow", "1"))
      assert.strictEqual(yield* running?.line ?? Effect.void, call(202, "slow", "1"))

      const large = "x".repeat(6_000_000)
      for (const id of [301, 302, 303]) yield* parked(id, large)
      assert.strictEqual(yield* asked(401, 303), answer(401, large))
      assert.strictEqual(yield* asked(402, 302), answer(402, large))
      yield* write(call(403, "slow", "301"))
      assert.strictEqual(yield* running?.line ?? Effect.void, call(403, "slow", "301"))
    }))

  test("sessions that only parked calls keep make room for others of their peer", () =>
    Effect.gen(function* () {
      const { client, rig, server } = yield* station()
      for (let count = 1; count <= 4; count++) {
        const gone = yield* client()
        yield* gone.write(call(count, "slow", String(count)))
        yield* (yield* server).line
        yield* gone.close
      }
      assert.lengthOf(yield* rig.keeper().status, 4)
      const fifth = yield* client()
      yield* fifth.write(call(9, "slow", "nine"))
      assert.strictEqual(yield* (yield* server).line, call(9, "slow", "nine"))
      assert.lengthOf(yield* rig.keeper().status, 4)
    }))

  test("a peer that may no longer use the service has no parked calls", () =>
    Effect.gen(function* () {
      const { client, rig, server } = yield* station()
      const gone = yield* client()
      yield* gone.write(call(1))
      const running = yield* server
      yield* running.line
      yield* gone.close
      rig.allowed.delete(2)
      yield* rig.keeper().recheck
      yield* TestClock.adjust("2 seconds")
      yield* running.stopped
    }))

  test("the owner says when calls are detached; one that is stopped by its handle is not parked, and the mount's word wins", () =>
    Effect.gen(function* () {
      const { client, server } = yield* station({ detachAfterMs: 5000 })
      const { line, write } = yield* client(2, { isModernOnly: false, detachAfter: "owner" })
      yield* write('{"jsonrpc":"2.0","id":0,"method":"initialize","params":{}}')
      const running = yield* server
      yield* running.line
      yield* running.write('{"jsonrpc":"2.0","id":0,"result":{"protocolVersion":"2025-11-25"}}\n')
      yield* line
      yield* write(call(1))
      yield* running.line
      yield* TestClock.adjust("5 seconds")
      const handle = /handle ([0-9a-f]{32})\./.exec(yield* line)?.[1]
      assert.isDefined(handle)
      yield* write(
        `{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"pilot_fetch_result","arguments":{"handle":"${handle}","cancel":true}}}`
      )
      assert.include(yield* line, "The call is cancelled.")
      assert.include(yield* running.line, "notifications/cancelled")

      const own = yield* client(3, { isModernOnly: false, detachAfter: "never" })
      yield* own.write(call(3))
      const other = yield* server
      yield* other.line
      yield* TestClock.adjust("10 seconds")
      yield* other.write(`${answer(3)}\n`)
      assert.strictEqual(yield* own.line, answer(3))
    }))

  test("a task ends with its mount, and its work does not: the same call through a new mount has the result", () =>
    Effect.gen(function* () {
      const { client, server, starts } = yield* station()
      const meta =
        '"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":' +
        '{"extensions":{"io.modelcontextprotocol/tasks":{}}}}'
      const modern = (id: number) => call(id, "slow", "a", `,${meta}`)
      const first = yield* client(2, { isModernOnly: false, detachAfter: 5000 })
      yield* first.write(modern(1))
      const running = yield* server
      const { id: probe } = JSON.parse(yield* running.line)
      const known = { resultType: "complete", supportedVersions: ["2026-07-28"], capabilities: { tools: {} } }
      yield* running.write(`${JSON.stringify({ jsonrpc: "2.0", id: probe, result: known })}\n`)
      assert.include(yield* running.line, "tools/call")
      for (let at = 0; at < 6; at++) yield* TestClock.adjust("1 second")
      const { taskId } = JSON.parse(yield* first.line).result
      assert.isString(taskId)
      yield* first.close
      const done = `{"content":[],"resultType":"complete"}`
      yield* running.write(`{"jsonrpc":"2.0","id":"dev.effect-pilot/call-1","result":${done}}\n`)
      yield* TestClock.adjust("1 second")

      const second = yield* client(2, { isModernOnly: false, detachAfter: 5000 })
      yield* second.write(
        `{"jsonrpc":"2.0","id":1,"method":"tasks/get","params":{"taskId":${JSON.stringify(taskId)},${meta}}}`
      )
      const { error } = JSON.parse(yield* second.line)
      assert.strictEqual(error.code, -32602)
      assert.include(error.message, "ends with the mount")
      yield* second.write(modern(2))
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(JSON.parse(yield* second.line), { jsonrpc: "2.0", id: 2, result: JSON.parse(done) })
      assert.strictEqual(yield* starts, 0, "by the first server")
    }))
})

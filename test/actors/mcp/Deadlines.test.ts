import { createHash } from "node:crypto"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Queue, type Scope } from "effect"
import { TestClock } from "effect/testing"
import type { Crypto } from "../../../src/core/crypto/Crypto.ts"
import * as PortableCrypto from "../../../src/core/crypto/PortableCrypto.ts"
import type * as AuditChain from "../../../src/protocol/relay/AuditChain.ts"
import type * as Policy from "../../../src/protocol/relay/Policy.ts"
import * as McpRig from "../../support/McpRig.ts"
import * as ScriptedServer from "../../support/ScriptedServer.ts"

/** A host whose one service allows calls a second, and reports ten; or has no rules at all. */
const station = Effect.fnUntraced(function* (rules: Partial<Policy.Rules> | "none" = {}, capacity = 64) {
  const recorded: Array<AuditChain.Call> = []
  const sha256 = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest()
  const started = yield* Queue.unbounded<ScriptedServer.ScriptedServer>()
  const deadlines = [
    { tools: "*", ms: 1000 },
    { tools: "report_*", ms: 10_000 }
  ]
  const own = rules === "none" ? {} : { rules: { tools: [], transparent: false, identify: false, deadlines, ...rules } }
  const rig = yield* McpRig.make({
    services: [{ ...McpRig.service("files"), ...own }],
    audit: { sha256, record: (entry) => recorded.push(entry), time: () => "now" },
    spawn: () =>
      Effect.map(
        Effect.tap(ScriptedServer.make({ capacity }), (server) => Queue.offer(started, server)),
        ({ child }) => child
      )
  })
  const client = (node = 2) =>
    Effect.map(rig.client("files", node), (duplex) => ({
      write: (text: string) => duplex.write(new TextEncoder().encode(`${text}\n`)),
      line: ScriptedServer.lines(duplex)
    }))
  return { recorded, client, server: Queue.take(started) }
})

const call = (id: number | string, tool: string) =>
  `{"jsonrpc":"2.0","id":${JSON.stringify(id)},"method":"tools/call","params":{"name":"${tool}","arguments":{}}}`
const answer = (id: number | string) => `{"jsonrpc":"2.0","id":${JSON.stringify(id)},"result":{}}`
const cancelled = (id: number) => `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":${id}}}`

const test = (name: string, body: () => Effect.Effect<void, unknown, Crypto | Scope.Scope>) =>
  it.effect(name, () => Effect.provide(body(), PortableCrypto.layer))

describe("deadlines of a service (mcp §6.10)", () => {
  test("a call that takes longer is cancelled at the server and answered with -31008, its late answer dropped", () =>
    Effect.gen(function* () {
      const { client, recorded, server } = yield* station()
      const { line, write } = yield* client()
      yield* write(call(1, "read"))
      const running = yield* server
      yield* running.line
      yield* TestClock.adjust("900 millis")
      yield* write(call(2, "read"))
      yield* running.line
      yield* TestClock.adjust("200 millis")

      assert.strictEqual(yield* running.line, cancelled(1))
      const { error, id } = JSON.parse(yield* line)
      assert.strictEqual(id, 1)
      assert.strictEqual(error.code, -31008)
      assert.deepStrictEqual(error.data, { retryable: false, delivered: true, service: "files", peer: "mcp-host" })

      yield* running.write(`${answer(1)}\n${answer(2)}\n`)
      assert.strictEqual(yield* line, answer(2))
      assert.deepStrictEqual(
        recorded.map(({ code, id, outcome }) => [id, outcome, code]),
        [
          ["1", "error", -31008],
          ["2", "ok", undefined]
        ]
      )
    }))

  test("tools by pattern have their own time, and what is no work of a tool has none", () =>
    Effect.gen(function* () {
      const { client, server } = yield* station()
      const { line, write } = yield* client()
      yield* write('{"jsonrpc":"2.0","id":0,"method":"subscriptions/listen"}')
      const running = yield* server
      yield* running.line
      yield* write(call(1, "report_year"))
      yield* running.line
      yield* TestClock.adjust("9 seconds")
      yield* write(call(2, "other"))
      yield* running.line
      yield* TestClock.adjust("1 second")
      const ended = [yield* line, yield* line].map((text) => JSON.parse(text).id)
      assert.sameMembers(ended, [1, 2])
      yield* running.line
      yield* running.line
      yield* running.write(`${answer(0)}\n`)
      assert.strictEqual(yield* line, answer(0))
    }))

  test("an id whose answer the server may still owe is not taken again until it came", () =>
    Effect.gen(function* () {
      const { client, server } = yield* station()
      const { line, write } = yield* client()
      yield* write(call(1, "read"))
      const running = yield* server
      yield* running.line
      yield* TestClock.adjust("1 second")
      yield* running.line
      yield* line
      yield* write(call(1, "read"))
      assert.strictEqual(JSON.parse(yield* line).error.code, -32600)
      yield* write(call("1", "read"))
      assert.strictEqual(yield* running.line, call("1", "read"))
      yield* running.write(`${answer(1)}\n${answer("1")}\n`)
      assert.strictEqual(yield* line, answer("1"))
      yield* write(call(1, "again"))
      assert.strictEqual(yield* running.line, call(1, "again"))
    }))

  test("one that was given up, or answered, or lost with its server, has no second end", () =>
    Effect.gen(function* () {
      const { client, recorded, server } = yield* station()
      const { line, write } = yield* client()
      yield* write(call(1, "read"))
      const running = yield* server
      yield* running.line
      yield* write(cancelled(1))
      yield* running.line
      yield* write(call(2, "read"))
      yield* running.line
      yield* running.write(`${answer(2)}\n`)
      yield* line
      yield* write(call(3, "read"))
      yield* running.line
      yield* running.die
      assert.include(yield* line, "-31002")
      yield* TestClock.adjust("5 seconds")
      yield* write(call(3, "read"))
      const next = yield* server
      assert.strictEqual(yield* next.line, call(3, "read"))
      assert.deepStrictEqual(
        recorded.map(({ outcome }) => outcome),
        ["cancelled", "ok", "unknown"]
      )
    }))

  test("a parked call ends with its time, and leaves no result behind", () =>
    Effect.gen(function* () {
      const { client, recorded, server } = yield* station({ safe: ["report_*"], park: true })
      const { write } = yield* client()
      yield* write(call(1, "report_year"))
      const running = yield* server
      yield* running.line
      yield* write(cancelled(1))
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual(yield* running.line, cancelled(1))
      assert.deepInclude(recorded[0], { outcome: "error", code: -31008 })
      yield* write(call(2, "report_year"))
      assert.strictEqual(yield* running.line, call(2, "report_year"))
    }))

  test("a server that reads nothing any more holds up no deadline", () =>
    Effect.gen(function* () {
      const { client, server } = yield* station({}, 2)
      const { line, write } = yield* client()
      yield* write(call(1, "read"))
      yield* server
      yield* write(call(2, "read"))
      for (let at = 0; at < 3; at++) yield* TestClock.adjust("1 second")
      const ended = [yield* line, yield* line].map((text) => JSON.parse(text))
      assert.deepStrictEqual(
        ended.map(({ error, id }) => [id, error.code]),
        [
          [1, -31008],
          [2, -31008]
        ]
      )
    }))
})

/** In steps, as time passes for a daemon. */
const hours = (count: number) =>
  Effect.forEach(Array.from({ length: count * 6 }), () => TestClock.adjust("10 minutes"), { discard: true })

describe("the ceiling of all calls (mcp §6.7)", () => {
  test("a call that is never answered ends after a day with -31008, without any rule; a subscription does not", () =>
    Effect.gen(function* () {
      const { client, recorded, server } = yield* station("none")
      const { line, write } = yield* client()
      yield* write('{"jsonrpc":"2.0","id":0,"method":"subscriptions/listen"}')
      const running = yield* server
      yield* running.line
      yield* write(call(1, "read"))
      yield* running.line
      yield* hours(23)
      yield* write(call(2, "read"))
      yield* running.line
      yield* hours(1)

      const { error, id } = JSON.parse(yield* line)
      assert.deepStrictEqual([id, error.code], [1, -31008])
      assert.include(error.message, "24 hours")
      assert.deepStrictEqual(error.data, { retryable: false, delivered: true, service: "files", peer: "mcp-host" })
      assert.strictEqual(yield* running.line, cancelled(1))
      assert.deepStrictEqual(
        recorded.map(({ code, outcome }) => [outcome, code]),
        [["error", -31008]]
      )
      yield* running.write(`${answer(1)}\n${answer(2)}\n${answer(0)}\n`)
      assert.deepStrictEqual([yield* line, yield* line], [answer(2), answer(0)])
    }))

  test("calls that wait behind a server that reads nothing end not long after a day too, by the mount", () =>
    Effect.gen(function* () {
      const { client, server } = yield* station("none", 1)
      const { line, write } = yield* client()
      yield* write(call(1, "read"))
      yield* server
      for (const id of [2, 3, 4]) yield* write(call(id, "read"))
      yield* hours(26)
      const ended = [yield* line, yield* line, yield* line, yield* line].map((text) => JSON.parse(text))
      assert.sameMembers(
        ended.map(({ id }) => id),
        [1, 2, 3, 4]
      )
      for (const { error } of ended) assert.strictEqual(error.code, -31008)
    }))
})

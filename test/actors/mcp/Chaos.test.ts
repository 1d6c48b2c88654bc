/** What a relay must survive, one thing after the other and together, in virtual time: every call has its own outcome. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Queue, type Scope } from "effect"
import { TestClock } from "effect/testing"
import type { Crypto } from "../../../src/core/crypto/Crypto.ts"
import * as PortableCrypto from "../../../src/core/crypto/PortableCrypto.ts"
import * as Json from "../../../src/core/data/Json.ts"
import * as McpRig from "../../support/McpRig.ts"
import * as ScriptedServer from "../../support/ScriptedServer.ts"

/** A client of a server that the test drives; what the client reads is kept. */
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
  const duplex = yield* rig.client("files")
  const line = ScriptedServer.lines(duplex)
  const seen: Array<string> = []
  return {
    rig,
    server: Queue.take(started),
    seen,
    line,
    reading: Effect.forkScoped(Effect.forever(Effect.map(line, (text) => seen.push(text)))),
    write: (text: string) => duplex.write(new TextEncoder().encode(text))
  }
})

const call = (id: number, meta = "") =>
  `{"jsonrpc":"2.0","id":${id},"method":"tools/call","params":{"name":"t"${meta === "" ? "" : `,"_meta":${meta}`}}}`
const result = (id: number) => `{"jsonrpc":"2.0","id":${id},"result":{"of":${id}}}`
const step = (index: number) =>
  `{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":${index}}}`

/** Answers each call after as long as `delayMs` says. */
const answering = (server: ScriptedServer.ScriptedServer, delayMs: (id: number) => number) =>
  Effect.gen(function* () {
    while (true) {
      const id = Number(Json.member(Json.parseObject(yield* server.line) ?? {}, "id"))
      yield* Effect.forkScoped(Effect.delay(server.write(`${result(id)}\n`), delayMs(id)))
    }
  }).pipe(Effect.scoped, Effect.ignore, Effect.forkScoped)

const test = (name: string, body: () => Effect.Effect<void, unknown, Crypto | Scope.Scope>) =>
  it.effect(name, () => Effect.provide(body(), PortableCrypto.layer))

describe("the relay under a fault schedule", () => {
  test("200 calls at once over half a minute of streams that are cut every 0.7 s: each has its answer, once (mcp §6.2)", () =>
    Effect.gen(function* () {
      const { reading, rig, seen, server, write } = yield* station
      yield* reading
      for (let id = 1; id <= CALLS; id++) yield* write(`${call(id)}\n`)
      yield* TestClock.adjust("1 millis")
      yield* answering(yield* server, (id) => id * 150)
      let cuts = 0
      for (; seen.length < CALLS && cuts < 100; cuts++) {
        yield* TestClock.adjust("700 millis")
        yield* rig.cut
      }

      assert.isAbove(cuts, 40)
      assert.deepStrictEqual(seen.toSorted(), Array.from({ length: CALLS }, (_, index) => result(index + 1)).toSorted())
    }))

  test("streams that are cut before anything comes are no connection: the calls end, and say so (mcp §6.2)", () =>
    Effect.gen(function* () {
      const { reading, rig, seen, server, write } = yield* station
      yield* reading
      yield* write(`${call(1)}\n${call(2)}\n`)
      yield* TestClock.adjust("1 millis")
      yield* server
      for (let cuts = 0; seen.length < 2 && cuts < 100; cuts++) {
        yield* TestClock.adjust("700 millis")
        yield* rig.cut
      }

      assert.deepStrictEqual(
        seen
          .map((text) => Json.member(Json.parseObject(text) ?? {}, "error"))
          .map((error) => Json.isObject(error) && error["code"]),
        [-31_002, -31_002]
      )
    }))

  test("10,000 notifications reach a slow client in order over streams that are cut, and its call its answer", () =>
    Effect.gen(function* () {
      const { line, rig, server, write } = yield* station
      yield* write(`${call(1)}\n`)
      const running = yield* server
      yield* running.line
      const all = Array.from({ length: NOTIFICATIONS }, (_, index) => step(index))
      const writing = yield* Effect.forkScoped(
        Effect.forEach([...all, result(1)], (text) => running.write(`${text}\n`), { discard: true })
      )
      const seen: Array<string> = []
      const reading = yield* Effect.forkScoped(
        Effect.gen(function* () {
          while (seen.length <= NOTIFICATIONS) {
            seen.push(yield* line)
            if (seen.length % 100 === 0) yield* Effect.sleep("50 millis")
          }
        })
      )
      while (reading.pollUnsafe() === undefined) {
        yield* TestClock.adjust("350 millis")
        yield* rig.cut
      }
      yield* Fiber.join(writing)

      assert.deepStrictEqual(seen, [...all, result(1)])
    }))

  test("a result of 9 MB arrives whole over streams that are cut while it is on its way (mcp §6.2)", () =>
    Effect.gen(function* () {
      const { reading, rig, seen, server, write } = yield* station
      yield* reading
      yield* write(`${call(1)}\n`)
      const running = yield* server
      yield* running.line
      const large = result(1).replace("1}}", `"${"x".repeat(9_000_000)}"}}`)
      yield* Effect.forkScoped(running.write(`${large}\n`))
      // Virtual time stands still meanwhile: what has not arrived after so many turns is on its way.
      for (const turns of [4, 7, 10]) {
        for (let turn = 0; turn < turns; turn++) yield* Effect.yieldNow
        assert.lengthOf(seen, 0)
        yield* rig.cut
      }
      yield* TestClock.adjust("1 second")

      assert.isTrue(seen.length === 1 && seen[0] === large)
    }))

  test("a call of 65 s and one of five minutes have their answers; only one that asked hears signs of life (mcp §6.7)", () =>
    Effect.gen(function* () {
      const { reading, seen, server, write } = yield* station
      yield* reading
      yield* write(`${call(1)}\n${call(2, '{"progressToken":"p"}')}\n${call(3)}\n`)
      yield* TestClock.adjust("1 millis")
      yield* answering(yield* server, (id) => (id === 3 ? 300_000 : 65_000))
      yield* TestClock.adjust("6 minutes")

      const signs = seen.filter((text) => text.includes("notifications/progress"))
      assert.strictEqual(signs.length, 4)
      for (const sign of signs) assert.include(sign, '"progressToken":"p"')
      assert.deepStrictEqual(
        seen.filter((text) => !signs.includes(text)),
        [result(1), result(2), result(3)]
      )
    }))

  test("every fault in turn while calls run: each call has one outcome, and the session goes on", () =>
    Effect.gen(function* () {
      const { reading, rig, seen, server, write } = yield* station
      yield* reading
      yield* write(`${call(1)}\n`)
      yield* TestClock.adjust("1 millis")
      const first = yield* server
      yield* answering(first, () => 400)
      const faults = [
        rig.cut,
        Effect.andThen(rig.connect(false), Effect.void),
        rig.connect(true),
        first.die,
        rig.restartKeeper
      ]
      let id = 1
      for (const fault of faults) {
        for (let count = 0; count < 10; count++) yield* write(`${call(++id)}\n`)
        yield* TestClock.adjust("100 millis")
        yield* fault
        yield* TestClock.adjust("2 seconds")
      }
      yield* Effect.forkScoped(Effect.forever(Effect.flatMap(server, (next) => answering(next, () => 10))))
      yield* TestClock.adjust("1 minutes")
      yield* write(`${call(++id)}\n`)
      yield* TestClock.adjust("5 seconds")

      const outcomes = seen.map((text) => Number(Json.member(Json.parseObject(text) ?? {}, "id")))
      assert.deepStrictEqual(
        outcomes.toSorted((a, b) => a - b),
        Array.from({ length: id }, (_, index) => index + 1)
      )
      assert.strictEqual(seen.at(-1), result(id))
    }))
})

const CALLS = 200
const NOTIFICATIONS = 10_000

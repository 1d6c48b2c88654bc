import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Queue, Scope, Stream } from "effect"
import { TestClock } from "effect/testing"
import * as EdgeExchange from "../../../../src/actors/mcp/edge/EdgeExchange.ts"
import * as Bytes from "../../../../src/core/data/Bytes.ts"
import type { Duplex } from "../../../../src/core/net/Duplex.ts"
import * as DuplexPair from "../../../../src/core/net/DuplexPair.ts"
import * as ScriptedServer from "../../../support/ScriptedServer.ts"

const TARGET = { peer: "mcp-host", service: "files" }

/** An exchange whose way to the server takes a second; `said` is what the server heard, over which session. */
const stage = Effect.gen(function* () {
  const said = yield* Queue.unbounded<{ readonly session: number; readonly id: number; readonly method: string }>()
  const servers: Array<Duplex> = []
  let sessions = 0
  const connect = Effect.gen(function* () {
    yield* Effect.sleep("1 second")
    const session = ++sessions
    const [near, far] = yield* DuplexPair.make
    servers.push(far)
    const hear = Effect.flatMap(ScriptedServer.lines(far), (text) =>
      Queue.offer(said, { session, ...JSON.parse(text) })
    )
    yield* Effect.forkScoped(Effect.ignore(Effect.forever(hear)))
    return near
  })
  const exchange = yield* EdgeExchange.make(connect, TARGET)
  const ask = (id: number) =>
    exchange.ask(Bytes.fromUtf8(`{"jsonrpc":"2.0","id":${id},"method":"tools/call","params":{}}`), {
      ...{ _tag: "Request", id: String(id), method: "tools/call", target: undefined },
      ...{ progressToken: undefined }
    })
  const write = (message: object) =>
    servers.at(-1)?.write(Bytes.fromUtf8(`${JSON.stringify({ jsonrpc: "2.0", ...message })}\n`)) ?? Effect.void
  const end = Effect.suspend(() => servers.at(-1)?.end ?? Effect.void)
  return { ask, said, sessions: () => sessions, write, end }
})

const read = (messages: EdgeExchange.Messages | undefined) =>
  Effect.map(Stream.runCollect(Stream.fromQueue(messages ?? assert.fail("refused"))), (all) =>
    all.map((bytes) => JSON.parse(Bytes.toUtf8(bytes) ?? ""))
  )

describe("EdgeExchange", () => {
  it.effect("requests that come together share the session that the first of them opens", () =>
    Effect.gen(function* () {
      const { ask, said, sessions, write } = yield* stage
      const asking = yield* Effect.forkScoped(Effect.all([ask(7), ask(8)], { concurrency: 2 }))
      yield* TestClock.adjust("5 seconds")
      const [first, second] = yield* Fiber.join(asking)
      assert.strictEqual(sessions(), 1)
      const heard = [yield* Queue.take(said), yield* Queue.take(said)]
      for (const { id } of heard) yield* write({ id, result: { n: id } })
      assert.deepStrictEqual(
        [...(yield* read(first)), ...(yield* read(second))].map(({ id }) => id),
        [7, 8]
      )
    })
  )

  it.effect("clients that leave while the session is being opened leave nothing behind", () =>
    Effect.gen(function* () {
      const { ask, said, write } = yield* stage
      for (let id = 0; id < 300; id++) {
        const own = yield* Scope.make()
        const asking = yield* Effect.forkChild(Scope.provide(ask(id), own), { startImmediately: true })
        yield* Fiber.interrupt(asking)
        yield* Scope.close(own, Exit.void)
      }
      const asking = yield* Effect.forkScoped(ask(7))
      yield* TestClock.adjust("5 seconds")
      const messages = yield* Fiber.join(asking)
      yield* write({ id: (yield* Queue.take(said)).id, result: {} })
      assert.deepInclude((yield* read(messages))[0], { id: 7 })
    })
  )

  it.effect("a client that reads nothing loses its request; it does not stop those of others (mcp §6.8)", () =>
    Effect.gen(function* () {
      const { ask, said, write } = yield* stage
      const asking = yield* Effect.forkScoped(Effect.all([ask(7), ask(8)], { concurrency: 2 }))
      yield* TestClock.adjust("5 seconds")
      const [stuck, other] = yield* Fiber.join(asking)
      const [slow, quick] = [yield* Queue.take(said), yield* Queue.take(said)]
      yield* Effect.forkScoped(
        Effect.gen(function* () {
          for (let progress = 0; progress < 300; progress++) {
            yield* write({ method: "notifications/progress", params: { progressToken: slow.id, progress } })
          }
          yield* write({ id: quick.id, result: {} })
        })
      )
      const reading = yield* Effect.forkScoped(read(other))
      yield* TestClock.adjust("20 seconds")
      assert.deepInclude((yield* Fiber.join(reading))[0], { id: 8 })
      assert.deepInclude(yield* Queue.take(said), { method: "notifications/cancelled" })
      const end = (yield* read(stuck)).at(-1)
      assert.deepStrictEqual([end.id, end.error.code, end.error.data.delivered], [7, -31007, true])
    })
  )

  it.effect("when the session is lost, a client that reads nothing does not keep another from hearing of it", () =>
    Effect.gen(function* () {
      const { ask, end, said, write } = yield* stage
      const asking = yield* Effect.forkScoped(Effect.all([ask(7), ask(8)], { concurrency: 2 }))
      yield* TestClock.adjust("5 seconds")
      const [stuck, other] = yield* Fiber.join(asking)
      const { id: slow } = yield* Queue.take(said)
      // As many as one request may have waiting: there is no room for another.
      for (let progress = 0; progress < 256; progress++) {
        yield* write({ method: "notifications/progress", params: { progressToken: slow, progress } })
      }
      yield* end

      const reading = yield* Effect.forkScoped(read(other))
      yield* TestClock.adjust("1 second")
      assert.isDefined(reading.pollUnsafe())
      const [told] = yield* Fiber.join(reading)
      assert.deepStrictEqual([told.id, told.error.code], [8, -31002])
      yield* TestClock.adjust("10 seconds")
      const given = (yield* read(stuck)).at(-1)
      assert.deepStrictEqual([given.id, given.error.code], [7, -31007])
    })
  )
})

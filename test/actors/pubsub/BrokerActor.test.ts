import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Fiber, Scope } from "effect"
import { TestClock } from "effect/testing"
import * as Bytes from "../../../src/core/data/Bytes.ts"
import type * as EventExtension from "../../../src/protocol/wire/EventExtension.ts"
import * as EventFrame from "../../../src/protocol/wire/EventFrame.ts"
import * as BrokerStage from "../../support/BrokerStage.ts"

type Subscribe = Extract<EventExtension.Offer, { readonly _tag: "Subscribe" }>
const subscribing = (options: Partial<Subscribe> = {}): Subscribe => ({
  _tag: "Subscribe",
  nonce: "n",
  filter: "*",
  consumer: undefined,
  start: { _tag: "Now" },
  policy: "replay",
  ...options
})
const bytes = Bytes.fromUtf8
/** Lets everything happen that happens at once. */
const settle = BrokerStage.turns(100)

describe("BrokerActor", () => {
  it.effect("writes an event to everybody whose filter is its topic or *, never back to its publisher (node §5)", () =>
    Effect.gen(function* () {
      const stage = yield* BrokerStage.make()
      const news = yield* BrokerStage.plain(stage, 2, "news")
      const all = yield* BrokerStage.plain(stage, 3, "*")
      const other = yield* BrokerStage.plain(stage, 4, "other")
      yield* settle

      yield* news.send("news", "first")
      yield* settle
      yield* other.send("news", "second")
      yield* other.send("*", "third")
      yield* settle
      yield* news.send("", "fourth")
      yield* news.send("other", "fifth")

      assert.deepStrictEqual(
        [yield* all.next, yield* all.next, yield* all.next],
        ["news=first", "news=second", "*=third"]
      )
      assert.deepStrictEqual([yield* all.next, yield* all.next], ["=fourth", "other=fifth"])
      assert.strictEqual(yield* news.next, "news=second")
      assert.strictEqual(yield* other.next, "other=fifth")
    })
  )

  it.effect("understands patterns of clients that know no extension, and reports who comes and goes (node §8)", () =>
    Effect.gen(function* () {
      const stage = yield* BrokerStage.make()
      const scope = yield* Scope.make()
      const data = yield* Scope.provide(BrokerStage.plain(stage, 2, "data.*"), scope)
      yield* settle
      yield* stage.broker().publish("data.done", bytes("x"))
      yield* stage.broker().publish("other", bytes("y"))

      assert.strictEqual(yield* data.next, "data.done=x")
      yield* data.connection.close
      yield* settle
      assert.deepStrictEqual(
        stage.reports.map(({ _tag }) => _tag),
        ["EventSubscribed", "EventPublished", "EventPublished", "EventUnsubscribed"]
      )
      assert.deepInclude(stage.reports[0], { topic: "data.*", remote: "0:0000.0000.0002:50000" })
      assert.deepInclude(stage.reports[1], { topic: "data.done", sizeBytes: 1, from: "0:0000.0000.0001:0" })
      assert.deepStrictEqual((yield* stage.broker().status).subscribers, [])
    })
  )

  it.effect("drops what a peer publishes beyond its rate, and counts it", () =>
    Effect.gen(function* () {
      const stage = yield* BrokerStage.make()
      const flood = yield* BrokerStage.plain(stage, 2, "a")
      const frames = Array.from({ length: 500 }, () => EventFrame.encode(bytes("a"), bytes("x")))
      yield* flood.connection.write(Bytes.concat(...frames))
      yield* BrokerStage.turns(2_000)

      const { counters } = yield* stage.broker().status
      assert.strictEqual(counters.published, 200)
      assert.strictEqual(counters.rateLimited, 300)
      yield* TestClock.adjust("1 second")
      yield* flood.send("a", "y")
      yield* settle
      assert.strictEqual((yield* stage.broker().status).counters.published, 201)
    })
  )

  it.effect(
    "answers a publisher of ours with the number of each event, in order; nothing is dropped for its rate",
    () =>
      Effect.gen(function* () {
        const stage = yield* BrokerStage.make()
        const publisher = yield* BrokerStage.extended(stage, 2, { _tag: "Publish", nonce: "n" })
        const frames = Array.from({ length: 300 }, (_, index) => EventFrame.encode(bytes("a"), bytes(String(index))))
        yield* publisher.connection.write(Bytes.concat(...frames))
        yield* publisher.connection.end
        const reading = yield* Effect.forkChild(
          Effect.gen(function* () {
            const heard: Array<EventExtension.Message> = []
            yield* Effect.flip(Effect.forever(Effect.map(publisher.next, (message) => void heard.push(message))))
            return heard
          })
        )
        yield* BrokerStage.turns(2_000)
        yield* TestClock.adjust("2 seconds")
        yield* BrokerStage.turns(2_000)

        const heard = yield* Fiber.join(reading)
        const expected = Array.from({ length: 300 }, (_, index) => ({
          ...{ _tag: "Stored", ordinal: index + 1, sequence: index + 1 }
        }))
        assert.deepStrictEqual(heard, expected as never)
        assert.strictEqual((yield* stage.broker().status).last, 300)
      })
  )

  it.effect("a subscriber that was away hears what it missed, from its place, also after a restart of the broker", () =>
    Effect.gen(function* () {
      const stage = yield* BrokerStage.make({ recentMax: 4 })
      for (let index = 1; index <= 10; index++) yield* stage.broker().publish("a", bytes(String(index)))
      yield* stage.stop
      yield* stage.start({ recentMax: 4 })
      yield* stage.broker().publish("a", bytes("11"))

      const start = { _tag: "After", sequence: 3, log: BrokerStage.LOG } as const
      const client = yield* BrokerStage.extended(stage, 2, subscribing({ start }))
      assert.deepStrictEqual(client.answer, { nonce: "n", log: BrokerStage.LOG, position: 3 })
      const heard: Array<number> = []
      for (let count = 0; count < 8; count++) heard.push(sequenceOf(yield* client.next))
      yield* stage.broker().publish("a", bytes("12"))
      heard.push(sequenceOf(yield* client.next))
      assert.deepStrictEqual(heard, [4, 5, 6, 7, 8, 9, 10, 11, 12])
    })
  )

  it.effect("a consumer goes on behind what it has acknowledged, by its key and name, whatever it asks for", () =>
    Effect.gen(function* () {
      const stage = yield* BrokerStage.make()
      const offer = subscribing({ consumer: "reporter", start: { _tag: "Earliest" } })
      yield* stage.broker().publish("a", bytes("1"))
      const first = yield* BrokerStage.extended(stage, 2, offer)
      assert.strictEqual(first.answer.position, 0)
      for (let index = 2; index <= 4; index++) yield* stage.broker().publish("a", bytes(String(index)))
      for (let index = 1; index <= 3; index++) assert.strictEqual(sequenceOf(yield* first.next), index)
      yield* first.acknowledge(2)
      yield* settle
      yield* TestClock.adjust("1 second")
      yield* first.connection.close
      yield* stage.stop
      yield* stage.start()

      const second = yield* BrokerStage.extended(stage, 2, offer)
      assert.strictEqual(second.answer.position, 2)
      assert.strictEqual(sequenceOf(yield* second.next), 3)
      const other = yield* BrokerStage.extended(stage, 3, subscribing({ consumer: "reporter" }))
      assert.strictEqual(other.answer.position, 4)
    })
  )

  it.effect("tells of the gap when retention ran over what a subscriber has not heard", () =>
    Effect.gen(function* () {
      const retention = { countMax: 16, bytesMax: 1 << 20, ageMs: 1e9, consumersMax: 8 }
      const stage = yield* BrokerStage.make({ recentMax: 4, retention })
      for (let index = 1; index <= 40; index++) yield* stage.broker().publish("a", bytes(String(index)))
      const { first, last } = yield* stage.broker().status
      assert.strictEqual(last, 40)
      assert.isAbove(first, 20)

      const start = { _tag: "After", sequence: 5, log: BrokerStage.LOG } as const
      const client = yield* BrokerStage.extended(stage, 2, subscribing({ start }))

      assert.deepStrictEqual(yield* client.next, { _tag: "Gap", first: 6, last: first - 1 })
      assert.strictEqual(sequenceOf(yield* client.next), first)
    })
  )

  it.effect("a subscriber that never reads costs nothing but its place, and is given up", () =>
    Effect.gen(function* () {
      const stage = yield* BrokerStage.make({ recentMax: 64 })
      const silent = yield* BrokerStage.plain(stage, 2, "*")
      yield* settle
      for (let index = 0; index < 500; index++) yield* stage.broker().publish("a", new Uint8Array(1_000))
      yield* settle

      const [subscriber] = (yield* stage.broker().status).subscribers
      assert.isAtMost(subscriber!.pending, 500)
      assert.strictEqual((yield* stage.broker().status).last, 500)
      yield* TestClock.adjust("61 seconds")
      yield* settle
      assert.deepStrictEqual((yield* stage.broker().status).subscribers, [])
      yield* silent.connection.reset
    })
  )

  it.effect("publishers wait for a subscriber that blocks, for a while", () =>
    Effect.gen(function* () {
      const stage = yield* BrokerStage.make({ blockPendingMax: 3 })
      yield* BrokerStage.extended(stage, 2, subscribing({ policy: "block" }))
      // Its stream takes 64 writes; then it blocks.
      const publishing = yield* Effect.forkChild(
        Effect.forEach(Array.from({ length: 200 }), () => stage.broker().publish("a", new Uint8Array(70_000)), {
          discard: true
        })
      )
      yield* BrokerStage.turns(2_000)
      assert.isUndefined(publishing.pollUnsafe())
      const { last } = yield* stage.broker().status
      assert.isBelow(last, 100)

      yield* TestClock.adjust("5 seconds")
      yield* BrokerStage.turns(2_000)
      yield* Fiber.join(publishing)
      assert.isTrue((yield* stage.broker().status).subscribers[0]!.isBehind)
    })
  )

  it.effect("a log that cannot be written is told to the publisher, and the broker goes on", () =>
    Effect.gen(function* () {
      const stage = yield* BrokerStage.make()
      yield* stage.sql`ALTER TABLE events RENAME TO gone`
      const failure = yield* Effect.flip(stage.broker().publish("a", bytes("1")))
      assert.strictEqual(failure.reason, "NotStored")
      yield* stage.sql`ALTER TABLE gone RENAME TO events`

      assert.strictEqual(yield* stage.broker().publish("a", bytes("2")), 1)
      assert.strictEqual((yield* stage.broker().status).counters.notStored, 1)
      const long = yield* Effect.flip(stage.broker().publish("a".repeat(1_025), bytes("2")))
      assert.strictEqual(long.reason, "Invalid")
    })
  )

  it.effect("whoever sends no frames is reset: too long a length, no text, nothing at all", () =>
    Effect.gen(function* () {
      const stage = yield* BrokerStage.make({ connectionsPerPeerMax: 2 })
      for (const garbage of ["ffff", "0001ff00000000", "000161ffffffff"]) {
        const connection = yield* stage.dial(2)
        yield* connection.write(Bytes.fromHex(garbage)!)
        assert.isTrue(Cause.isDone(yield* Effect.flip(connection.read)))
      }
      const silent = yield* stage.dial(2)
      const ended = yield* Effect.forkChild(Effect.flip(silent.read))
      yield* stage.dial(2)
      const third = yield* stage.dial(2)
      assert.isTrue(Cause.isDone(yield* Effect.flip(third.read)))
      yield* TestClock.adjust("30 seconds")
      assert.isTrue(Cause.isDone(yield* Fiber.join(ended)))
      const { counters } = yield* stage.broker().status
      assert.strictEqual(counters.refused, 1)
      assert.isAtLeast(counters.malformed, 4)
    })
  )

  it.effect("long frames wait for room, and one peer cannot take it all", () =>
    Effect.gen(function* () {
      const stage = yield* BrokerStage.make({ arrivingBytesMax: 310_000, arrivingBytesPerPeerMax: 200_000 })
      const head = (sizeBytes: number) => Bytes.concat(Bytes.ofU16(1), bytes("a"), Bytes.ofU32(sizeBytes))
      const begin = Effect.fnUntraced(function* (node: number) {
        const { connection } = yield* BrokerStage.plain(stage, node, "a")
        yield* connection.write(head(150_000))
        yield* settle
        return connection
      })
      yield* begin(2)
      const second = yield* begin(2)
      assert.isTrue(Cause.isDone(yield* Effect.flip(second.read)))
      yield* begin(3)
      const fourth = yield* begin(4)
      yield* TestClock.adjust("61 seconds")
      yield* settle
      // The ones before took too long, and it has their room.
      yield* fourth.write(new Uint8Array(150_000))
      yield* settle
      assert.strictEqual((yield* stage.broker().status).last, 1)
    })
  )

  it.effect("a publisher that does not read its answers is not read either", () =>
    Effect.gen(function* () {
      const stage = yield* BrokerStage.make()
      const offer = { _tag: "Publish", nonce: "n" } as const
      const { connection } = yield* BrokerStage.extended(stage, BrokerStage.BROKER.node, offer)
      const frame = EventFrame.encode(bytes("a"), bytes("x"))
      const publishing = Effect.andThen(connection.write(frame), BrokerStage.turns(5))
      yield* Effect.forkChild(Effect.repeat(publishing, { times: 800 }))
      yield* BrokerStage.turns(20_000)

      assert.isBelow((yield* stage.broker().status).last, 500)
    })
  )
})

const sequenceOf = (message: EventExtension.Message): number =>
  message._tag === "Event" ? message.sequence : Number.NaN

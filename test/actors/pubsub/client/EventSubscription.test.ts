import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Fiber, Result } from "effect"
import type { Connection } from "../../../../src/actors/node/Node.ts"
import * as EventPublisher from "../../../../src/actors/pubsub/client/EventPublisher.ts"
import * as EventSubscription from "../../../../src/actors/pubsub/client/EventSubscription.ts"
import { FrameReader } from "../../../../src/actors/pubsub/FrameReader.ts"
import * as Bytes from "../../../../src/core/data/Bytes.ts"
import * as TopicPattern from "../../../../src/protocol/pubsub/TopicPattern.ts"
import { NodeId } from "../../../../src/protocol/wire/Address.ts"
import * as EventExtension from "../../../../src/protocol/wire/EventExtension.ts"
import * as EventFrame from "../../../../src/protocol/wire/EventFrame.ts"
import { pair } from "../../../support/MemoryNodes.ts"

const bytes = Bytes.fromUtf8
const event = (topic: string, data: Uint8Array) => EventFrame.encode(bytes(topic), data)

/** A client and the other end of its stream, where the test is the broker. */
const scene = Effect.gen(function* () {
  const [client, broker] = yield* pair(NodeId(1), NodeId(2), EventFrame.PORT)
  return { client, broker, reader: new FrameReader(broker.read) }
})

const subscribing = (client: Connection, pattern: string) =>
  EventSubscription.make(
    client,
    { pattern: TopicPattern.parse(pattern), start: { _tag: "Now" }, policy: "replay" },
    "nonce"
  )

describe("EventSubscription", () => {
  it.effect("asks a broker of the reference for everything and filters it itself (node §5)", () =>
    Effect.gen(function* () {
      const { broker, client, reader } = yield* scene
      const subscription = yield* subscribing(client, "data.*")
      const first = yield* reader.next
      assert.strictEqual(Bytes.toUtf8(first.topic), "*")
      yield* broker.write(
        Bytes.concat(event("other", bytes("1")), event("data.a", bytes("2")), event("data", bytes("3")))
      )
      yield* broker.write(event("data.b.c", bytes("4")))

      const heard = [yield* subscription.next, yield* subscription.next]

      const plain = { _tag: "Event", sequence: undefined, publishedAtMs: undefined, publisher: undefined } as const
      assert.deepStrictEqual(heard, [
        { ...plain, topic: "data.a", data: bytes("2") },
        { ...plain, topic: "data.b.c", data: bytes("4") }
      ])
      yield* subscription.acknowledge(5)
      yield* broker.close
      assert.isTrue(Cause.isDone(yield* Effect.flip(subscription.next)))
    })
  )

  it.effect("takes nobody's word for a broker of ours who does not know the nonce", () =>
    Effect.gen(function* () {
      const { broker, client } = yield* scene
      const subscription = yield* subscribing(client, "*")
      const forged = EventExtension.encodeAnswer({ nonce: "guess", log: "x", position: 9 })
      yield* broker.write(Bytes.concat(event("*", forged), event("a", bytes("1"))))

      assert.deepInclude(yield* subscription.next, { topic: "*", sequence: undefined })
      assert.deepInclude(yield* subscription.next, { topic: "a", data: bytes("1"), sequence: undefined })
    })
  )

  it.effect(
    "with a broker of ours knows its place, takes data as long as events may be, and passes over what is new",
    () =>
      Effect.gen(function* () {
        const { broker, client } = yield* scene
        const subscription = yield* subscribing(client, "*")
        const answer = EventExtension.encodeAnswer({ nonce: "nonce", log: "x", position: 9 })
        const head = EventExtension.eventHead(10, 5, NodeId(3))
        const data = new Uint8Array(EventFrame.PAYLOAD_BYTES_MAX)
        yield* broker.write(event("*", answer))
        yield* broker.write(event("", Uint8Array.of(99, 1, 2)))
        yield* broker.write(EventFrame.encode(bytes("a"), head, data))
        yield* broker.write(event("", EventExtension.encode({ _tag: "Dropped", count: 3 })))

        assert.deepStrictEqual(yield* subscription.next, { _tag: "Placed", log: "x", position: 9 })
        const large = yield* subscription.next
        assert.isTrue(large._tag === "Event" && large.data.length === data.length && large.sequence === 10)
        assert.deepStrictEqual(yield* subscription.next, { _tag: "Dropped", count: 3 })
      })
  )
})

describe("EventPublisher", () => {
  it.effect("publishes on a broker of the reference, which has it when the stream ends", () =>
    Effect.gen(function* () {
      const { broker, client, reader } = yield* scene
      const publishing = yield* Effect.forkChild(EventPublisher.publishOnce(client, "news", bytes("first"), "nonce"))
      const [subscription, published] = [yield* reader.next, yield* reader.next]
      assert.strictEqual(Bytes.toUtf8(subscription.topic), "news")
      assert.deepStrictEqual(published, { topic: bytes("news"), payload: bytes("first") })
      assert.isTrue(Cause.isDone(yield* Effect.flip(reader.next)))
      assert.isUndefined(publishing.pollUnsafe())
      // Somebody else's event is no answer.
      yield* broker.write(event("news", bytes("other")))
      yield* broker.close

      assert.isUndefined(yield* Fiber.join(publishing))
    })
  )

  it.effect("is told the number by a broker of ours, or why not, or that nobody knows", () =>
    Effect.gen(function* () {
      const publish = Effect.fnUntraced(function* (answers: ReadonlyArray<EventExtension.Message>) {
        const { broker, client } = yield* scene
        const answer = EventExtension.encodeAnswer({ nonce: "nonce", log: "x", position: 0 })
        yield* broker.write(
          Bytes.concat(event("", answer), ...answers.map((one) => event("", EventExtension.encode(one))))
        )
        yield* broker.close
        return yield* Effect.result(EventPublisher.publishOnce(client, "news", bytes("first"), "nonce"))
      })
      assert.deepStrictEqual(yield* publish([{ _tag: "Stored", ordinal: 1, sequence: 7 }]), Result.succeed(7))
      const refused = yield* publish([{ _tag: "Refused", ordinal: 1, reason: "full" }])
      assert.deepInclude(Result.getOrThrow(Result.flip(refused)), { reason: "Refused", detail: "full" })
      assert.deepInclude(Result.getOrThrow(Result.flip(yield* publish([]))), { reason: "Unknown" })
    })
  )
})

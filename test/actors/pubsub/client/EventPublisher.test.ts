import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import * as EventPublisher from "../../../../src/actors/pubsub/client/EventPublisher.ts"
import { FrameReader } from "../../../../src/actors/pubsub/FrameReader.ts"
import * as Bytes from "../../../../src/core/data/Bytes.ts"
import * as EventExtension from "../../../../src/protocol/wire/EventExtension.ts"
import * as EventFrame from "../../../../src/protocol/wire/EventFrame.ts"
import * as DuplexPair from "../../../support/DuplexPair.ts"

/** A publisher and the broker's end of its stream, which holds one chunk until it is read. */
const scene = Effect.gen(function* () {
  const pair = yield* DuplexPair.make({ capacity: 1, pieceBytes: 8 })
  const made = yield* Effect.forkChild(EventPublisher.make(pair.left, "nonce"), { startImmediately: true })
  const reader = new FrameReader(pair.right.read)
  yield* reader.next
  const publisher = yield* Fiber.join(made)
  const publish = (topic: string) =>
    Effect.forkChild(publisher.publish(topic, Bytes.fromUtf8("some data")), { startImmediately: true })
  const hear = Effect.map(reader.next, ({ topic }) => Bytes.toUtf8Lossy(topic))
  const store = (ordinal: number, sequence: number) =>
    pair.right.write(EventFrame.encode(Bytes.empty, EventExtension.encode({ _tag: "Stored", ordinal, sequence })))
  return { hear, publish, store }
})

describe("EventPublisher", () => {
  it.effect("whoever leaves before the event is written takes nobody else's answer along", () =>
    Effect.gen(function* () {
      const { hear, publish, store } = yield* scene
      const first = yield* publish("first")
      const second = yield* publish("second")
      yield* Fiber.interrupt(first)
      let ordinal = 0
      for (let topic = ""; topic !== "second"; ) {
        topic = yield* hear
        ordinal++
        yield* store(ordinal, topic === "second" ? 2 : 1)
      }

      assert.strictEqual(yield* Fiber.join(second), 2)
    }).pipe(Effect.scoped)
  )

  it.effect("events that are published at once are written one after the other", () =>
    Effect.gen(function* () {
      const { hear, publish, store } = yield* scene
      const published = yield* Effect.forEach(["a", "b", "c"], publish)
      for (const [index, topic] of ["a", "b", "c"].entries()) {
        assert.strictEqual(yield* hear, topic)
        yield* store(index + 1, index + 11)
      }

      assert.deepStrictEqual(yield* Effect.forEach(published, Fiber.join), [11, 12, 13])
    }).pipe(Effect.scoped)
  )
})

import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import * as EventFeed from "../../../../src/actors/pubsub/client/EventFeed.ts"
import { FrameReader } from "../../../../src/actors/pubsub/FrameReader.ts"
import * as TopicPattern from "../../../../src/protocol/pubsub/TopicPattern.ts"
import { NodeId } from "../../../../src/protocol/wire/Address.ts"
import * as EventExtension from "../../../../src/protocol/wire/EventExtension.ts"
import * as EventFrame from "../../../../src/protocol/wire/EventFrame.ts"
import * as DuplexPair from "../../../support/DuplexPair.ts"

const LOG = "0".repeat(32)

/** When, by virtual time, a subscriber is told that it hears a broker that answers after `answerMs`, or never. */
const joinedAfterMs = Effect.fnUntraced(function* (answerMs: number) {
  const pair = yield* DuplexPair.make()
  const network = {
    brokers: Effect.succeed([]),
    dial: () => Effect.succeed(pair.left),
    randomBytes: (sizeBytes: number) => new Uint8Array(sizeBytes)
  }
  const broker = Effect.gen(function* () {
    const { payload, topic } = yield* new FrameReader(pair.right.read).next
    const { nonce } = yield* Effect.fromResult(EventExtension.decodeOffer(payload))
    yield* Effect.sleep(answerMs)
    yield* pair.right.write(EventFrame.encode(topic, EventExtension.encodeAnswer({ nonce, log: LOG, position: 7 })))
  })
  yield* Effect.forkScoped(broker)
  const options = {
    pattern: TopicPattern.parse("*"),
    consumer: undefined,
    policy: "replay",
    start: { _tag: "Now" }
  } as const
  const next = yield* EventFeed.follow(network, { ...options, from: NodeId(2) })
  const joined = yield* Effect.forkChild(Effect.andThen(next, Clock.currentTimeMillis))
  for (let passed = 0; joined.pollUnsafe() === undefined; passed++) {
    assert.isBelow(passed, 600)
    yield* TestClock.adjust("100 millis")
  }
  return yield* Fiber.join(joined)
})

describe("EventFeed", () => {
  it.effect("says that it hears a broker of ours when that has answered, however late", () =>
    Effect.gen(function* () {
      assert.closeTo(yield* joinedAfterMs(5_000), 5_000, 100)
    }).pipe(Effect.scoped)
  )

  it.effect("takes one that never answers for a broker of the reference, which has no word for it", () =>
    Effect.gen(function* () {
      assert.closeTo(yield* joinedAfterMs(Number.POSITIVE_INFINITY), 10_000, 100)
    }).pipe(Effect.scoped)
  )
})

import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Queue, Scope } from "effect"
import { TestClock } from "effect/testing"
import * as MessageStreams from "../../../../src/actors/services/client/MessageStreams.ts"
import * as SendMessage from "../../../../src/actors/services/client/SendMessage.ts"
import * as FrameLink from "../../../../src/actors/services/FrameLink.ts"
import * as Bytes from "../../../../src/core/data/Bytes.ts"
import * as DataFrame from "../../../../src/protocol/wire/DataFrame.ts"
import * as DuplexPair from "../../../support/DuplexPair.ts"

/** A sender, and the peer's end of every stream that it opens. */
const scene = Effect.gen(function* () {
  const streams = yield* Queue.unbounded<DuplexPair.DuplexPair>()
  const state = { dialled: 0, closed: 0 }
  const sender = yield* MessageStreams.make(() =>
    Effect.gen(function* () {
      const pair = yield* DuplexPair.make({ capacity: 4096 })
      state.dialled++
      yield* Effect.addFinalizer(() => Effect.sync(() => void state.closed++))
      yield* Queue.offer(streams, pair)
      return pair.left
    })
  )
  const send = (text: string, target = "bravo") =>
    sender.send(target, SendMessage.KINDS.text, Bytes.fromUtf8(text), 30_000)
  const accept = Effect.map(Queue.take(streams), (pair) => {
    const link = FrameLink.make(pair.right)
    return {
      pair,
      hear: Effect.map(link.read, ({ payload }) => Bytes.toUtf8Lossy(payload)),
      acknowledge: (text: string) => link.write(DataFrame.encodeText(text))
    }
  })
  return { accept, send, sender, state }
})

const fork = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.forkChild(effect, { startImmediately: true })
const turns = Effect.repeat(Effect.yieldNow, { times: 50 })

/** One message was not answered in time. */
const late = Effect.gen(function* () {
  const world = yield* scene
  const sending = yield* fork(Effect.flip(world.send("one")))
  const peer = yield* world.accept
  yield* peer.hear
  yield* TestClock.adjust("30 seconds")
  assert.strictEqual((yield* Fiber.join(sending)).reason, "Timeout")
  return world
})

describe("MessageStreams", () => {
  it.effect("sends one message alone, then many behind each other on the same stream, each with its own answer", () =>
    Effect.gen(function* () {
      const { accept, send, state } = yield* scene
      const first = yield* fork(send("one"))
      const second = yield* fork(send("two"))
      const peer = yield* accept
      assert.strictEqual(yield* peer.hear, "one")
      yield* turns
      yield* peer.acknowledge("ACK TEXT 3 bytes")
      assert.strictEqual(yield* Fiber.join(first), "ACK TEXT 3 bytes")
      assert.strictEqual(yield* peer.hear, "two")

      const third = yield* fork(Effect.flip(send("three")))
      assert.strictEqual(yield* peer.hear, "three")
      yield* peer.acknowledge("ACK TEXT 3 bytes (second)")
      yield* peer.acknowledge("ERR TEXT save failed: full")
      assert.strictEqual(yield* Fiber.join(second), "ACK TEXT 3 bytes (second)")
      assert.strictEqual((yield* Fiber.join(third)).reason, "Refused")
      assert.strictEqual(state.dialled, 1)
    }).pipe(Effect.scoped)
  )

  it.effect("ends a stream that was idle, and opens another for the next message", () =>
    Effect.gen(function* () {
      const { accept, send, state } = yield* scene
      const first = yield* fork(send("one"))
      const peer = yield* accept
      yield* peer.hear
      // As long as an answer is due it is not idle.
      yield* TestClock.adjust("20 seconds")
      yield* peer.acknowledge("ACK TEXT 3 bytes")
      yield* Fiber.join(first)
      assert.strictEqual(state.closed, 0)
      yield* TestClock.adjust("5 seconds")
      yield* turns
      assert.strictEqual(state.closed, 1)

      const second = yield* fork(send("two"))
      const again = yield* accept
      yield* again.hear
      yield* again.acknowledge("ACK TEXT 3 bytes")
      yield* Fiber.join(second)
      assert.strictEqual(state.dialled, 2)
    }).pipe(Effect.scoped)
  )

  it.effect("fails what was under way when the stream breaks, sends nothing twice, and dials for what waits", () =>
    Effect.gen(function* () {
      const { accept, send } = yield* scene
      const first = yield* fork(Effect.flip(send("one")))
      const waiting = yield* fork(send("two"))
      const peer = yield* accept
      yield* peer.hear
      yield* turns
      yield* peer.pair.cut
      assert.strictEqual((yield* Fiber.join(first)).reason, "Lost")

      const again = yield* accept
      assert.strictEqual(yield* again.hear, "two")
      yield* again.acknowledge("ACK TEXT 3 bytes")
      assert.strictEqual(yield* Fiber.join(waiting), "ACK TEXT 3 bytes")
    }).pipe(Effect.scoped)
  )

  it.effect("takes the close of an old peer for no answer, and a close under several messages for a loss", () =>
    Effect.gen(function* () {
      const { accept, send } = yield* scene
      const first = yield* fork(send("one"))
      const peer = yield* accept
      yield* peer.hear
      yield* peer.pair.right.end
      assert.isUndefined(yield* Fiber.join(first))

      const proving = yield* fork(send("two"))
      const again = yield* accept
      yield* again.hear
      yield* again.acknowledge("ACK TEXT 3 bytes")
      yield* Fiber.join(proving)
      const others = yield* Effect.forEach(["three", "four"], (text) => fork(Effect.flip(send(text))))
      yield* Effect.andThen(again.hear, again.hear)
      yield* again.pair.right.end
      for (const other of others) assert.strictEqual((yield* Fiber.join(other)).reason, "Lost")
    }).pipe(Effect.scoped)
  )

  it.effect("gives up after the time-out, and does not put the next one behind it", () =>
    Effect.gen(function* () {
      const { accept, send, state } = yield* late
      yield* fork(send("two"))
      const again = yield* accept

      assert.strictEqual(yield* again.hear, "two")
      assert.strictEqual(state.dialled, 2)
    }).pipe(Effect.scoped)
  )

  it.effect("gives each peer a stream, a large message its own, and ends all with its scope", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const { accept, send, state } = yield* Scope.provide(scene, scope)
      yield* fork(Effect.ignore(send("one", "bravo")))
      yield* fork(Effect.ignore(send("one", "charlie")))
      yield* fork(Effect.ignore(send("x".repeat(70_000), "bravo")))
      const heard = [yield* (yield* accept).hear, yield* (yield* accept).hear, yield* (yield* accept).hear].map(
        ({ length }) => length
      )

      assert.deepStrictEqual(
        heard.toSorted((a, b) => a - b),
        [3, 3, 70_000]
      )
      yield* Scope.close(scope, Exit.void)
      yield* turns
      assert.isAtLeast(state.closed, 2)
    })
  )

  it.effect("ends a stream whose answers nobody waits for any more, even if they never come", () =>
    Effect.gen(function* () {
      const { accept, send, state } = yield* late
      const second = yield* fork(send("two"))
      yield* Effect.andThen(accept, ({ hear }) => hear)
      yield* Fiber.interrupt(second)
      yield* TestClock.adjust("10 seconds")
      yield* turns

      assert.deepStrictEqual(state, { dialled: 2, closed: 2 })
    }).pipe(Effect.scoped)
  )
})

import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect } from "effect"
import { TestClock } from "effect/testing"
import * as Actor from "../../../src/core/actor/Actor.ts"
import { TIMER_STREAK_MAX } from "../../../src/core/actor/Behaviour.ts"
import * as MonotonicTime from "../../../src/core/actor/MonotonicTime.ts"

/** Counts the sleeps that are asked of the clock. */
const countingClock = Effect.gen(function* () {
  const clock = yield* Clock.Clock
  const sleepsMs: Array<number> = []
  let sleeping = 0
  const counting: Clock.Clock = {
    currentTimeMillisUnsafe: () => clock.currentTimeMillisUnsafe(),
    currentTimeMillis: clock.currentTimeMillis,
    currentTimeNanosUnsafe: () => clock.currentTimeNanosUnsafe(),
    currentTimeNanos: clock.currentTimeNanos,
    monotonicTimeNanosUnsafe: () => clock.monotonicTimeNanosUnsafe(),
    monotonicTimeNanos: clock.monotonicTimeNanos,
    sleep: (duration) => {
      sleepsMs.push(Number(duration.valueOf()))
      sleeping++
      return Effect.ensuring(
        clock.sleep(duration),
        Effect.sync(() => void sleeping--)
      )
    }
  }
  const firedAtMs: Array<number> = []
  return { counting, sleepsMs, sleeping: () => sleeping, firedAtMs }
})

/** Messages set the deadline; firings are noted with their time. `next` gives the deadline after a firing. */
const alarm = (next: (nowMs: number) => number | undefined = () => undefined) =>
  Effect.gen(function* () {
    const { counting, firedAtMs, sleepsMs } = yield* countingClock
    const start = Effect.clockWith((clock) => {
      let deadlineMs: number | undefined
      return Effect.succeed({
        receive: (message: number | undefined) => {
          deadlineMs = message
        },
        deadlineMs: () => deadlineMs,
        timerFired: () => {
          const nowMs = MonotonicTime.nowMsUnsafe(clock)
          firedAtMs.push(nowMs)
          deadlineMs = next(nowMs)
        }
      })
    })
    const ref = yield* Actor.spawn<number | undefined, never, never>({
      name: "alarm",
      mailbox: { capacity: 10, overflow: "fail" },
      restart: "never",
      start
    }).pipe(Effect.provideService(Clock.Clock, counting))
    const set = (deadlineMs: number | undefined) => Effect.andThen(ref.tell(deadlineMs), TestClock.adjust(0))
    return { firedAtMs, sleepsMs, ref, set }
  })

describe("DeadlineTimer", () => {
  it.effect("fires in the actor when the deadline is due, once", () =>
    Effect.gen(function* () {
      const { firedAtMs, set } = yield* alarm()
      yield* set(200)
      yield* TestClock.adjust(199)
      assert.deepStrictEqual(firedAtMs, [])
      yield* TestClock.adjust(1000)

      assert.deepStrictEqual(firedAtMs, [200])
    })
  )

  it.effect("a deadline pushed ahead costs no new timer, and is asked again when the old one passes", () =>
    Effect.gen(function* () {
      const { firedAtMs, set, sleepsMs } = yield* alarm()
      for (const deadlineMs of [200, 300, 400, 500]) yield* set(deadlineMs)
      assert.strictEqual(sleepsMs.length, 1)
      yield* TestClock.adjust(1000)

      assert.deepStrictEqual(firedAtMs, [500])
      assert.strictEqual(sleepsMs.length, 2)
    })
  )

  it.effect("an earlier deadline replaces a later one", () =>
    Effect.gen(function* () {
      const { firedAtMs, set } = yield* alarm()
      yield* set(500)
      yield* set(100)
      yield* TestClock.adjust(1000)

      assert.deepStrictEqual(firedAtMs, [100])
    })
  )

  it.effect("a deadline taken back does not fire", () =>
    Effect.gen(function* () {
      const { firedAtMs, set } = yield* alarm()
      for (const deadlineMs of [100, Number.POSITIVE_INFINITY, undefined]) yield* set(deadlineMs)
      yield* TestClock.adjust(1000)

      assert.deepStrictEqual(firedAtMs, [])
    })
  )

  it.effect("a hundred actors on one clock keep one sleep, and none once they have stopped", () =>
    Effect.gen(function* () {
      const { counting, firedAtMs, sleeping } = yield* countingClock
      const actors = yield* Effect.forEach(Array.from({ length: 100 }), (_, index) =>
        Actor.spawn<never, never, never>({
          name: `alarm ${index}`,
          mailbox: { capacity: 1, overflow: "fail" },
          restart: "never",
          start: Effect.sync(() => {
            let deadlineMs: number | undefined = 1000 + index
            return {
              receive: () => {},
              deadlineMs: () => deadlineMs,
              timerFired: () => {
                deadlineMs = undefined
                firedAtMs.push(1000 + index)
              }
            }
          })
        }).pipe(Effect.provideService(Clock.Clock, counting))
      )
      assert.strictEqual(sleeping(), 1)
      yield* TestClock.adjust(1049)
      assert.deepStrictEqual(
        firedAtMs,
        Array.from({ length: 50 }, (_, index) => 1000 + index)
      )
      assert.strictEqual(sleeping(), 1)
      yield* Effect.forEach(actors, ({ stop }) => stop)
      yield* Effect.yieldNow

      assert.strictEqual(sleeping(), 0)
    })
  )

  it.effect("no deadline, no sleep", () =>
    Effect.gen(function* () {
      const { set, sleepsMs } = yield* alarm()
      yield* set(undefined)
      yield* set(Number.POSITIVE_INFINITY)

      assert.deepStrictEqual(sleepsMs, [])
    })
  )

  it.effect("fires at a fractional deadline, not before", () =>
    Effect.gen(function* () {
      const { firedAtMs, set } = yield* alarm()
      yield* set(100.25)
      yield* TestClock.adjust(1000)

      assert.deepStrictEqual(firedAtMs, [101])
    })
  )

  it.effect("a deadline already due fires without a timer", () =>
    Effect.gen(function* () {
      const { firedAtMs, set, sleepsMs } = yield* alarm()
      yield* TestClock.adjust(50)
      yield* set(20)

      assert.deepStrictEqual(firedAtMs, [50])
      assert.deepStrictEqual(sleepsMs, [])
    })
  )

  it.effect("a deadline that never moves ahead cannot stop the world", () =>
    Effect.gen(function* () {
      const { firedAtMs, set } = yield* alarm((nowMs) => nowMs)
      yield* set(0)
      yield* Effect.forEach(Array.from({ length: 20 }), () => Effect.yieldNow, { discard: true })

      assert.strictEqual(firedAtMs.length, TIMER_STREAK_MAX)
      yield* TestClock.adjust(3)
      assert.isAbove(firedAtMs.length, TIMER_STREAK_MAX)
    })
  )

  it.effect("ends with the actor", () =>
    Effect.gen(function* () {
      const { firedAtMs, ref, set } = yield* alarm()
      yield* set(100)
      yield* ref.stop
      yield* TestClock.adjust(1000)

      assert.deepStrictEqual(firedAtMs, [])
    })
  )
})

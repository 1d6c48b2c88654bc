import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import * as LongLived from "../../src/cli/LongLived.ts"
import { Processes } from "../../src/cli/Processes.ts"

const MEGABYTE = 1 << 20

/** A process whose memory falls to `leastBytes` when it gives back what it can. */
const begun = Effect.gen(function* () {
  const state = {
    processorMs: 0,
    residentBytes: 100 * MEGABYTE,
    leastBytes: 90 * MEGABYTE,
    given: 0,
    endsOnSignal: false
  }
  const processes = Processes.of({
    ownPid: 1,
    startAgain: () => Effect.die("not asked"),
    isAlive: () => Effect.die("not asked"),
    signal: () => Effect.die("not asked"),
    endsOnSignal: Effect.sync(() => {
      state.endsOnSignal = true
    }),
    usage: Effect.sync(() => ({ processorMs: state.processorMs, residentBytes: state.residentBytes })),
    giveMemoryBack: Effect.sync(() => {
      state.given += 1
      state.residentBytes = state.leastBytes
    })
  })
  yield* Effect.provideService(LongLived.begin, Processes, processes)
  yield* Effect.yieldNow
  return state
})

describe("a process that lives long", () => {
  it.effect("gives back what its start took, once it is idle, and what a busy time took, when that is over", () =>
    Effect.gen(function* () {
      const state = yield* begun
      assert.isTrue(state.endsOnSignal)
      yield* TestClock.adjust("9 seconds")
      assert.strictEqual(state.given, 0)
      yield* TestClock.adjust("1 second")
      assert.strictEqual(state.given, 1)

      // A little more is not worth it, and while it works it is not stopped.
      state.residentBytes += 10 * MEGABYTE
      yield* TestClock.adjust("1 hour")
      assert.strictEqual(state.given, 1)
      state.residentBytes = 200 * MEGABYTE
      for (let minute = 0; minute < 10; minute++) {
        state.processorMs += 5_000
        yield* TestClock.adjust("1 minute")
      }
      assert.strictEqual(state.given, 1)
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(state.given, 2)
      yield* TestClock.adjust("1 day")
      assert.strictEqual(state.given, 2)
    })
  )

  it.effect("does not go on with what gives nothing back", () =>
    Effect.gen(function* () {
      const state = yield* begun
      state.leastBytes = 500 * MEGABYTE
      state.residentBytes = 500 * MEGABYTE
      yield* TestClock.adjust("1 day")

      assert.strictEqual(state.given, 1)
    })
  )
})

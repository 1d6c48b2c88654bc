import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import * as Keepalive from "../../../src/actors/node/Keepalive.ts"

/** How often it sends in ten minutes, if that is how often a translator wants it. */
const sent = (keepaliveMs: (nowMs: number) => number) =>
  Effect.gen(function* () {
    let count = 0
    let nowMs = 0
    const running = yield* Effect.forkChild(
      Keepalive.run({
        heartbeatMs: 30_000,
        keepaliveMs: () => keepaliveMs(nowMs),
        refresh: Effect.sync(() => void count++)
      })
    )
    for (; nowMs < 600_000; nowMs += 1_000) yield* TestClock.adjust("1 second")
    yield* Fiber.interrupt(running)
    return count
  })

describe("Keepalive", () => {
  it.effect("sends nothing where heartbeats do, and as often as needed where they come too seldom", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* sent(() => 30_000), 0)
      assert.strictEqual(yield* sent(() => 240_000), 0)
      assert.strictEqual(yield* sent(() => 12_000), 50)
    })
  )

  it.effect("begins when it becomes known that a translator forgets sooner", () =>
    Effect.gen(function* () {
      const count = yield* sent((nowMs) => (nowMs < 300_000 ? 30_000 : 10_000))
      assert.isAtLeast(count, 27)
      assert.isAtMost(count, 30)
    })
  )
})

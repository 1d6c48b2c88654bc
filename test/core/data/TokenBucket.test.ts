import { assert, describe, it } from "@effect/vitest"
import { Arbitrary } from "effect"
import { TokenBucket } from "../../../src/core/data/TokenBucket.ts"
import * as Arb from "../../support/Arbitraries.ts"

/** Around the refill of one token, mostly: long waits fill the bucket, which hides what happens to fractions. */
const Waits = Arbitrary.array(
  Arb.oneOf(Arb.element(0, 1, 7, 99, 100, 101, 133), Arb.integer(0, 150), Arb.element(0, 1000, 60_000)),
  { maxLength: 80 }
)
const Config = Arbitrary.all({ capacity: Arb.integer(1, 10), perSecond: Arb.element(10, 10, 1, 1 / 6) })

describe("TokenBucket", () => {
  it.prop(
    "counts as an exact bucket of whole tokens (wire §9.5)",
    { config: Config, waits: Waits },
    ({ config, waits }) => {
      const bucket = new TokenBucket(config, 0)
      // The rates divide a second into whole milliseconds, so the model is exact.
      const intervalMs = Math.round(1000 / config.perSecond)
      let tokens = config.capacity
      let creditedAtMs = 0
      let nowMs = 0

      for (const waitMs of waits) {
        nowMs += waitMs
        while (nowMs - creditedAtMs >= intervalMs) {
          tokens = Math.min(config.capacity, tokens + 1)
          creditedAtMs = tokens === config.capacity ? nowMs : creditedAtMs + intervalMs
        }
        assert.strictEqual(bucket.available(nowMs), tokens)
        assert.strictEqual(bucket.take(nowMs), tokens > 0)
        tokens = Math.max(0, tokens - 1)
      }
    }
  )

  it.prop(
    "a burst and its refill never exceed capacity plus rate times time",
    { config: Config, waits: Waits },
    ({ config, waits }) => {
      const bucket = new TokenBucket(config, 0)
      let nowMs = 0
      let taken = 0
      for (const waitMs of waits) {
        nowMs += waitMs
        while (bucket.take(nowMs)) taken++
      }

      assert.isAtMost(taken, config.capacity + (nowMs / 1000) * config.perSecond + 1e-6)
    }
  )

  it.prop("is ready when it says so, and not before", { config: Config, waits: Waits }, ({ config, waits }) => {
    const bucket = new TokenBucket(config, 0)
    const nowMs = waits.reduce((atMs: number, waitMs) => {
      bucket.take(atMs + waitMs)
      return atMs + waitMs
    }, 0)
    while (bucket.take(nowMs));

    const readyAtMs = bucket.readyAtMs(nowMs)

    assert.isAbove(readyAtMs, nowMs)
    assert.isFalse(bucket.take(readyAtMs - 1e-3))
    assert.isTrue(bucket.take(readyAtMs + 1e-3))
  })

  it("the fraction of a token refilled so far is kept when a whole one is credited (wire §9.5)", () => {
    const bucket = new TokenBucket({ capacity: 5, perSecond: 10 }, 0)
    while (bucket.take(0));

    assert.deepStrictEqual(
      [150, 150, 200, 299, 300].map((atMs) => bucket.take(atMs)),
      [true, false, true, false, true]
    )
  })

  it("a taker that always comes exactly on time is never turned away", () => {
    const bucket = new TokenBucket({ capacity: 1, perSecond: 3 }, 0)
    let refused = 0
    for (let step = 0; step <= 100_000; step++) if (!bucket.take((step * 1000) / 3)) refused++

    assert.strictEqual(refused, 0)
  })

  it.prop(
    "gives many tokens as it gives them one by one, or none",
    { config: Config, counts: Arbitrary.array(Arb.integer(0, 12), { maxLength: 20 }), waitMs: Arb.integer(0, 500) },
    ({ config, counts, waitMs }) => {
      const bucket = new TokenBucket(config, 0)
      for (const [index, count] of counts.entries()) {
        const before = bucket.available(index * waitMs)

        assert.strictEqual(bucket.takeMany(count, index * waitMs), count <= before)
        assert.strictEqual(bucket.available(index * waitMs), count <= before ? before - count : before)
      }
    }
  )
})

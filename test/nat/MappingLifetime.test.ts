import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import * as MappingLifetime from "../../src/nat/MappingLifetime.ts"
import * as ProbedNat from "../support/ProbedNat.ts"

/** Runs one measurement to its end. `isDown` at times at which nothing arrives. */
const measure = (timeoutMs: number, isDown: (nowMs: number) => boolean = () => false) => {
  const world = new ProbedNat.ProbedNat({ nat: { timeoutMs, filtering: "AddressAndPortDependent" } })
  let nowMs = 0
  const self = new MappingLifetime.MappingLifetime(ProbedNat.BEACON, ProbedNat.nonces(), nowMs)
  for (let steps = 0; self.deadlineMs !== undefined; steps++) {
    assert.isBelow(steps, 1000)
    // An answer may bring about the next question.
    for (let sendings = self.take(); sendings.length > 0; sendings = self.take()) {
      for (const sending of sendings) {
        if (isDown(nowMs)) continue
        for (const arrival of world.send(sending, nowMs))
          if (arrival.socket === "second") self.received(arrival.bytes, nowMs)
      }
    }
    if (self.deadlineMs === undefined) break
    assert.isAbove(self.deadlineMs, nowMs)
    nowMs = self.deadlineMs
    self.timeout(nowMs)
  }
  return { lifetime: self.lifetime, tookMs: nowMs, sentCount: world.sentCount }
}

describe("MappingLifetime", () => {
  const Timeouts = Schema.Int.check(Schema.isBetween({ minimum: 20_000, maximum: 470_000 }))
  it.prop("the lifetime lies between what it found, which are close", { timeoutMs: Timeouts }, ({ timeoutMs }) => {
    const { lifetime, sentCount, tookMs } = measure(timeoutMs)

    assert.isDefined(lifetime)
    assert.isAtMost(lifetime.aliveMs, timeoutMs)
    // The last question is two seconds later than the silence.
    assert.isAbove((lifetime.goneMs ?? Number.POSITIVE_INFINITY) + 2_000, timeoutMs)
    assert.isAtMost((lifetime.goneMs ?? 0) - lifetime.aliveMs, Math.max(10_000, lifetime.aliveMs / 4))
    assert.isAtMost(sentCount, 40)
    assert.isAtMost(tookMs, 40 * 60_000)
  })

  it("stops at eight minutes", () => {
    const { lifetime, sentCount } = measure(3_600_000)

    assert.deepStrictEqual(lifetime, { aliveMs: MappingLifetime.LONGEST_MS, goneMs: undefined })
    assert.isAtMost(sentCount, 10)
  })

  it("a network that was away is no mapping that is gone", () => {
    const { lifetime } = measure(100_000, (nowMs) => nowMs > 30_000)

    assert.isUndefined(lifetime)
  })

  it("a beacon that does not help ends it at once", () => {
    const { lifetime, tookMs } = measure(100_000, () => true)

    assert.isUndefined(lifetime)
    assert.isAtMost(tookMs, 5_000)
  })
})

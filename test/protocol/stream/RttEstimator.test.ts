import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import * as RttEstimator from "../../../src/protocol/stream/RttEstimator.ts"

const Millis = Schema.Finite.check(Schema.isBetween({ minimum: 0.1, maximum: 60_000 }))
const Samples = Schema.NonEmptyArray(Schema.Struct({ rttMs: Millis, ackDelayMs: Millis }))
const limits = { minMs: 200, maxMs: 10_000, ackDelayMs: 0 }

const estimate = (samples: typeof Samples.Type) =>
  samples.reduce((self, { ackDelayMs, rttMs }) => RttEstimator.update(self, rttMs, ackDelayMs), RttEstimator.make(333))

describe("RttEstimator", () => {
  it("replaces the initial RTT by the first sample (RFC 6298 §2.2)", () => {
    const { minRttMs, rttVarMs, smoothedRttMs } = RttEstimator.update(RttEstimator.make(333), 100, 0)

    assert.deepStrictEqual({ minRttMs, rttVarMs, smoothedRttMs }, { minRttMs: 100, rttVarMs: 50, smoothedRttMs: 100 })
  })

  it("reads the smoothed RTT before it changes it (RFC 6298 §2.3)", () => {
    const self = [50, 100, 200].reduce((rtt, sample) => RttEstimator.update(rtt, sample, 0), RttEstimator.make(333))

    assert.closeTo(self.smoothedRttMs, 74.21875, 1e-9)
    assert.closeTo(self.rttVarMs, 59.375, 1e-9)
    assert.closeTo(RttEstimator.retransmissionTimeoutMs(self, limits, 0), 311.71875, 1e-9)
  })

  it.prop("keeps the smoothed RTT within the samples seen", { samples: Samples }, ({ samples }) => {
    const { minRttMs, smoothedRttMs } = estimate(samples)

    assert.isAtLeast(smoothedRttMs, minRttMs - 1e-9)
    assert.isAtMost(smoothedRttMs, Math.max(...samples.map((sample) => sample.rttMs)) + 1e-9)
  })

  it.prop("never shortens the timeout by backing off, nor leaves its limits", { samples: Samples }, ({ samples }) => {
    const self = estimate(samples)
    const timeouts = [0, 1, 2, 3, 4].map((expiries) => RttEstimator.retransmissionTimeoutMs(self, limits, expiries))

    assert.deepStrictEqual(
      timeouts,
      timeouts.toSorted((a, b) => a - b)
    )
    assert.isTrue(timeouts.every((timeoutMs) => limits.minMs <= timeoutMs && timeoutMs <= limits.maxMs))
  })
})

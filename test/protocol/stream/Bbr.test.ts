import { assert, describe, it } from "@effect/vitest"
import { Bbr } from "../../../src/protocol/stream/Bbr.ts"
import { acknowledgement, behavesAsController } from "../../support/CongestionControllerSuite.ts"

behavesAsController("Bbr", (sizes) => new Bbr(sizes))

const SEGMENT = 1000
const RTT_MS = 30
/** 100 segments per round trip. */
const BYTES_PER_MS = (100 * SEGMENT) / RTT_MS
const PRODUCT = BYTES_PER_MS * RTT_MS

/** Rounds on a path of `BYTES_PER_MS` that answers after `rttMs`; returns the states gone through. */
const rounds = (self: Bbr, count: number, rttMs: (nowMs: number) => number = () => RTT_MS): ReadonlyArray<string> => {
  const states: Array<string> = []
  let totalDelivered = 0
  let nowMs = 0
  for (let round = 0; round < count; round++) {
    nowMs += rttMs(nowMs)
    const bytes = Math.min(self.congestionWindow, PRODUCT)
    const rate = { totalDelivered: totalDelivered + bytes, priorDelivered: totalDelivered }
    totalDelivered += bytes
    const told = { rttMs: rttMs(nowMs), bytesInFlight: bytes, rate: { ...rate, bytesPerMs: bytes / RTT_MS } }
    self.acknowledged(acknowledgement(self, bytes, told), nowMs)
    if (states.at(-1) !== self.state) states.push(self.state)
  }
  return states
}

const make = () => new Bbr({ segmentBytes: SEGMENT, initialWindowBytes: 10 * SEGMENT, seed: 1 })

describe("Bbr", () => {
  it("goes from Startup into the cycle of ProbeBW (draft-ietf-ccwg-bbr §5.1.1)", () => {
    // This path never has a queue, so that Drain and the first Down are over as soon as they begin.
    assert.deepStrictEqual(rounds(make(), 80).slice(0, 6), ["Startup", "Cruise", "Refill", "Up", "Down", "Cruise"])
  })

  it("keeps about twice the product of bandwidth and delay for its window, and paces at the bandwidth (§5.6)", () => {
    const self = make()
    rounds(self, 12)

    assert.isAtMost(self.congestionWindow, 3 * PRODUCT)
    assert.isAtLeast(self.congestionWindow, PRODUCT)
    assert.closeTo(self.pacingBytesPerMs(RTT_MS), BYTES_PER_MS, 0.3 * BYTES_PER_MS)
  })

  it("drains for the path's delay when five seconds have shown no lower one (§5.3.4)", () => {
    assert.include(
      rounds(make(), 200, (nowMs) => (nowMs < 100 ? RTT_MS : RTT_MS + 5)),
      "ProbeRtt"
    )
  })
})

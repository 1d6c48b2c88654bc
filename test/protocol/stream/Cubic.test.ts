import { assert, describe, it } from "@effect/vitest"
import { Cubic } from "../../../src/protocol/stream/Cubic.ts"
import { acknowledgement, behavesAsWindowController } from "../../support/CongestionControllerSuite.ts"

behavesAsWindowController("Cubic", (sizes) => new Cubic(sizes))

const SEGMENT = 1000

/** Windows in segments, one per round trip of 100 ms, after a loss at 1000 segments. */
const afterLoss = (rounds: number): ReadonlyArray<number> => {
  const self = new Cubic({ segmentBytes: SEGMENT, initialWindowBytes: 1000 * SEGMENT, seed: 1 })
  self.congested(1000 * SEGMENT)
  return Array.from({ length: rounds }, (_, round) => {
    const window = self.congestionWindow
    for (let bytes = 0; bytes < window; bytes += SEGMENT)
      self.acknowledged(acknowledgement(self, SEGMENT, { smoothedRttMs: 100 }), round * 100)
    return window / SEGMENT
  })
}

describe("Cubic", () => {
  it("reduces to seven tenths (RFC 9438 §4.6)", () => {
    assert.strictEqual(afterLoss(1)[0], 700)
  })

  it("is back at the window that lost after K seconds, and flat there (RFC 9438 §4.2)", () => {
    // K = cbrt((1000 − 700) / 0.4) = 9.09 s.
    const windows = afterLoss(140)

    assert.closeTo(windows[91]!, 1000, 2)
    assert.closeTo(windows[95]!, windows[87]!, 2)
    assert.isAbove(windows[139]!, 1020)
  })

  it("is at no time slower than Reno (RFC 9438 §4.3)", () => {
    const self = new Cubic({ segmentBytes: SEGMENT, initialWindowBytes: 10 * SEGMENT, seed: 1 })
    self.congested(10 * SEGMENT)
    for (let round = 0; round < 20; round++) {
      const window = self.congestionWindow
      for (let bytes = 0; bytes < window; bytes += SEGMENT)
        self.acknowledged(acknowledgement(self, SEGMENT, { smoothedRttMs: 1 }), round)
    }

    assert.isAtLeast(self.congestionWindow, (7 + 20 * 0.52) * SEGMENT)
  })

  it("gives room when it loses below its former maximum (RFC 9438 §4.7)", () => {
    const self = new Cubic({ segmentBytes: SEGMENT, initialWindowBytes: 1000 * SEGMENT, seed: 1 })
    self.congested(1000 * SEGMENT)
    self.congested(700 * SEGMENT)
    for (let round = 0; round < 200; round++) {
      const window = self.congestionWindow
      for (let bytes = 0; bytes < window; bytes += SEGMENT)
        self.acknowledged(acknowledgement(self, SEGMENT, { smoothedRttMs: 100 }), 200 + round * 50)
    }

    // The plateau is at 700 · 1.7 / 2 = 595, not at 700.
    assert.isBelow(self.congestionWindow, 640 * SEGMENT)
  })
})

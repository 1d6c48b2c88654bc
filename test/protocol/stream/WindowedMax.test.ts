import { assert, describe, it } from "@effect/vitest"
import { Arbitrary } from "effect"
import { WindowedMax } from "../../../src/protocol/stream/WindowedMax.ts"
import * as Arb from "../../support/Arbitraries.ts"

const LENGTH = 10
const steps = Arbitrary.array(
  Arbitrary.all({ value: Arb.integer(0, 1000), rounds: Arb.element(0, 0, 1, 1, 2, LENGTH, 3 * LENGTH) }),
  { maxLength: 100 }
)

describe("WindowedMax", () => {
  it.prop("is never below the newest value, nor above the greatest of its window", { steps }, ({ steps }) => {
    const self = new WindowedMax()
    const seen: Array<{ readonly value: number; readonly round: number }> = []
    let round = 0
    for (const step of steps) {
      round += step.rounds
      seen.push({ value: step.value, round })
      self.update(step.value, round, LENGTH)
      const recent = seen.filter((entry) => round - entry.round <= LENGTH).map(({ value }) => value)

      assert.isAtLeast(self.value, step.value)
      assert.isAtMost(self.value, Math.max(...recent))
    }
  })

  it("keeps a maximum for its window and then falls back on the best after it", () => {
    const self = new WindowedMax()
    self.update(100, 0, LENGTH)
    for (let round = 1; round <= LENGTH; round++) {
      self.update(50 - round, round, LENGTH)
      assert.strictEqual(self.value, 100)
    }
    self.update(1, LENGTH + 1, LENGTH)

    assert.isBelow(self.value, 100)
    assert.isAbove(self.value, 30)
  })
})

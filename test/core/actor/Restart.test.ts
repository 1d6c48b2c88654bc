import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import * as Restart from "../../../src/core/actor/Restart.ts"

/** Sums of these often meet the period of 1000 exactly. */
const Gaps = Schema.Array(Schema.Literals([0, 1, 250, 500, 999])).check(Schema.isMinLength(5))

describe("Restart", () => {
  it.prop(
    "allows a restart exactly when fewer than `intensity` lie within the period",
    { gaps: Gaps, intensity: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 4 })) },
    ({ gaps, intensity }) => {
      const limit = { intensity, periodMs: 1000 }
      const allowedAtMs: Array<number> = []
      let history: Restart.RestartHistory = []
      let nowMs = 0
      for (const gapMs of gaps) {
        nowMs += gapMs
        const recent = allowedAtMs.filter((atMs) => nowMs - atMs < limit.periodMs)
        const recorded = Restart.record(history, limit, nowMs)
        assert.strictEqual(recorded !== undefined, recent.length < intensity)
        if (recorded === undefined) continue
        allowedAtMs.push(nowMs)
        history = recorded
        assert.isAtMost(history.length, intensity)
      }
    }
  )
})

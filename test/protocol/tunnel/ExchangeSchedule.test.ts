import { assert, describe, it } from "@effect/vitest"
import { Arbitrary } from "effect"
import * as ExchangeSchedule from "../../../src/protocol/tunnel/ExchangeSchedule.ts"
import { element, integer, oneOf } from "../../support/Arbitraries.ts"

const steps = Arbitrary.array(oneOf<number | "ask">(integer(0, 6000), element(4000, 5000), element("ask")), {
  minLength: 30,
  maxLength: 60
})

describe("ExchangeSchedule", () => {
  it.prop(
    "repeats never sooner than 4 s apart, but for the first, and is next due in the future (wire §6.4 a)",
    { steps },
    ({ steps }) => {
      let schedule = ExchangeSchedule.begin(0)
      let nowMs = 0
      let sentAtMs = 0
      for (const step of steps) {
        if (step === "ask") schedule = ExchangeSchedule.wantAgain(schedule)
        else nowMs += step
        const due = ExchangeSchedule.due(schedule, nowMs)
        if (due._tag === "Wait") continue
        assert.isAtLeast(nowMs - sentAtMs, [1000, 3000][schedule.sent - 1] ?? 4000)
        if (due._tag === "GiveUp") {
          assert.strictEqual(schedule.sentInRound, 6)
          return
        }
        assert.strictEqual(due.schedule.sent, schedule.sent + 1)
        assert.isAbove(due.schedule.dueAtMs, nowMs)
        schedule = due.schedule
        sentAtMs = nowMs
      }
    }
  )

  it("counts asking again only after the first repeat", () => {
    const begun = ExchangeSchedule.begin(0)
    assert.isFalse(ExchangeSchedule.wantAgain(begun).isWantedAgain)

    const due = ExchangeSchedule.due(begun, 4000)
    assert.isTrue(due._tag === "Repeat" && ExchangeSchedule.wantAgain(due.schedule).isWantedAgain)
  })
})

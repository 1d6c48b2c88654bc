import { assert, describe, it } from "@effect/vitest"
import { Duration, Schema } from "effect"
import * as DurationText from "../../../src/core/data/DurationText.ts"

const ms = (text: string): number | undefined => {
  const parsed = DurationText.parse(text)
  return parsed === undefined ? undefined : Duration.toMillis(parsed)
}

describe("DurationText", () => {
  it("reads units and plain seconds (cli §1.1)", () => {
    assert.deepStrictEqual(
      ["30s", "1m30s", "250ms", "1.5h", "2", "0.5", "0s"].map(ms),
      [30_000, 90_000, 250, 5_400_000, 2000, 500, 0]
    )
  })

  it("refuses anything else, negative and endless included", () => {
    const wrong = [
      "",
      "s",
      "-1s",
      "1 s",
      "1d",
      "1e3",
      "Infinity",
      "NaN",
      "9".repeat(30),
      `${"1h".repeat(40)}`,
      "10000h"
    ]
    assert.deepStrictEqual(
      wrong.map(ms),
      wrong.map(() => undefined)
    )
  })

  it("prints what the messages of the reference print", () => {
    const texts = [0, 250, 1000, 30_000, 90_000, 3_600_000, 3_661_000].map((value) =>
      DurationText.format(Duration.millis(value))
    )
    assert.deepStrictEqual(texts, ["0s", "250ms", "1s", "30s", "1m30s", "1h0m0s", "1h1m1s"])
  })

  it.prop(
    "reads back what it prints, to the millisecond",
    { value: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 31_000_000_000 })) },
    ({ value }) => {
      assert.strictEqual(ms(DurationText.format(Duration.millis(value))), value === 0 ? 0 : value)
    }
  )

  it.prop("never throws", { text: Schema.String }, ({ text }) => {
    const parsed = DurationText.parse(text)
    assert.isTrue(parsed === undefined || Duration.toMillis(parsed) >= 0)
  })
})

import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import * as UtcInstant from "../../../src/core/data/UtcInstant.ts"

describe("UtcInstant", () => {
  it.prop(
    "reads what Date writes",
    { ms: Schema.Int.check(Schema.isBetween({ minimum: -62e12, maximum: 253e12 })) },
    ({ ms }) => {
      const text = new Date(ms).toISOString()
      if (/^\d{4}-/.test(text)) assert.strictEqual(UtcInstant.parse(text), ms + 0)
    }
  )

  it("knows offsets and fractions, and no days that there are not", () => {
    assert.strictEqual(UtcInstant.parse("1970-01-01T01:00:00+01:00"), 0)
    assert.strictEqual(UtcInstant.parse("1969-12-31T23:30:00.5-00:30"), 500)
    for (const text of ["", "2026-12-01", "2026-02-29T00:00:00Z", "1900-02-29T00:00:00Z", "2026-13-01T00:00:00Z"])
      assert.isUndefined(UtcInstant.parse(text))
    for (const text of [
      "2026-12-01T24:00:00Z",
      "2026-12-01T00:60:00Z",
      "2026-12-01T00:00:00",
      "2026-12-01T00:00:00+24:00"
    ])
      assert.isUndefined(UtcInstant.parse(text))
    assert.isDefined(UtcInstant.parse("2000-02-29T00:00:00Z"))
  })
})

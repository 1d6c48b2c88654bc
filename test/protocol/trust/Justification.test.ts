import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import * as Bytes from "../../../src/core/data/Bytes.ts"
import * as Justification from "../../../src/protocol/trust/Justification.ts"

describe("Justification", () => {
  it("strips what could rewrite a terminal or turn a line around (node §2.3)", () => {
    assert.strictEqual(Justification.clean("a\u001b[31mb\r\n\u202ec\u2028d\ue000e\u0000é☕"), "a[31mbcdeé☕")
  })

  it.prop(
    "is at most 1024 bytes, cut at a character",
    { text: Schema.String, times: Schema.Int },
    ({ text, times }) => {
      const long = text.repeat(1 + (Math.abs(times) % 600))
      const cleaned = Justification.clean(long)

      assert.isAtMost(Bytes.fromUtf8(cleaned).length, 1024)
      assert.strictEqual(Bytes.toUtf8(Bytes.fromUtf8(cleaned)), cleaned)
      assert.strictEqual(Justification.clean(cleaned), cleaned)
    }
  )

  it.prop(
    "loses less than one character to the cut",
    { size: Schema.Int.check(Schema.isBetween({ minimum: 4, maximum: 64 })) },
    ({ size }) => {
      for (const character of ["a", "é", "☕", "😀"]) {
        const bytes = Bytes.fromUtf8(Justification.cut(character.repeat(64), size)).length
        assert.isAbove(bytes, size - Bytes.fromUtf8(character).length)
        assert.isAtMost(bytes, size)
      }
    }
  )
})

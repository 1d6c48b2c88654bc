import { assert, describe, it } from "@effect/vitest"
import { Arbitrary } from "effect"
import * as PlainText from "../../../src/protocol/mcp/PlainText.ts"
import { integer, oneOf } from "../../support/Arbitraries.ts"

/** Ranges where the tricks are, and others. */
const point = oneOf(
  integer(0, 0x2ff),
  integer(0x2000, 0x2070),
  integer(0xfe00, 0xfeff),
  integer(0xe0000, 0xe01ef),
  integer(0, 0xd7ff)
)

describe("PlainText", () => {
  it.each([
    ["an escape sequence", "\u001b[2Jhi", "[2Jhi", 1],
    ["a C1 control", "a\u009bb", "ab", 1],
    ["zero-width characters", "pass\u200bword\u2060\ufeff", "password", 3],
    ["bidirectional overrides", "\u202etxt.exe\u202c", "txt.exe", 2],
    ["tags that spell a command", "ok\u{e0001}\u{e0041}\u{e007f}", "ok", 3],
    ["variation selectors in a row", "x\ufe0f\ufe0e\u{e0100}", "x\ufe0f", 2],
    ["nothing", "Größe\t1\n2 – 日本語 🎉", "Größe\t1\n2 – 日本語 🎉", 0]
  ])("takes out %s", (_, text, cleaned, hidden) => {
    assert.deepStrictEqual(PlainText.clean(text), { text: cleaned, hidden })
  })

  it.prop(
    "leaves nothing for a second pass, and never more than one line",
    { points: Arbitrary.array(point, { maxLength: 40 }) },
    ({ points }) => {
      const text = String.fromCodePoint(...points)
      const once = PlainText.clean(text).text
      assert.deepStrictEqual(PlainText.clean(once), { text: once, hidden: 0 })
      assert.notMatch(PlainText.line(text, 20), /[\n\r\t]/)
      assert.isAtMost([...PlainText.line(text, 20)].length, 20)
    }
  )
})

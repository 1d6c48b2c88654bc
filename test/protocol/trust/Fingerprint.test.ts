import { assert, describe, it } from "@effect/vitest"
import * as Fingerprint from "../../../src/protocol/trust/Fingerprint.ts"
import { bytesOf, integer } from "../../support/Arbitraries.ts"

const DIGEST = Uint8Array.from({ length: 32 }, (_, index) => index * 7)

describe("Fingerprint", () => {
  it("shows 160 bits in eight groups of four", () => {
    assert.strictEqual(Fingerprint.format(DIGEST), "003G-W58W-4CN3-2E1Z-8S6N-8PV2-D5R7-EZM5")
  })

  it("understands what people type for it", () => {
    const shown = Fingerprint.format(DIGEST)

    for (const typed of [shown, shown.toLowerCase(), shown.replaceAll("-", ""), ` ${shown.replaceAll("-", " ")}\n`])
      assert.isTrue(Fingerprint.matches(typed, shown), typed)
    assert.isTrue(Fingerprint.matches("oo3g:w58w:4cn3:2eiz:8s6n:8pv2:d5r7:ezm5", shown))
    assert.isTrue(Fingerprint.matches("OO3G-W58W-4CN3-2ELZ-8S6N-8PV2-D5R7-EZM5", shown))
  })

  it("refuses a part of it, more than it, and other characters", () => {
    const shown = Fingerprint.format(DIGEST)

    for (const typed of [
      "",
      shown.slice(0, 19),
      shown.slice(0, -1),
      `${shown}0`,
      shown.replace("G", "U"),
      shown.replace("G", "é")
    ]) {
      assert.isUndefined(Fingerprint.parse(typed), typed)
      assert.isFalse(Fingerprint.matches(typed, shown), typed)
    }
  })

  it.prop(
    "tells any two digests apart that differ in the first 160 bits",
    { digest: bytesOf(32), bit: integer(0, 159) },
    ({ digest, bit }) => {
      const other = Uint8Array.from(digest)
      other[bit >> 3]! ^= 0x80 >> (bit & 7)

      assert.strictEqual(Fingerprint.parse(Fingerprint.format(digest)), Fingerprint.format(digest))
      assert.isFalse(Fingerprint.matches(Fingerprint.format(other), Fingerprint.format(digest)))
    }
  )
})

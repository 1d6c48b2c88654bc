import { assert, describe, it } from "@effect/vitest"
import * as NativeCrc32 from "../../../src/core/crypto/NativeCrc32.ts"
import * as Crc32 from "../../../src/core/data/Crc32.ts"
import * as Arb from "../../support/Arbitraries.ts"

describe("NativeCrc32", () => {
  it.prop(
    "agrees with the portable tables below and above the native length",
    { seed: Arb.bytesOf(700), end: Arb.integer(0, 700) },
    (given) => {
      const first = Crc32.update(0, given.seed, 0, 7)
      const end = Math.max(7, given.end)
      assert.strictEqual(NativeCrc32.update(first, given.seed, 7, end), Crc32.update(first, given.seed, 7, end))
    }
  )
})

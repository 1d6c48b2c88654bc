import { crc32 } from "node:zlib"
import { assert, describe, it } from "@effect/vitest"
import * as Crc32 from "../../../src/core/data/Crc32.ts"
import * as Arb from "../../support/Arbitraries.ts"
import { hex } from "../../support/Vectors.ts"
import vectors from "../../vectors/wire.json" with { type: "json" }

describe("Crc32", () => {
  for (const vector of vectors.checksum.vectors)
    it(`vector ${vector.name}`, () => {
      assert.strictEqual(Crc32.checksum(hex(vector.data)), Number.parseInt(vector.crc32, 16))
    })

  it.prop(
    "agrees with zlib on any length and alignment",
    { data: Arb.bytes(100), start: Arb.integer(0, 20) },
    (given) => {
      const start = Math.min(given.start, given.data.length)
      assert.strictEqual(Crc32.update(0, given.data, start, given.data.length), crc32(given.data.subarray(start)))
    }
  )

  it.prop("piece by piece equals at once", { data: Arb.bytes(100), cut: Arb.integer(0, 100) }, ({ cut, data }) => {
    const middle = Math.min(cut, data.length)
    const first = Crc32.update(0, data, 0, middle)
    assert.strictEqual(Crc32.update(first, data, middle, data.length), Crc32.checksum(data))
  })
})

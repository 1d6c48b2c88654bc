import { assert, describe, it } from "@effect/vitest"
import * as SerialNumber from "../../../src/core/data/SerialNumber.ts"
import * as Arb from "../../support/Arbitraries.ts"

const HALF = 2 ** 31

describe("SerialNumber", () => {
  it.prop(
    "moving and measuring are inverse",
    { a: Arb.unsigned(32), way: Arb.integer(-HALF, HALF - 1) },
    ({ a, way }) => {
      const moved = SerialNumber.add(a, way)

      assert.strictEqual(SerialNumber.difference(moved, a), way)
      assert.strictEqual(BigInt(moved), BigInt.asUintN(32, BigInt(a) + BigInt(way)))
    }
  )

  it.prop(
    "is after what lies less than half a circle behind (RFC 1982 §3.2)",
    { a: Arb.unsigned(32), b: Arb.unsigned(32) },
    ({ a, b }) => {
      const behind = Number((BigInt(a) - BigInt(b) + BigInt(SerialNumber.MODULUS)) % BigInt(SerialNumber.MODULUS))

      assert.strictEqual(SerialNumber.isAfter(a, b), behind > 0 && behind < HALF)
      assert.strictEqual(SerialNumber.isAtOrAfter(a, b), behind < HALF)
    }
  )

  it.prop(
    "max and min pick the two numbers, in order",
    { a: Arb.unsigned(32), way: Arb.integer(0, HALF - 1) },
    ({ a, way }) => {
      const b = SerialNumber.add(a, way)

      assert.strictEqual(SerialNumber.max(a, b), b)
      assert.strictEqual(SerialNumber.max(b, a), b)
      assert.strictEqual(SerialNumber.min(a, b), a)
      assert.strictEqual(SerialNumber.min(b, a), a)
    }
  )

  it("numbers half a circle apart are after in neither direction (RFC 1982 §3.2)", () => {
    assert.isFalse(SerialNumber.isAfter(HALF, 0))
    assert.isFalse(SerialNumber.isAfter(0, HALF))
  })
})

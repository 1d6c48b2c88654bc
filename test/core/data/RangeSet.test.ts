import { assert, describe, it } from "@effect/vitest"
import { Arbitrary } from "effect"
import * as RangeSet from "../../../src/core/data/RangeSet.ts"
import * as SerialNumber from "../../../src/core/data/SerialNumber.ts"
import * as Arb from "../../support/Arbitraries.ts"

const Operations = Arbitrary.array(
  Arbitrary.all({ insert: Arb.element(true, true, false), start: Arb.integer(0, 40), length: Arb.integer(-3, 12) }),
  { maxLength: 14 }
)
type Operation = { readonly insert: boolean; readonly start: number; readonly length: number }

/** Applies the operations, every number moved by `base`, to a set and to a naive one. */
const run = (initial: RangeSet.RangeSet, operations: ReadonlyArray<Operation>, at: (value: number) => number) => {
  const naive = new Set<number>()
  const set = operations.reduce((self, { insert, start, length }) => {
    for (let value = start; value < start + length; value++) insert ? naive.add(value) : naive.delete(value)
    const change = insert ? RangeSet.insert : RangeSet.remove
    return change(self, at(start), at(start + length))
  }, initial)
  return { set, naive }
}

const identity = (value: number) => value
const VALUES = Array.from({ length: 60 }, (_, index) => index - 2)

describe("RangeSet", () => {
  it.prop("holds what a plain set holds", { operations: Operations }, ({ operations }) => {
    const { naive, set } = run(RangeSet.empty, operations, identity)

    assert.deepStrictEqual(
      VALUES.filter((value) => RangeSet.has(set, value)),
      VALUES.filter((value) => naive.has(value))
    )
    assert.strictEqual(RangeSet.count(set), naive.size)
  })

  it.prop("ranges are ascending, not empty and never touch", { operations: Operations }, ({ operations }) => {
    const { ranges } = run(RangeSet.empty, operations, identity).set

    for (const [index, range] of ranges.entries()) {
      assert.isBelow(range.start, range.end)
      if (index > 0) assert.isAbove(range.start, ranges[index - 1]!.end)
    }
  })

  it.prop(
    "serial numbers behave the same across the wrap (RFC 1982)",
    { operations: Operations, base: Arb.unsigned(32) },
    ({ base, operations }) => {
      const move = (value: number) => SerialNumber.add(base, value)
      const plain = run(RangeSet.empty, operations, identity).set
      const serial = run(RangeSet.emptySerial, operations, move).set

      assert.deepStrictEqual(
        serial.ranges,
        plain.ranges.map(({ start, end }) => ({ start: move(start), end: move(end) }))
      )
    }
  )

  it.prop(
    "gaps and members make up the whole",
    { operations: Operations, start: Arb.integer(0, 30), length: Arb.integer(0, 30) },
    (given) => {
      const { naive, set } = run(RangeSet.empty, given.operations, identity)
      const end = given.start + given.length
      const missing = RangeSet.gaps(set, given.start, end)

      const expected = VALUES.filter((value) => value >= given.start && value < end && !naive.has(value))
      assert.deepStrictEqual(
        VALUES.filter((value) => missing.some((gap) => gap.start <= value && value < gap.end)),
        expected
      )
      assert.strictEqual(RangeSet.hasAll(set, given.start, end), expected.length === 0)
    }
  )
})

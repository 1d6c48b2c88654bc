import { assert, describe, it } from "@effect/vitest"
import { Arbitrary } from "effect"
import { SortedList } from "../../../src/core/data/SortedList.ts"
import * as Arb from "../../support/Arbitraries.ts"

describe("SortedList", () => {
  const step = Arbitrary.all({ isAdd: Arb.element(true, true, false), value: Arb.integer(0, 30) })

  it.prop(
    "is the set of what was added and not removed, its first the least",
    { steps: Arbitrary.array(step) },
    ({ steps }) => {
      const list = new SortedList<number>((a, b) => a - b)
      const naive = new Set<number>()
      for (const { isAdd, value } of steps) {
        if (isAdd) {
          list.add(value)
          naive.add(value)
        } else assert.strictEqual(list.remove(value), naive.delete(value))
        assert.strictEqual(list.size, naive.size)
        assert.strictEqual(list.first, naive.size === 0 ? undefined : Math.min(...naive))
      }
    }
  )
})

import { assert, describe, it } from "@effect/vitest"
import { Arbitrary } from "effect"
import { Deadlines } from "../../../src/core/data/Deadlines.ts"
import * as Arb from "../../support/Arbitraries.ts"

const Operations = Arbitrary.array(
  Arbitrary.all({
    operation: Arb.element("set", "set", "setEarlier", "clear", "take"),
    name: Arb.element("a", "b", "c", "d"),
    atMs: Arb.integer(0, 9)
  }),
  { maxLength: 40 }
)

describe("Deadlines", () => {
  it.prop("gives each deadline once, the earliest first", { operations: Operations }, ({ operations }) => {
    const deadlines = new Deadlines<"a" | "b" | "c" | "d">()
    const naive = new Map<string, number>()

    for (const { atMs, name, operation } of operations) {
      if (operation === "set") {
        deadlines.set(name, atMs)
        naive.set(name, atMs)
      } else if (operation === "setEarlier") {
        deadlines.setEarlier(name, atMs)
        naive.set(name, Math.min(atMs, naive.get(name) ?? atMs))
      } else if (operation === "clear") {
        deadlines.clear(name)
        naive.delete(name)
      } else {
        const due = deadlines.takeDue(atMs)
        const earliestMs = Math.min(...naive.values())
        if (due === undefined) assert.isAbove(earliestMs, atMs)
        else assert.strictEqual(naive.get(due), earliestMs)
        if (due !== undefined) naive.delete(due)
      }
      assert.strictEqual(deadlines.earliestMs, naive.size === 0 ? undefined : Math.min(...naive.values()))
      assert.strictEqual(deadlines.get(name), naive.get(name))
      assert.strictEqual(deadlines.isDue(name, 5), (naive.get(name) ?? 99) <= 5)
    }
    deadlines.clearAll()
    assert.isUndefined(deadlines.earliestMs)
  })
})

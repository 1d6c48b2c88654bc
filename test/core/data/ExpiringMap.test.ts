import { assert, describe, it } from "@effect/vitest"
import { Arbitrary } from "effect"
import { ExpiringMap } from "../../../src/core/data/ExpiringMap.ts"
import * as Arb from "../../support/Arbitraries.ts"

const Operations = Arbitrary.array(
  Arbitrary.all({
    operation: Arb.element("set", "set", "get", "delete", "prune"),
    key: Arb.integer(0, 6),
    waitMs: Arb.element(0, 0, 1, 5, 10, 11)
  }),
  { maxLength: 60 }
)
const LIFE_MS = 10

describe("ExpiringMap", () => {
  it.prop(
    "holds the youngest entries, each for its life",
    { operations: Operations, entriesMax: Arb.integer(0, 5) },
    (given) => {
      const map = new ExpiringMap<number, number>({ entriesMax: given.entriesMax, lifeMs: LIFE_MS })
      let naive: ReadonlyArray<{ readonly key: number; readonly value: number; readonly atMs: number }> = []
      let nowMs = 0

      for (const [value, { key, operation, waitMs }] of given.operations.entries()) {
        nowMs += waitMs
        naive = naive.filter(({ atMs }) => nowMs - atMs < LIFE_MS)
        const found = naive.find((entry) => entry.key === key)
        if (operation === "set") {
          map.set(key, value, nowMs)
          naive = [...naive.filter((entry) => entry.key !== key), { key, value, atMs: nowMs }].slice(
            -given.entriesMax || 99
          )
        } else if (operation === "get") {
          assert.strictEqual(map.get(key, nowMs), found?.value)
          assert.strictEqual(map.has(key, nowMs), found !== undefined)
        } else if (operation === "delete") {
          assert.strictEqual(map.delete(key, nowMs), found !== undefined)
          naive = naive.filter((entry) => entry.key !== key)
        } else map.prune(nowMs)

        assert.deepStrictEqual(
          map.entries(nowMs),
          naive.map(({ key, value }) => [key, value] as const)
        )
        assert.strictEqual(map.size(nowMs), naive.length)
        assert.strictEqual(map.deadlineMs(), naive[0] === undefined ? undefined : naive[0].atMs + LIFE_MS)
      }
    }
  )

  it("pruning returns what expired, oldest first", () => {
    const map = new ExpiringMap<string, number>({ entriesMax: 9, lifeMs: LIFE_MS })
    map.set("a", 1, 0)
    map.set("b", 2, 1)
    map.set("c", 3, 5)

    assert.deepStrictEqual(map.prune(11), [
      ["a", 1],
      ["b", 2]
    ])
    assert.deepStrictEqual(map.prune(11), [])
  })
})

import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import * as Quota from "../../../src/core/data/Quota.ts"

const limits = { countMax: 5, perKeyMax: 2 }
const Moves = Schema.Array(Schema.Struct({ key: Schema.Literals(["a", "b", "c", "d"]), enters: Schema.Boolean }))

describe("Quota", () => {
  it.prop("agrees with a list of who is inside", { moves: Moves }, ({ moves }) => {
    const quota = Quota.make<string>(limits)
    const inside: Array<string> = []
    for (const { key, enters } of moves) {
      const ofKey = inside.filter((other) => other === key).length
      if (enters) {
        const admitted = inside.length < limits.countMax && ofKey < limits.perKeyMax
        assert.strictEqual(Quota.enter(quota, key), admitted)
        if (admitted) inside.push(key)
      } else {
        Quota.leave(quota, key)
        if (ofKey > 0) inside.splice(inside.indexOf(key), 1)
      }
      assert.strictEqual(quota.count, inside.length)
      assert.strictEqual(Quota.has(quota, key), inside.includes(key))
      assert.strictEqual(quota.perKey.size, new Set(inside).size)
    }
  })
})

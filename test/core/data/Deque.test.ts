import { assert, describe, it } from "@effect/vitest"
import { Arbitrary } from "effect"
import { Deque } from "../../../src/core/data/Deque.ts"
import * as Arb from "../../support/Arbitraries.ts"

describe("Deque", () => {
  it.prop(
    "behaves like an array, whichever end is used",
    {
      steps: Arbitrary.array(Arb.element("push", "push", "unshift", "shift", "insert", "remove", "clear"), {
        maxLength: 200
      })
    },
    ({ steps }) => {
      const deque = new Deque<number>()
      let model: Array<number> = []
      steps.forEach((step, index) => {
        if (step === "push") {
          deque.push(index)
          model.push(index)
        } else if (step === "unshift") {
          deque.unshift(index)
          model.unshift(index)
        } else if (step === "insert") {
          const at = (index * 7) % (model.length + 1)
          deque.insert(at, index)
          model.splice(at, 0, index)
        } else if (step === "remove") {
          const at = (index * 7) % (model.length + 1)
          deque.remove(at)
          model.splice(at, 1)
        } else if (step === "shift") assert.strictEqual(deque.shift(), model.shift())
        else if (index % 10 === 0) {
          deque.clear()
          model = []
        }
        assert.strictEqual(deque.length, model.length)
        assert.strictEqual(deque.first, model[0])
        assert.strictEqual(deque.last, model.at(-1))
        assert.deepStrictEqual(
          model.map((_, at) => deque.at(at)),
          model
        )
        assert.isUndefined(deque.at(model.length))
      })
    },
    { arbitrary: { runs: 300, size: 100 } }
  )
})

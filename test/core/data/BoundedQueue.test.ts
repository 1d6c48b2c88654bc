import { assert, describe, it } from "@effect/vitest"
import { Arbitrary } from "effect"
import { BoundedQueue } from "../../../src/core/data/BoundedQueue.ts"
import * as Arb from "../../support/Arbitraries.ts"

const Operations = Arbitrary.array(Arb.element("offer", "offer", "slide", "take", "drain"), { maxLength: 80 })

describe("BoundedQueue", () => {
  it.prop(
    "behaves like a list cut at its capacity",
    { capacity: Arb.integer(0, 20), operations: Operations },
    (given) => {
      const queue = new BoundedQueue<number>(given.capacity)
      let naive: ReadonlyArray<number> = []

      for (const [value, operation] of given.operations.entries()) {
        if (operation === "offer") {
          assert.strictEqual(queue.offer(value), naive.length < given.capacity)
          if (naive.length < given.capacity) naive = [...naive, value]
        } else if (operation === "slide") {
          const pushed = [...naive, value]
          assert.strictEqual(queue.slide(value), pushed.length > given.capacity ? pushed[0] : undefined)
          naive = pushed.slice(-given.capacity || pushed.length)
        } else if (operation === "take") {
          assert.strictEqual(queue.take(), naive[0])
          naive = naive.slice(1)
        } else {
          assert.deepStrictEqual(queue.drain(), naive)
          naive = []
        }
        assert.strictEqual(queue.size, naive.length)
        assert.strictEqual(queue.peek(), naive[0])
        assert.strictEqual(queue.isFull, naive.length >= given.capacity)
        assert.strictEqual(queue.isEmpty, naive.length === 0)
      }
    }
  )
})

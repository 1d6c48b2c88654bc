import { assert, describe, it } from "@effect/vitest"
import { LimitTable, ROWS_MAX } from "../../../src/protocol/policy/LimitTable.ts"
import { policy } from "../../support/PolicyRig.ts"

const limit = (bounds: object) => policy([{ effect: "limit", who: ["anyone"], what: ["*"], limit: bounds }]).rules

describe("LimitTable", () => {
  it("lets so many requests a minute pass, evenly again, each peer for itself", () => {
    const rules = limit({ requestsPerMinute: 60 })
    const table = new LimitTable()
    for (let count = 0; count < 60; count++) assert.strictEqual(table.take(rules, "a", 0, false, 0), 0)

    assert.strictEqual(table.take(rules, "a", 0, false, 0), 1000)
    assert.strictEqual(table.take(rules, "a", 0, false, 999), 1)
    assert.strictEqual(table.take(rules, "a", 0, false, 1000), 0)
    assert.strictEqual(table.take(rules, "b", 0, false, 1000), 0)
    assert.deepStrictEqual(table.left(rules, "b", 1000), [{ rule: "rule 1", requests: 59 }])
  })

  it("lets a request pass that is larger than the allowance, and has the next ones wait for it", () => {
    const rules = limit({ bytesPerMinute: 1000 })
    const table = new LimitTable()

    assert.strictEqual(table.take(rules, "a", 3000, false, 0), 0)
    assert.isAbove(table.take(rules, "a", 1, false, 119_999), 0)
    assert.strictEqual(table.take(rules, "a", 1, false, 120_100), 0)
  })

  it("counts those at the same time until they are released, and takes nothing if one rule refuses", () => {
    const rules = [...limit({ concurrent: 1 }), ...limit({ requestsPerMinute: 2 })]
    const own = rules.map((rule, index) => ({ ...rule, index }))
    const table = new LimitTable()

    assert.strictEqual(table.take(own, "a", 0, true, 0), 0)
    assert.isAbove(table.take(own, "a", 0, true, 0), 0)
    assert.deepStrictEqual(table.left(own, "a", 0), [
      { rule: "rule 1", concurrent: 0 },
      { rule: "rule 1", requests: 1 }
    ])
    table.release(own, "a")
    assert.strictEqual(table.take(own, "a", 0, true, 0), 0)
  })

  it("tells a stream how long to pause for what it has carried", () => {
    const rules = limit({ bytesPerMinute: 60_000 })
    const table = new LimitTable()

    assert.strictEqual(table.spend(rules, "a", 59_000, 0), 0)
    assert.strictEqual(table.spend(rules, "a", 3000, 0), 2001)
  })

  it("has room for so many rows, makes room among those at rest, and refuses beyond", () => {
    const rules = limit({ requestsPerMinute: 1 })
    const table = new LimitTable()
    for (let count = 0; count < ROWS_MAX; count++) table.take(rules, `p${count}`, 0, false, 0)

    assert.isAbove(table.take(rules, "late", 0, false, 0), 0)
    assert.strictEqual(table.size, ROWS_MAX)
    assert.strictEqual(table.take(rules, "late", 0, false, 60_000), 0)
    assert.strictEqual(table.size, 1)
  })
})

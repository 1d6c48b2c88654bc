import { assert, describe, it } from "@effect/vitest"
import { InFlight } from "../../../src/protocol/relay/InFlight.ts"

describe("InFlight", () => {
  it('0 and "0" are two calls; an escaped string is the same one (mcp §2.1)', () => {
    const calls = new InFlight()
    calls.add("0", "a", 0)
    calls.add('"0"', "b", 0)
    calls.add('"x"', "c", 0)

    assert.strictEqual(calls.settle('"0"')?.method, "b")
    assert.strictEqual(calls.settle("0")?.method, "a")
    assert.strictEqual(calls.settle('"\\u0078"')?.method, "c")
    assert.strictEqual(calls.size, 0)
  })

  it("an answer from a server that keeps ids as doubles finds its call, the exact one first", () => {
    const calls = new InFlight()
    calls.add("9007199254740993", "odd", 0)
    calls.add("9007199254740992", "even", 0)

    assert.strictEqual(calls.settle("9007199254740992")?.method, "even")
    assert.strictEqual(calls.settle("9007199254740992")?.method, "odd")
    assert.strictEqual(calls.settle("9007199254740992"), undefined)
  })

  it("a cancelled call waits no longer, and its late answer still finds it (mcp §6.8)", () => {
    const calls = new InFlight()
    calls.add("1", "tools/call", 0)
    calls.cancel("1")
    calls.cancel("2")

    assert.strictEqual(calls.size, 0)
    assert.deepStrictEqual(calls.drain(), [])
    assert.strictEqual(calls.settle("1")?.method, "tools/call")
  })

  it("cancelled calls are remembered up to a bound", () => {
    const calls = new InFlight()
    for (let id = 0; id < 300; id++) {
      calls.add(String(id), "m", 0)
      calls.cancel(String(id))
    }

    assert.strictEqual(calls.settle("0"), undefined)
    assert.strictEqual(calls.settle("299")?.id, "299")
  })

  it("a parked call is known until it is settled or goes on no longer, however many are cancelled", () => {
    const calls = new InFlight()
    for (const id of [1, 2]) calls.add(String(id), "tools/call", id)
    assert.strictEqual(calls.park("1")?.at, 1)
    calls.park("2")
    calls.park("3")
    for (let id = 10; id < 400; id++) {
      calls.add(String(id), "m", 0)
      calls.cancel(String(id))
    }

    assert.strictEqual(calls.size, 0)
    assert.strictEqual(calls.settle("1")?.at, 1)
    assert.isUndefined(calls.settle("1"))
    calls.unpark(({ at }) => at === 2)
    assert.isUndefined(calls.settle("2"))
  })

  it("drains those that match, in order", () => {
    const calls = new InFlight()
    for (const [index, id] of ["3", "1", "2"].entries()) calls.add(id, "m", index)

    assert.deepStrictEqual(
      calls.drain(({ at }) => at > 0).map(({ id }) => id),
      ["1", "2"]
    )
    assert.strictEqual(calls.size, 1)
  })
})

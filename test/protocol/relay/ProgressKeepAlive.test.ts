import { assert, describe, it } from "@effect/vitest"
import { Arbitrary } from "effect"
import { ProgressKeepAlive } from "../../../src/protocol/relay/ProgressKeepAlive.ts"
import { integer, oneOf } from "../../support/Arbitraries.ts"

const UTF8 = new TextDecoder()
const told = (signs: ReadonlyArray<Uint8Array>) =>
  signs.map((sign) => {
    const { method, params } = JSON.parse(UTF8.decode(sign))
    assert.strictEqual(method, "notifications/progress")
    return params
  })

describe("ProgressKeepAlive", () => {
  it("is silent for 15 s, then tells the call that it is waited for, with its own token (mcp §6.7)", () => {
    const alive = new ProgressKeepAlive()
    assert.isUndefined(alive.deadlineMs())
    alive.started("1", '"t"', 1000)
    assert.strictEqual(alive.deadlineMs(), 16_000)
    assert.deepStrictEqual(told(alive.due(15_999, "x")), [])
    assert.deepStrictEqual(told(alive.due(16_000, 'to "x"')), [
      { progressToken: "t", progress: 1e-6, message: 'to "x"' }
    ])
    assert.strictEqual(alive.deadlineMs(), 31_000)
    alive.ended("1")
    assert.isUndefined(alive.deadlineMs())
  })

  it("drops progress that is not above what it has told itself, and only that", () => {
    const alive = new ProgressKeepAlive()
    alive.started("1", "7", 0)
    assert.isTrue(alive.progressed("7", 3, 1000))
    assert.lengthOf(alive.due(16_000, ""), 1)
    assert.isFalse(alive.progressed("7", 3, 17_000))
    assert.isTrue(alive.progressed("7", 4, 18_000))
    // A server that repeats itself without any sign of ours in between is the client's affair.
    assert.isTrue(alive.progressed("7", 4, 19_000))
    assert.isTrue(alive.progressed("8", 1, 19_000))
  })

  it.prop(
    "what a client hears of one call always increases if what the server says does",
    { steps: Arbitrary.array(oneOf(integer(0, 40_000)), { maxLength: 60 }) },
    ({ steps }) => {
      const alive = new ProgressKeepAlive()
      alive.started("1", "1", 0)
      const heard: Array<number> = []
      let nowMs = 0
      let server = 0
      for (const step of steps) {
        nowMs += step
        for (const { progress } of told(alive.due(nowMs, ""))) heard.push(progress)
        if (step % 2 === 0 && alive.progressed("1", ++server / 4, nowMs)) heard.push(server / 4)
      }
      for (let at = 1; at < heard.length; at++) assert.isAbove(heard[at] ?? 0, heard[at - 1] ?? 0)
    }
  )
})

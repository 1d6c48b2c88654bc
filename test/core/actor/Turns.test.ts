import { assert, describe, it } from "@effect/vitest"
import { ROUNDS_MAX, Turns } from "../../../src/core/actor/Turns.ts"

/** A scheduler whose callbacks run when the test says so. */
const manual = () => {
  const callbacks: Array<() => void> = []
  const scheduler = {
    executionMode: "async",
    shouldYield: () => false,
    makeDispatcher: () => ({ scheduleTask: (task: () => void) => void callbacks.push(task), flush: () => {} })
  } as const
  return { callbacks, turns: Turns.of(scheduler), scheduler }
}

describe("Turns", () => {
  it("run those woken together, and those that they wake, in one callback and in order", () => {
    const { callbacks, scheduler, turns } = manual()
    const log: Array<string> = []
    turns.schedule(() => {
      log.push("a")
      turns.schedule(() => log.push("c"))
    })
    Turns.of(scheduler).schedule(() => log.push("b"))

    assert.deepStrictEqual(log, [])
    assert.lengthOf(callbacks, 1)
    callbacks.shift()?.()
    assert.deepStrictEqual(log, ["a", "b", "c"])
    assert.lengthOf(callbacks, 0)
  })

  it("that wake each other for ever leave room for others after some rounds", () => {
    const { callbacks, turns } = manual()
    let count = 0
    const again = () => {
      count++
      turns.schedule(again)
    }
    turns.schedule(again)
    callbacks.shift()?.()

    assert.strictEqual(count, ROUNDS_MAX)
    assert.lengthOf(callbacks, 1)
  })

  it("run at once for a callback that brings work, but never inside of a turn", () => {
    const { callbacks, turns } = manual()
    const log: Array<string> = []
    turns.schedule(() => {
      turns.schedule(() => log.push("second"))
      turns.run()
      log.push("first")
    })
    turns.run()

    assert.deepStrictEqual(log, ["first", "second"])
    callbacks.shift()?.()
    turns.schedule(() => log.push("third"))
    assert.lengthOf(callbacks, 1)
  })
})

import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { TaskWaiters } from "../../../src/actors/services/tasks/TaskWaiters.ts"

const no = () => false

describe("TaskWaiters", () => {
  const waiting = (waiters: TaskWaiters, ...names: ReadonlyArray<string>) =>
    Effect.forkChild(waiters.wait(names, no), { startImmediately: true })
  const isWoken = (fiber: Fiber.Fiber<unknown>) => fiber.pollUnsafe() !== undefined

  it.effect("wakes who has waited longest, once, whatever else that one waits for", () =>
    Effect.gen(function* () {
      const waiters = new TaskWaiters()
      const [first, second, third] = [
        yield* waiting(waiters, "a", "b"),
        yield* waiting(waiters, "b"),
        yield* waiting(waiters, "a")
      ]
      waiters.wake("a")
      assert.deepStrictEqual([first, second, third].map(isWoken), [true, false, false])
      waiters.wake("b")
      assert.deepStrictEqual([first, second, third].map(isWoken), [true, true, false])
      waiters.wake("b")
      assert.isFalse(isWoken(third))
      waiters.wakeAll("a")
      assert.isTrue(isWoken(third))
      yield* waiters.wait(["a"], () => true)
    })
  )

  it.effect("who goes away wakes the next, also if it was woken before", () =>
    Effect.gen(function* () {
      const waiters = new TaskWaiters()
      const leaving = yield* Effect.forkChild(
        waiters.looking(["a"], Effect.andThen(waiters.wait(["a"], no), Effect.never)),
        { startImmediately: true }
      )
      const [second, third] = [yield* waiting(waiters, "a"), yield* waiting(waiters, "a")]
      waiters.wake("a")
      assert.isFalse(isWoken(second))
      yield* Fiber.interrupt(leaving)
      assert.deepStrictEqual([second, third].map(isWoken), [true, false])

      yield* Fiber.interrupt(third)
      waiters.wake("a")
    })
  )
})

import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { Signal } from "../../../src/core/actor/Signal.ts"

describe("Signal", () => {
  it.effect("wakes all who wait, once, and remembers nothing", () =>
    Effect.gen(function* () {
      const signal = new Signal()
      const woken: Array<string> = []
      const wait = (name: string) =>
        Effect.forkChild(
          Effect.map(signal.wait, () => woken.push(name)),
          { startImmediately: true }
        )
      signal.raise()
      const first = yield* wait("first")
      const second = yield* wait("second")
      assert.isTrue(signal.isAwaited)
      signal.raise()
      signal.raise()
      yield* Fiber.joinAll([first, second])
      const third = yield* wait("third")

      assert.deepStrictEqual(woken, ["first", "second"])
      assert.isUndefined(third.pollUnsafe())
      yield* Fiber.interrupt(third)
      assert.isFalse(signal.isAwaited)
    })
  )

  it.effect("one who waits for what is there already does not wait", () =>
    Effect.gen(function* () {
      const signal = new Signal()
      let isThere = false
      const waiting = yield* Effect.forkChild(
        signal.waitUnless(() => isThere),
        { startImmediately: true }
      )
      isThere = true
      yield* signal.waitUnless(() => isThere)
      assert.isUndefined(waiting.pollUnsafe())
      signal.raise()
      yield* Fiber.join(waiting)
    })
  )

  it.effect("one who waits again while being woken waits for the next time", () =>
    Effect.gen(function* () {
      const signal = new Signal()
      let times = 0
      const counting = yield* Effect.forkChild(Effect.forever(Effect.map(signal.wait, () => times++)), {
        startImmediately: true
      })
      for (let raised = 1; raised <= 3; raised++) {
        signal.raise()
        yield* Effect.yieldNow
        assert.strictEqual(times, raised)
      }
      yield* Fiber.interrupt(counting)
    })
  )
})

import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import * as Bytes from "../../../src/core/data/Bytes.ts"
import * as HandoverPair from "../../../src/core/net/HandoverPair.ts"

describe("HandoverPair", () => {
  it.effect("a write succeeds when its reader comes back for more, not before", () =>
    Effect.gen(function* () {
      const [near, far] = yield* HandoverPair.make
      const order: Array<string> = []
      const write = (text: string) => Effect.map(near.write(Bytes.fromUtf8(text)), () => order.push(`wrote ${text}`))
      const first = yield* Effect.forkChild(write("a"), { startImmediately: true })
      const second = yield* Effect.forkChild(write("b"), { startImmediately: true })

      order.push(`read ${Bytes.toUtf8(yield* far.read)}`)
      for (let turn = 0; turn < 10; turn++) yield* Effect.yieldNow
      order.push("done with a")
      order.push(`read ${Bytes.toUtf8(yield* far.read)}`)
      yield* Fiber.join(first)
      yield* Effect.forkChild(far.read, { startImmediately: true })
      yield* Fiber.join(second)

      assert.deepStrictEqual(order, ["read a", "done with a", "wrote a", "read b", "wrote b"])
    })
  )

  it.effect("whoever waits for a side that has ended waits no longer", () =>
    Effect.gen(function* () {
      const [near, far] = yield* HandoverPair.make
      const waiting = yield* Effect.forkChild(near.write(Bytes.fromUtf8("a")), { startImmediately: true })
      yield* far.end
      yield* Fiber.join(waiting)
      yield* near.write(Bytes.fromUtf8("b"))
      assert.isTrue((yield* Effect.exit(near.read))._tag === "Failure")
    })
  )
})

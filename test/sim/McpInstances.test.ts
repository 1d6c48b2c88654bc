import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Random, Schema } from "effect"
import { Tool, Toolkit } from "effect/ai"
import * as Mcp from "../../src/api/Mcp.ts"
import type { SimLink } from "../../src/testing/SimLink.ts"
import * as SimNet from "../../src/testing/SimNet.ts"
import { PATIENCE_MS } from "./Patience.ts"

const Where = Tool.make("where", {
  parameters: Schema.Struct({ n: Schema.Int }),
  success: Schema.Struct({ host: Schema.String, n: Schema.Int })
})
const Kit = Toolkit.make(Where)

/** A call, in the order in which calls were answered. `host` is who answered. */
interface Answered {
  readonly n: number
  readonly host: string
  readonly atMs: number
}

/** Links as they are outside of laboratories; the measurements see both. */
const linkOf = (rttMs: number): SimLink => ({ rttMs, jitterMs: 4, loss: 0.005 })
const RTT_MS = { near: 10, middle: 70, far: 250 }
const CALLERS = 3

/** Three hosts that expose one service to `user`, who has mounted all of them and calls without end. */
const stage = Effect.fnUntraced(function* (net: SimNet.SimNet) {
  const user = yield* net.node("user", { nat: "portRestrictedCone", link: linkOf(10) })
  const carriedOut: Array<number> = []
  const hosted = Effect.fnUntraced(function* (name: keyof typeof RTT_MS) {
    const host = yield* net.node(name, { nat: "portRestrictedCone", link: linkOf(RTT_MS[name]) })
    yield* net.trust(user, host)
    const handlers = Kit.toLayer({
      where: ({ n }) => {
        carriedOut.push(n)
        return Effect.as(Effect.sleep("40 millis"), { host: name, n })
      }
    })
    yield* host.run(Mcp.expose("where", Mcp.toolkit(Kit, handlers), { allow: ["user"] }))
    return host
  })
  const near = yield* hosted("near")
  const middle = yield* hosted("middle")
  const far = yield* hosted("far")

  const answered: Array<Answered> = []
  const failed: Array<string> = []
  let asked = 0
  // The nearest is not the first, so that it is chosen by measurements.
  const server = yield* user.run(Mcp.connect(["far/where", "middle/where", "near/where"]))
  const kit = yield* user.run(Mcp.typed(server, Kit))
  const caller = Effect.gen(function* () {
    while (true) {
      const n = asked++
      yield* user.run(kit.where({ n })).pipe(
        Effect.match({
          onSuccess: (answer) => {
            if (answer.n === n) answered.push({ n, host: answer.host, atMs: net.nowMs() })
            else failed.push(`${n} got the answer of ${answer.n}`)
          },
          onFailure: (error) => void failed.push(`${n}: ${error.message}`)
        })
      )
      yield* Effect.sleep(500 + (yield* Random.next) * 1500)
    }
  })
  const callers = yield* Effect.forEach(Array.from({ length: CALLERS }), () => Effect.forkScoped(caller))
  const since = (ms: number) => answered.filter(({ atMs }) => atMs >= ms)
  return { near, middle, far, callers, carriedOut, answered, failed, since }
})

/** Who answered, one word for each time that it was another. */
const turns = (answers: ReadonlyArray<Answered>): ReadonlyArray<string> =>
  answers.map(({ host }) => host).filter((host, index, all) => host !== all[index - 1])

describe("three instances behind one mount, on the simulated network", { timeout: PATIENCE_MS }, () => {
  for (const seed of [41, 42]) {
    it.effect(
      `the nearest degrades and heals: one move each way, and every call is carried out once (seed ${seed})`,
      () =>
        SimNet.run({ seed }, (net) =>
          Effect.gen(function* () {
            const { answered, callers, carriedOut, failed, near, since } = yield* stage(net)
            yield* net.sleep("1 minute")
            const degradedAtMs = net.nowMs()
            assert.deepStrictEqual(turns(since(degradedAtMs - 10_000)), ["near"])

            yield* net.setLink(near, { rttMs: 700, jitterMs: 100, loss: 0.08 })
            yield* net.sleep("2 minutes")
            const healedAtMs = net.nowMs()
            assert.deepStrictEqual(turns(since(degradedAtMs)), ["near", "middle"])
            const switched = since(degradedAtMs).find(({ host }) => host === "middle")
            assert.isBelow((switched?.atMs ?? 0) - degradedAtMs, 60_000)

            yield* net.setLink(near, linkOf(RTT_MS.near))
            yield* net.sleep("3 minutes")
            assert.deepStrictEqual(turns(since(degradedAtMs)), ["near", "middle", "near"])
            const returned = since(healedAtMs).find(({ host }) => host === "near")
            assert.isBelow((returned?.atMs ?? 0) - healedAtMs, 90_000)

            assert.deepStrictEqual(failed, [])
            yield* Fiber.interruptAll(callers)
            assert.isAbove(answered.length, 500)
            assert.strictEqual(new Set(carriedOut).size, carriedOut.length, "a call was carried out twice")
            for (const { n } of answered) assert.include(carriedOut, n)
          })
        )
    )
  }

  it.effect("the nearest loses its power: calls in doubt say so, all others are answered, and none runs twice", () =>
    SimNet.run({ seed: 44 }, (net) =>
      Effect.gen(function* () {
        const { carriedOut, failed, near, since } = yield* stage(net)
        yield* net.sleep("1 minute")
        const cutAtMs = net.nowMs()
        yield* net.cut(near)
        yield* net.sleep("2 minutes")

        assert.deepStrictEqual(turns(since(cutAtMs)), ["middle"])
        assert.isAtMost(failed.length, CALLERS, failed.join("\n"))
        for (const text of failed) assert.include(text, "Find out whether it was carried out")
        assert.strictEqual(new Set(carriedOut).size, carriedOut.length, "a call was carried out twice")

        yield* net.heal(near)
        yield* net.sleep("3 minutes")
        assert.deepStrictEqual(turns(since(cutAtMs)), ["middle", "near"])
        assert.isAtMost(failed.length, CALLERS, failed.join("\n"))
      })
    )
  )
})

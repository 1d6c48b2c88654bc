import { assert, describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import * as Pilot from "../../src/api/Pilot.ts"
import * as SimNet from "../../src/testing/SimNet.ts"
import { PATIENCE_MS } from "./Patience.ts"
import { echo, payload, readBytes, serveEcho } from "./Programs.ts"

const PORT = 4000
const PARALLEL = 50
const ROUNDS = 4
const SEEDS = [1, 2, 3, 4, 5]
const REQUEST = payload(200, 1)
const LOSSY = { rttMs: 100, loss: 0.02 }

/** Milliseconds of each request, one at a time per stream, over streams that are open. */
const openStreams = (net: SimNet.SimNet) =>
  Effect.gen(function* () {
    const connections = yield* Effect.replicateEffect(Pilot.dial("b", PORT), PARALLEL)
    const times: Array<number> = []
    for (let round = 0; round < ROUNDS; round++) {
      yield* Effect.forEach(
        connections,
        (connection) =>
          Effect.gen(function* () {
            const startedAtMs = net.nowMs()
            yield* connection.write(REQUEST)
            yield* readBytes(connection, REQUEST.length)
            times.push(net.nowMs() - startedAtMs)
          }),
        { concurrency: "unbounded" }
      )
      yield* Effect.sleep("1 second")
    }
    return times
  })

/** The same, each request on a stream of its own that is dialled for it. */
const ownStreams = (net: SimNet.SimNet) =>
  Effect.gen(function* () {
    const times: Array<number> = []
    for (let round = 0; round < ROUNDS; round++) {
      const one = Effect.gen(function* () {
        const startedAtMs = net.nowMs()
        yield* echo("b", PORT, REQUEST)
        times.push(net.nowMs() - startedAtMs)
      })
      yield* Effect.replicateEffect(one, PARALLEL, { concurrency: "unbounded" })
      yield* Effect.sleep("1 second")
    }
    return times
  })

const measure = (program: typeof openStreams | typeof ownStreams) =>
  Effect.forEach(SEEDS, (seed) =>
    SimNet.run({ seed }, (net) =>
      Effect.gen(function* () {
        const a = yield* net.node("a", { link: { rttMs: 100 } })
        const b = yield* net.node("b", { link: { rttMs: 0 }, main: serveEcho(PORT) })
        yield* net.trust(a, b)
        yield* a.run(echo("b", PORT, REQUEST))
        yield* net.setLink(a, LOSSY)
        return yield* a.run(Effect.scoped(program(net)))
      })
    )
  ).pipe(Effect.map((times) => quantiles(times.flat())))

/** Milliseconds, of sorted samples. */
const quantiles = (samples: ReadonlyArray<number>) => {
  const sorted = samples.toSorted((a, b) => a - b)
  const at = (share: number) => Math.round(sorted[Math.ceil(share * sorted.length) - 1] ?? Number.NaN)
  return { p50: at(0.5), p90: at(0.9), p99: at(0.99) }
}

describe("50 requests in parallel, 100 ms, 2 % loss (architecture: bars)", { timeout: PATIENCE_MS }, () => {
  it.effect("take a round trip, and lost ones little more than two, over streams that are open", () =>
    Effect.gen(function* () {
      const figures = yield* measure(openStreams)

      expect(figures).toMatchInlineSnapshot(`
        {
          "p50": 100,
          "p90": 100,
          "p99": 250,
        }
      `)
      assert.isAtMost(figures.p50, 105)
      assert.isAtMost(figures.p99, 260)
    })
  )

  it.effect("take one more over a stream of their own", () =>
    Effect.gen(function* () {
      const { p50, p90 } = yield* measure(ownStreams)

      expect({ p50, p90 }).toMatchInlineSnapshot(`
        {
          "p50": 200,
          "p90": 200,
        }
      `)
      assert.isAtMost(p50, 205)
    })
  )
})

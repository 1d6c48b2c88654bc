import { assert, describe, it } from "@effect/vitest"
import { Arbitrary } from "effect"
import { SourceLimiter } from "../../../src/protocol/tunnel/SourceLimiter.ts"
import { element, integer } from "../../support/Arbitraries.ts"

const RATE = 5
const arrivalsOf = (sourcesMax: number, waitsMs: ReadonlyArray<number>) =>
  Arbitrary.array(Arbitrary.all({ source: integer(1, sourcesMax), waitMs: element(...waitsMs) }), {
    minLength: 300,
    maxLength: 400
  })

/** The most that was served within any second. */
const busiest = (atMs: ReadonlyArray<number>): number =>
  Math.max(0, ...atMs.map((from) => atMs.filter((other) => other >= from && other < from + 1000).length))

/** When each arrival was served. */
const serve = (arrivals: ReadonlyArray<{ readonly source: number; readonly waitMs: number }>) => {
  const limiter = new SourceLimiter(RATE)
  const served: Array<{ readonly source: number; readonly atMs: number }> = []
  let nowMs = 0
  for (const { source, waitMs } of arrivals) {
    nowMs += waitMs
    if (limiter.take(`${source}`, nowMs)) served.push({ source, atMs: nowMs })
  }
  return served
}

describe("SourceLimiter", () => {
  it.prop(
    "serves no source more than a full bucket and its rate",
    { arrivals: arrivalsOf(8, [0, 0, 0, 0, 0, 0, 1, 50, 300]) },
    ({ arrivals }) => {
      const served = serve(arrivals)
      for (let source = 1; source <= 8; source++) {
        const times = served.filter((one) => one.source === source).map(({ atMs }) => atMs)
        assert.isAtMost(busiest(times), 2 * RATE)
      }
    }
  )

  it.prop(
    "serves all sources together no more than sixteen of them",
    { arrivals: arrivalsOf(400, [0, 0, 1, 4]) },
    ({ arrivals }) => {
      assert.isAtMost(busiest(serve(arrivals).map(({ atMs }) => atMs)), 2 * 16 * RATE)
    }
  )

  it("keeps the share of a source that returns while up to fifteen others came", () => {
    const limiter = new SourceLimiter(RATE)
    const take = (source: string) => limiter.take(source, 0)
    for (let count = 0; count < RATE; count++) assert.isTrue(take("peer"))

    for (let other = 0; other < 15; other++) assert.isTrue(take(`other ${other}`))

    assert.isFalse(take("peer"))
    assert.isTrue(limiter.take("peer", 201))
  })
})

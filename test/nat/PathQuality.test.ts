import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import * as Path from "../../src/nat/Path.ts"
import { PathQuality } from "../../src/nat/PathQuality.ts"
import { PathSelector } from "../../src/nat/PathSelector.ts"

const lan = Path.direct({ host: "192.0.2.1", port: 4000 })
const wan = Path.direct({ host: "198.51.100.7", port: 5000 })
const KEEPALIVE_MS = 30_000

describe("PathQuality", () => {
  it("counts only answers that came by its own path, in time, and once", () => {
    const quality = new PathQuality()
    quality.probed(1, 0)

    assert.isUndefined(quality.answered(2, 10))
    assert.strictEqual(quality.answered(1, 40), 40)
    assert.isUndefined(quality.answered(1, 41))
    quality.probed(3, 50)
    assert.isUndefined(quality.answered(3, 50 + 3_001))
    assert.deepStrictEqual(quality.snapshot, { sent: 2, answered: 1, rttMs: 40, loss: undefined })
  })

  it("tells the loss of the last probes, and nothing while few are decided", () => {
    const quality = new PathQuality()
    for (let sequence = 1; sequence <= 20; sequence++) {
      quality.probed(sequence, sequence * 1000)
      if (sequence % 2 === 0) quality.answered(sequence, sequence * 1000 + 20)
    }
    quality.expire(60_000)

    assert.strictEqual(quality.snapshot.loss, 0.5)
    assert.strictEqual(quality.costMs, 20 + 0.5 * 500)
  })

  it.prop(
    "a round trip is never below the least nor above the largest that was measured",
    {
      samples: Schema.Array(Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 2_000 }))).check(
        Schema.isMinLength(1)
      )
    },
    ({ samples }) => {
      const quality = new PathQuality()
      for (const [sequence, sampleMs] of samples.entries()) {
        quality.probed(sequence, sequence * 5_000)
        quality.answered(sequence, sequence * 5_000 + sampleMs)
      }
      const rttMs = quality.snapshot.rttMs ?? 0

      assert.isAtLeast(rttMs, Math.min(...samples) - 1e-6)
      assert.isAtMost(rttMs, Math.max(...samples) + 1e-6)
    }
  )
})

/** Two direct paths that work, the first in use, and a round of measuring that gives each its round trip. */
const pair = (leads: boolean) => {
  const selector = new PathSelector(leads)
  selector.opened(wan, 0)
  selector.opened(lan, 1, "Measure")
  let sequence = 0
  const measure = (nowMs: number, wanMs: number, lanMs: number): void => {
    for (const [path, rttMs] of [
      [wan, wanMs],
      [lan, lanMs]
    ] as const) {
      selector.probed(path, ++sequence, nowMs)
      selector.opened(path, nowMs + rttMs, "Measure")
      selector.answered(path, sequence, nowMs + rttMs)
    }
  }
  return { selector, measure }
}

describe("PathSelector, between direct paths", () => {
  it("the end that leads takes a clearly better one, after it has been better several times", () => {
    const { measure, selector } = pair(true)
    const chosen = Array.from({ length: 6 }, (_, round) => {
      measure(1_000 + round * 5_000, 40, 5)
      return selector.current
    })

    assert.deepStrictEqual(chosen.slice(0, 3), [wan, wan, wan])
    assert.deepStrictEqual(chosen[5], lan)
  })

  it("the end that follows does not, until the other end's frames come by it", () => {
    const { measure, selector } = pair(false)
    for (let round = 0; round < 10; round++) measure(1_000 + round * 5_000, 40, 5)
    assert.deepStrictEqual(selector.current, wan)
    selector.opened(lan, 60_000)

    assert.deepStrictEqual(selector.current, lan)
  })

  it.prop(
    "two paths of one kind do not take turns: at most one change, however their round trips vary by a tenth",
    { noise: Schema.Array(Schema.Int.check(Schema.isBetween({ minimum: 36, maximum: 44 }))) },
    ({ noise }) => {
      const { measure, selector } = pair(true)
      for (const [round, rttMs] of noise.entries()) measure(1_000 + round * 5_000, rttMs, 80 - rttMs)

      assert.deepStrictEqual(selector.current, wan)
    }
  )

  it("a path that loses half of the probes gives way to a slower one that loses none", () => {
    const { selector } = pair(true)
    for (let round = 1; round <= 16; round++) {
      const nowMs = round * 5_000
      for (const [path, sequence, rttMs] of [
        [wan, round * 2, 10],
        [lan, round * 2 + 1, 60]
      ] as const) {
        selector.probed(path, sequence, nowMs)
        if (path === wan && round % 2 === 0) continue
        selector.opened(path, nowMs + rttMs, "Measure")
        selector.answered(path, sequence, nowMs + rttMs)
      }
    }

    assert.deepStrictEqual(selector.current, lan)
  })

  it("measures what works every five seconds while frames are sent, else as seldom as translators allow; the rest seldom", () => {
    const selector = new PathSelector()
    selector.learn(Path.relay)
    selector.learn(lan)
    selector.opened(Path.relay, 0)
    selector.opened(wan, 0)
    assert.deepStrictEqual(selector.measures(0, KEEPALIVE_MS), [Path.relay, lan, wan])
    assert.strictEqual(selector.measureAtMs(KEEPALIVE_MS), KEEPALIVE_MS)
    selector.spend(wan, 100, 10)
    assert.strictEqual(selector.measureAtMs(KEEPALIVE_MS), 5_000)
    assert.strictEqual(selector.measureAtMs(4_000), 4_000)
    assert.deepStrictEqual(selector.measures(4_999, KEEPALIVE_MS), [])
  })
})

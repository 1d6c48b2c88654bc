import { assert, describe, it } from "@effect/vitest"
import { Arbitrary } from "effect"
import * as Backoff from "../../../src/core/data/Backoff.ts"
import * as Arb from "../../support/Arbitraries.ts"

const Config = Arbitrary.all({
  initialMs: Arb.element(1, 250, 1000),
  factor: Arb.element(1, 1.5, 2),
  maxMs: Arb.element(1000, 8000),
  jitter: Arb.element(0, 0.25, 1)
})
const chance = Arbitrary.map(Arb.unsigned(16), (value) => value / 65_536)

describe("Backoff", () => {
  it.prop(
    "waits between the unjittered wait and what jitter leaves of it",
    { config: Config, attempt: Arb.unsigned(16), random: chance },
    (given) => {
      const whole = Backoff.delayMs({ ...given.config, jitter: 0 }, given.attempt, given.random)
      const delay = Backoff.delayMs(given.config, given.attempt, given.random)

      assert.isAtMost(whole, given.config.maxMs)
      assert.isAtMost(delay, whole)
      assert.isAtLeast(delay, whole * (1 - given.config.jitter))
    }
  )

  it.prop(
    "never gets shorter while the chance stays",
    { config: Config, attempt: Arb.integer(0, 30), random: chance },
    (given) => {
      const [first, second] = [0, 1].map((more) => Backoff.delayMs(given.config, given.attempt + more, given.random))
      assert.isAtLeast(second!, first!)
    }
  )

  it("doubles from the initial wait up to the cap", () => {
    const config = { initialMs: 1000, factor: 2, maxMs: 8000, jitter: 0 }
    assert.deepStrictEqual(
      [0, 1, 2, 3, 4].map((attempt) => Backoff.delayMs(config, attempt, 0.5)),
      [1000, 2000, 4000, 8000, 8000]
    )
  })
})

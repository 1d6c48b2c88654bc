import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as NatMatrix from "./NatMatrix.ts"
import { PATIENCE_MS } from "./Patience.ts"

/** Many more seeds: `npm run soak -- nat`. */
const SEED = 701
/** The frames that prove keys overtook the keys, and the dialler was far from the registry. */
const OVERTAKEN = 4

describe("translators against each other, in the simulator", { timeout: PATIENCE_MS }, () => {
  it.effect("from symmetric to every kind, where proofs overtake keys", () =>
    Effect.map(NatMatrix.row(OVERTAKEN, "symmetric"), (outcomes) => NatMatrix.check(OVERTAKEN, outcomes))
  )

  for (const [index, from] of NatMatrix.kinds.entries()) {
    it.effect(`from ${from} to every kind, ten seeds`, () =>
      Effect.gen(function* () {
        const guessed: Array<NatMatrix.Outcome> = []
        for (let seed = SEED + index; seed < SEED + 10 * NatMatrix.kinds.length; seed += NatMatrix.kinds.length) {
          const outcomes = yield* NatMatrix.row(seed, from)
          if (process.env["NAT_MATRIX"] !== undefined) console.table(outcomes)
          NatMatrix.check(seed, outcomes)
          guessed.push(...outcomes.filter(({ to }) => NatMatrix.theory(from, to) === "guess"))
        }
        // 98 of 100 are so.
        const direct = guessed.filter(({ path }) => path === "direct")
        assert.isAtLeast(direct.length, 0.9 * guessed.length)
      })
    )
  }
})

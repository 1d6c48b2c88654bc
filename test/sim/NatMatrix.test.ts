import { describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as NatMatrix from "./NatMatrix.ts"
import { PATIENCE_MS } from "./Patience.ts"

/** Many more seeds: `npm run soak -- nat`. */
const SEED = 701

describe("translators against each other, in the simulator", { timeout: PATIENCE_MS }, () => {
  for (const [index, from] of NatMatrix.kinds.entries()) {
    it.effect(`from ${from} to every kind`, () =>
      Effect.map(NatMatrix.row(SEED + index, from), (outcomes) => {
        if (process.env["NAT_MATRIX"] !== undefined) console.table(outcomes)
        NatMatrix.check(SEED + index, outcomes)
      })
    )
  }
})

/** The seeds of the mixed scenario that every test run plays, in two halves that can run side by side. */
import { describe, it } from "@effect/vitest"
import * as MixedScenario from "./MixedScenario.ts"
import { PATIENCE_MS } from "./Patience.ts"

/** At most two minutes of a two-core machine, the same seeds in every run. `SIM_SEEDS` asks for more, or fewer. */
const SEEDS = Number(process.env["SIM_SEEDS"] ?? 20)
/** `SIM_SEED` for another first one. */
export const FIRST_SEED = Number(process.env["SIM_SEED"] ?? 1)

/** Every second seed, from the given one on. */
export const play = (half: string, offset: 0 | 1): void => {
  describe(`a minute of seven nodes behind translators, with losses, a crash and a rendezvous that goes away, ${half} half`, () => {
    for (let seed = FIRST_SEED + offset; seed < FIRST_SEED + SEEDS; seed += 2) {
      it.effect(
        `seed ${seed}: streams deliver what was written, every pair recovers, nothing is in clear, nothing is left`,
        () => MixedScenario.minute(seed),
        PATIENCE_MS
      )
    }
  })
}

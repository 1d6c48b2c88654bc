/** Plays the seeds that `sim.mjs` sends, and answers each with what went wrong, if anything. */
import { Cause, Effect, Exit } from "effect"
import * as MixedScenario from "../../test/sim/MixedScenario.ts"

process.on("message", (seed) => {
  void Effect.runPromiseExit(MixedScenario.minute(Number(seed))).then((exit) =>
    process.send?.(Exit.isSuccess(exit) ? {} : { error: Cause.pretty(exit.cause) })
  )
})
// Asks for the first one.
process.send?.({})

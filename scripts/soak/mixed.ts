/** Plays the mixed scenario from some seeds, up to the first that fails: `mixed.ts <first seed> <seeds>`. Status 1 if one did. */
import { Cause, Effect, Exit } from "effect"
import * as MixedScenario from "../../test/sim/MixedScenario.ts"

const [from = 1, seeds = 1] = process.argv.slice(2).map(Number)

const play = Effect.gen(function* () {
  for (let seed = from; seed < from + seeds; seed++) {
    const exit = yield* Effect.exit(MixedScenario.minute(seed))
    if (Exit.isFailure(exit)) return `seed ${seed}: ${Cause.pretty(exit.cause)}`
  }
  return undefined
})

const failure = await Effect.runPromise(play)
if (failure !== undefined) {
  // The first line names what went wrong; the rest is for whoever plays it again.
  process.stdout.write(`${failure}\n`)
  process.exit(1)
}

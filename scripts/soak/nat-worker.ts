/** Plays the seeds that `nat.mjs` sends: one row each, all rows in turn. */
import { Cause, Effect, Exit } from "effect"
import * as NatMatrix from "../../test/sim/NatMatrix.ts"

process.on("message", (message) => {
  const seed = Number(message)
  const from = NatMatrix.kinds[seed % NatMatrix.kinds.length] ?? "open"
  const checked = Effect.map(NatMatrix.row(seed, from), (outcomes) => {
    NatMatrix.check(seed, outcomes)
    return outcomes.map((outcome) => ({ ...outcome, theory: NatMatrix.theory(outcome.from, outcome.to) }))
  })
  void Effect.runPromiseExit(checked).then((exit) =>
    process.send?.(Exit.isSuccess(exit) ? { outcomes: exit.value } : { error: Cause.pretty(exit.cause) })
  )
})
// Asks for the first one.
process.send?.({})

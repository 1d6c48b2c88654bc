/** SIGHUP: the sign that a process should look at its files again. */
import process from "node:process"
import { Effect, type Scope } from "effect"
import * as Provided from "../../core/actor/Provided.ts"

/** Does this at every SIGHUP, until the scope ends, instead of ending the process. */
export const on = (look: Effect.Effect<void>): Effect.Effect<void, never, Scope.Scope> =>
  Effect.asVoid(
    Effect.acquireRelease(
      Effect.map(Provided.services<never>(), (context) => {
        const listener = () => void Effect.runForkWith(context)(look)
        process.on("SIGHUP", listener)
        return listener
      }),
      (listener) => Effect.sync(() => void process.off("SIGHUP", listener))
    )
  )

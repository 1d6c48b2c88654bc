/**
 * What every command does that runs until somebody ends it: a signal is its regular end, and what it does not need while it
 * has nothing to do, it gives back. V8 keeps the room that the start and busy times took, for a process whose next busy
 * time may be a week away.
 */
import { Effect, type Scope } from "effect"
import { Processes } from "./Processes.ts"

/** From now on, until the surrounding scope ends. */
export const begin: Effect.Effect<void, never, Processes | Scope.Scope> = Effect.gen(function* () {
  const processes = yield* Processes
  yield* processes.endsOnSignal
  yield* Effect.forkScoped(giveBack(processes))
})

const giveBack = ({ giveMemoryBack, usage }: Processes["Service"]): Effect.Effect<never> =>
  Effect.gen(function* () {
    let least = 0
    let [before, waitMs] = [yield* usage, FIRST_MS]
    while (true) {
      yield* Effect.sleep(waitMs)
      const now = yield* usage
      const isIdle = now.processorMs - before.processorMs <= waitMs * IDLE_SHARE
      const isWorthIt = now.residentBytes >= least + Math.max(WORTH_BYTES, least * WORTH_SHARE)
      if (isIdle && isWorthIt) {
        yield* giveMemoryBack
        least = (yield* usage).residentBytes
      }
      before = yield* usage
      waitMs = INTERVAL_MS
    }
  })

/** When the start is over. */
const FIRST_MS = 10_000
/** A look costs some microseconds. */
const INTERVAL_MS = 60_000
/** Giving back stops everything for some 30 ms, which nobody notices who does so little. */
const IDLE_SHARE = 0.02
const WORTH_BYTES = 8 << 20
/** The more there is, the longer it takes. */
const WORTH_SHARE = 0.125

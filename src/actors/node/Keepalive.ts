/**
 * Keeps the mapping to the beacon open where a translator forgets sooner than heartbeats come. Heartbeats are not made any
 * rarer where one forgets later: a beacon that has not heard from a node for a minute believes the next one to claim its id.
 */
import { Effect } from "effect"

/** `keepaliveMs` may change as more is known; `refresh` sends something to the beacon. */
export interface Options {
  readonly heartbeatMs: number
  readonly keepaliveMs: () => number
  readonly refresh: Effect.Effect<void>
}

/** For ever. */
export const run = ({ heartbeatMs, keepaliveMs, refresh }: Options): Effect.Effect<never> =>
  Effect.suspend(() => {
    const pauseMs = keepaliveMs()
    return pauseMs < heartbeatMs
      ? Effect.andThen(Effect.sleep(pauseMs), refresh)
      : Effect.sleep(Math.max(heartbeatMs, LOOK_MS))
  }).pipe(Effect.forever)

/** Until it looks again whether more is known. */
const LOOK_MS = 30_000

/**
 * The one time of state machines, timers and deadlines: milliseconds of Effect's monotonic clock, fractional. It never
 * goes backwards, says nothing about the time of day, and is virtual under `TestClock` and in the simulator.
 */
import { Clock, Effect } from "effect"

/** Milliseconds since an arbitrary instant; for owners that hold their clock, on a hot path. */
export const nowMsUnsafe = (clock: Clock.Clock): number => Number(clock.monotonicTimeNanosUnsafe()) / NANOS_PER_MS

/** Milliseconds since an arbitrary instant, of the clock in the context. */
export const nowMs: Effect.Effect<number> = Clock.clockWith((clock) => Effect.sync(() => nowMsUnsafe(clock)))

const NANOS_PER_MS = 1_000_000

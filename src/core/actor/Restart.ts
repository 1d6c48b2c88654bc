/**
 * When a failed actor gets another life. The usual policy is a restart intensity as in Erlang/OTP: at most so many
 * restarts within a sliding period, so that an actor that stays up long enough is healthy again by itself.
 */
import { type Cause, Clock, Effect, Schedule } from "effect"
import * as MonotonicTime from "./MonotonicTime.ts"

/** At most `intensity` restarts within any `periodMs`; one more failure is final. Restarts are immediate. */
export interface RestartIntensity {
  readonly intensity: number
  readonly periodMs: number
}

/**
 * `never`, an intensity, or a schedule stepped with the cause of each failure, which also gives the pause before the
 * restart. A schedule counts over a whole life, so it starts over after the actor was up for `HEALTHY_AFTER_MS`.
 */
export type RestartPolicy = "never" | RestartIntensity | Schedule.Schedule<unknown, Cause.Cause<unknown>>

/** The instants of the restarts that still count, oldest first. */
export type RestartHistory = ReadonlyArray<number>

/** The history with one more restart, or `undefined` when the intensity allows none. */
export const record = (history: RestartHistory, limit: RestartIntensity, nowMs: number): RestartHistory | undefined => {
  const counted = history.filter((atMs) => nowMs - atMs < limit.periodMs)
  return counted.length < limit.intensity ? [...counted, nowMs] : undefined
}

/** Decides about one failure, after the pause the policy asks for: true means another life. */
export type Decider = (cause: Cause.Cause<unknown>, aliveMs: number) => Effect.Effect<boolean>

/** A decider with a memory of its own. */
export const decider = (policy: RestartPolicy): Decider => {
  if (policy === "never") return () => Effect.succeed(false)
  return "intensity" in policy ? byIntensity(policy) : bySchedule(policy)
}

const byIntensity = (limit: RestartIntensity): Decider => {
  let history: RestartHistory = []
  return () =>
    Clock.clockWith((clock) =>
      Effect.sync(() => {
        const recorded = record(history, limit, MonotonicTime.nowMsUnsafe(clock))
        history = recorded ?? history
        return recorded !== undefined
      })
    )
}

const bySchedule = (schedule: Schedule.Schedule<unknown, Cause.Cause<unknown>>): Decider => {
  type Step = Effect.Success<ReturnType<typeof Schedule.toStepWithSleep<unknown, Cause.Cause<unknown>, never, never>>>
  let step: Step | undefined
  return Effect.fnUntraced(function* (cause, aliveMs) {
    if (step === undefined || aliveMs >= HEALTHY_AFTER_MS) step = yield* Schedule.toStepWithSleep(schedule)
    return yield* Effect.match(step(cause), { onSuccess: () => true, onFailure: () => false })
  })
}

/** An actor that lived this long has recovered: its restart schedule starts over. */
export const HEALTHY_AFTER_MS = 60_000

/**
 * How much of the disk peers may fill. Counted as it grows; others may take files away, so the disk is looked at again
 * before anything is refused, though not more often than `RECOUNT_INTERVAL_MS`.
 */
import { Effect, type PlatformError, Semaphore } from "effect"
import * as MonotonicTime from "../../core/actor/MonotonicTime.ts"
import { failed, NotTaken } from "./IncomingFile.ts"

/** So many files of so many bytes. */
export interface Amount {
  readonly files: number
  readonly bytes: number
}

/** The bound of one store. */
export interface StoreQuota {
  /** Takes room, or says that there is none. */
  readonly take: (amount: Amount) => Effect.Effect<void, NotTaken>
  /** Gives it back: what it was taken for did not come. */
  readonly giveBack: (amount: Amount) => Effect.Effect<void>
}

/**
 * `measure` counts what is on the disk without whatever belongs to what is under way, which `pending` knows: what is there
 * of it, and what was taken and is still to come.
 */
export const make = (options: {
  readonly name: string
  readonly limit: Amount
  readonly measure: Effect.Effect<Amount, PlatformError.PlatformError>
  readonly pending: () => Amount
}): StoreQuota => {
  const { limit, measure, name, pending } = options
  const counting = Semaphore.makeUnsafe(1)
  let used: Amount | undefined
  let countedAtMs = Number.NEGATIVE_INFINITY
  const count = Effect.gen(function* () {
    const nowMs = yield* MonotonicTime.nowMs
    if (used !== undefined && nowMs - countedAtMs < RECOUNT_INTERVAL_MS) return
    countedAtMs = nowMs
    const measured = yield* Effect.mapError(measure, failed)
    used = sum(measured, pending())
  })
  const fits = (amount: Amount) => {
    const total = sum(used ?? NOTHING, amount)
    return total.files <= limit.files && total.bytes <= limit.bytes
  }
  return {
    take: (amount) =>
      Effect.gen(function* () {
        if (used === undefined || !fits(amount)) yield* count
        if (!fits(amount)) return yield* new NotTaken({ reason: "Full", detail: `the ${name} is full` })
        used = sum(used ?? NOTHING, amount)
      }).pipe(counting.withPermits(1)),
    giveBack: (amount) =>
      Effect.sync(() => {
        if (used !== undefined) used = minus(used, amount)
      })
  }
}

/** Both together. */
export const sum = (a: Amount, b: Amount): Amount => ({ files: a.files + b.files, bytes: a.bytes + b.bytes })

/** What is left of the first without the second. */
export const minus = (a: Amount, b: Amount): Amount => ({ files: a.files - b.files, bytes: a.bytes - b.bytes })

/** No room at all. */
export const NOTHING: Amount = { files: 0, bytes: 0 }

/** Looking at ten thousand files takes a while. */
export const RECOUNT_INTERVAL_MS = 5_000

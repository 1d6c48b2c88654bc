/**
 * Notices that this host is in another network, or was asleep: then addresses, translators and timers of before mean nothing,
 * and waiting for them to fail would cost the streams seconds.
 */
import { Clock, Effect } from "effect"
import * as MonotonicTime from "../../core/actor/MonotonicTime.ts"

/** Looks for ever, often while streams are open; `addresses` are those of the interfaces. */
export const run = (
  addresses: () => ReadonlyArray<string>,
  isBusy: () => boolean,
  changed: Effect.Effect<void>
): Effect.Effect<never> =>
  Effect.gen(function* () {
    const clock = yield* Clock.Clock
    const look = () => ({
      addresses: addresses().toSorted().join(" "),
      // The monotonic clock stands still while the host sleeps.
      asleepMs: clock.currentTimeMillisUnsafe() - MonotonicTime.nowMsUnsafe(clock)
    })
    let before = look()
    while (true) {
      yield* Effect.sleep(isBusy() ? BUSY_INTERVAL_MS : IDLE_INTERVAL_MS)
      const now = look()
      const isOther = now.addresses !== before.addresses || now.asleepMs - before.asleepMs > ASLEEP_MS
      before = now
      if (isOther) yield* changed
    }
  })

/** A stream goes on within a second, and looking is not all that takes time. */
const BUSY_INTERVAL_MS = 250
const IDLE_INTERVAL_MS = 2_000
/** More than a clock is ever set by in one step while nobody sleeps. */
const ASLEEP_MS = 5_000

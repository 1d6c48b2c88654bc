/**
 * Looks at the servers of this host's services, so that their owners and capability cards know what they can do: each is
 * opened like for a client, asked for its tools, and ended.
 *
 * Owns what was found; told when somebody wants to know. A few servers are looked at at the same time; one that was looked
 * at a while ago is looked at again while what is known of it is used.
 */
import { Clock, Deferred, Effect, type Scope, Semaphore } from "effect"
import * as MonotonicTime from "../../../core/actor/MonotonicTime.ts"
import type { CannotStart, Child } from "../server/Child.ts"
import * as ServerProbe from "./ServerProbe.ts"
import type { Service } from "./ServiceTable.ts"

/** What was found, and when, in milliseconds since 1970. */
export interface Inspection {
  readonly report: ServerProbe.Report
  readonly atMs: number
}

/** What an inspector needs. */
export interface Options {
  readonly spawn: (service: Service) => Effect.Effect<Child, CannotStart, Scope.Scope>
  readonly clientInfo: { readonly name: string; readonly version: string }
  /** Something new was found. */
  readonly found?: Effect.Effect<void>
}

/** An inspector at work. */
export interface ServiceInspector {
  /** What is known now. */
  readonly known: (service: Service) => Inspection | undefined
  /** Looks at the service unless that was done lately; waits while nothing is known yet, `waitMs` at most. */
  readonly look: (service: Service, waitMs: number) => Effect.Effect<Inspection | undefined>
}

/** An inspector that has seen nothing. */
export const make = Effect.fnUntraced(function* (
  options: Options
): Effect.fn.Return<ServiceInspector, never, Scope.Scope> {
  const scope = yield* Effect.scope
  const clock = yield* Clock.Clock
  const atOnce = yield* Semaphore.make(AT_ONCE_MAX)
  /** By the service itself: one that was exposed anew is another. */
  const entries = new WeakMap<Service, Entry>()

  const inspect = Effect.fnUntraced(function* (service: Service, entry: Entry) {
    const found = yield* Effect.gen(function* () {
      const child = yield* options.spawn(service)
      return yield* ServerProbe.run({ stream: child.stdio, clientInfo: options.clientInfo })
    }).pipe(
      Effect.scoped,
      atOnce.withPermit,
      Effect.catchTag("CannotStart", () => Effect.succeed(NOT_STARTED))
    )
    // A server that fails now may have worked before; what it could do then it may be able to do again.
    const isWorse = found.verdict === "failing" && entry.inspection?.report.verdict === "healthy"
    entry.failedAtMs = found.verdict === "failing" ? MonotonicTime.nowMsUnsafe(clock) : undefined
    if (!isWorse || entry.failures++ > 0) {
      entry.inspection = { report: found, atMs: clock.currentTimeMillisUnsafe() }
    }
    if (found.verdict !== "failing") entry.failures = 0
    entry.lookedAtMs = MonotonicTime.nowMsUnsafe(clock)
    yield* options.found ?? Effect.void
  })

  const start = (service: Service, entry: Entry) =>
    Effect.gen(function* () {
      const done = yield* Deferred.make<void>()
      entry.running = done
      const finish = Effect.suspend(() => {
        entry.running = undefined
        return Deferred.succeed(done, undefined)
      })
      yield* Effect.forkIn(Effect.ensuring(inspect(service, entry), finish), scope)
      return done
    })

  return {
    known: (service) => entries.get(service)?.inspection,
    look: (service, waitMs) =>
      Effect.gen(function* () {
        const entry = entries.get(service) ?? { ...BLANK }
        entries.set(service, entry)
        const nowMs = MonotonicTime.nowMsUnsafe(clock)
        const restMs = entry.failedAtMs === undefined ? FRESH_MS : RETRY_MS
        const isFresh = entry.lookedAtMs !== undefined && nowMs - entry.lookedAtMs < restMs
        const running = entry.running ?? (isFresh ? undefined : yield* start(service, entry))
        if (entry.inspection === undefined && running !== undefined) {
          yield* Effect.timeoutOption(Deferred.await(running), waitMs)
        }
        return entry.inspection
      })
  }
})

interface Entry {
  inspection: Inspection | undefined
  lookedAtMs: number | undefined
  failedAtMs: number | undefined
  failures: number
  running: Deferred.Deferred<void> | undefined
}

const BLANK: Entry = {
  inspection: undefined,
  lookedAtMs: undefined,
  failedAtMs: undefined,
  failures: 0,
  running: undefined
}
const NOT_STARTED: ServerProbe.Report = { ...ServerProbe.NOTHING, failedAt: "open", reason: "it cannot be started" }
/** Servers looked at at the same time. */
const AT_ONCE_MAX = 2
/** What was found is good for so long, and a failure for so long. */
const FRESH_MS = 600_000
const RETRY_MS = 60_000

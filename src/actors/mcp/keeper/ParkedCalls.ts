/**
 * Calls that outlive whoever made them (mcp §6.7): while one runs that its owner lets park, an identical call of the same
 * peer finds it if nobody waits for it any more; its result is kept for a while, and given once.
 *
 * One per keeper; mutable, told by the sessions' `SessionParking`. Calls are told apart by a place, which is one peer's use
 * of one service as it is now, and by a key, which says what is asked for. Another peer never gets a place right.
 */
import { Clock, Deferred, Effect, type Scope } from "effect"
import { DeadlineTimer } from "../../../core/actor/DeadlineTimer.ts"
import * as MonotonicTime from "../../../core/actor/MonotonicTime.ts"
import * as Provided from "../../../core/actor/Provided.ts"
import { Timers } from "../../../core/actor/Timers.ts"
import type { Service } from "./ServiceTable.ts"

/** Who waits for a call, or is being given its result: one client's session. */
export interface Watcher {
  /** A stream leads to the client now. */
  readonly isThere: () => boolean
  /** The client certainly has the result. */
  readonly hasTaken: (call: ParkedCall) => boolean
}

/** A call that runs, or the result that is kept of it. */
export interface ParkedCall {
  readonly place: string
  readonly key: string
  /** Those that wait for it, there or not. */
  readonly watchers: Set<Watcher>
  /** What the server answered, under the id of whoever asked first; nothing if there is no answer to give. */
  readonly done: Deferred.Deferred<Uint8Array | undefined>
  result: Uint8Array | undefined
  untilMs: number
}

/** The parked calls of one keeper. */
export interface ParkedCalls {
  /** Notes a call that starts; nothing if it cannot park, because there are too many or one like it runs. */
  readonly began: (place: string, key: string, watcher: Watcher) => ParkedCall | undefined
  /** One like this that nobody who is there waits for, running or done. */
  readonly find: (place: string, key: string) => ParkedCall | undefined
  /** The result of one that is done goes to that watcher; it is kept until the watcher certainly has it. */
  readonly give: (call: ParkedCall, watcher: Watcher) => void
  /** The server answered, or never will. Until one of the watchers has the result, it is kept for others. */
  readonly finished: (call: ParkedCall, result: Uint8Array | undefined) => void
}

/** One peer's use of one service: what serves is part of it, so that nothing is taken from one that has changed. */
export const placeOf = (service: Service, node: number): string => {
  const { allowed: _allowed, rules: _rules, title: _title, ...serves } = service
  return `${node} ${JSON.stringify(serves)}`
}

/** None yet; what is kept goes with the scope. */
export const make: Effect.Effect<ParkedCalls, never, Scope.Scope> = Effect.gen(function* () {
  const clock = yield* Clock.Clock
  const places = new Map<string, Map<string, ParkedCall>>()
  /** Done ones, oldest first. */
  const kept = new Set<ParkedCall>()
  /** Those of them whose result is on its way to somebody. */
  const given = new Set<ParkedCall>()
  const timer = new DeadlineTimer(Timers.of(clock), yield* Provided.services<never>(), () => {
    timer.takeFired()
    expire()
  })
  yield* Effect.addFinalizer(() => Effect.sync(() => timer.cancel()))

  const forget = (call: ParkedCall): void => {
    kept.delete(call)
    given.delete(call)
    const place = places.get(call.place)
    if (place?.get(call.key) !== call) return
    place.delete(call.key)
    if (place.size === 0) places.delete(call.place)
  }

  /** Forgets what somebody has. */
  const settle = (): void => {
    for (const call of given) {
      if (call.watchers.size === 0) given.delete(call)
      for (const watcher of call.watchers) if (watcher.hasTaken(call)) forget(call)
    }
  }

  const expire = (): void => {
    const nowMs = MonotonicTime.nowMsUnsafe(clock)
    settle()
    for (const call of kept) {
      if (call.untilMs > nowMs) break
      forget(call)
    }
    const [oldest] = kept
    const untilMs = oldest?.untilMs ?? Number.POSITIVE_INFINITY
    const dueMs = given.size > 0 ? Math.min(untilMs, nowMs + TAKEN_POLL_MS) : untilMs
    if (dueMs < Number.POSITIVE_INFINITY) timer.arm(dueMs, false)
  }

  const oldestAt = (place: string): ParkedCall | undefined => {
    for (const call of kept) if (call.place === place) return call
    return undefined
  }

  const bytesOf = (calls: Iterable<ParkedCall>): number => {
    let bytes = 0
    for (const { result } of calls) bytes += result?.length ?? 0
    return bytes
  }

  const keep = (call: ParkedCall, result: Uint8Array): void => {
    settle()
    const mine = () => bytesOf(places.get(call.place)?.values() ?? [])
    while (mine() + result.length > PLACE_BYTES_MAX) {
      const oldest = oldestAt(call.place)
      if (oldest === undefined) return forget(call)
      forget(oldest)
    }
    // Copied, because it may be a view of a larger chunk that would stay alive with it.
    call.result = result.slice()
    call.untilMs = MonotonicTime.nowMsUnsafe(clock) + KEPT_MS
    kept.add(call)
    if (call.watchers.size > 0) given.add(call)
    while (bytesOf(kept) > BYTES_MAX) forget([...kept][0] ?? call)
    expire()
  }

  return {
    began: (place, key, watcher) => {
      const calls = places.get(place) ?? new Map<string, ParkedCall>()
      const like = calls.get(key)
      if (like !== undefined && like.result === undefined) return undefined
      // A result that somebody is being given stands in nobody's way.
      if (like !== undefined) forget(like)
      if (calls.size >= PLACE_CALLS_MAX) {
        const oldest = oldestAt(place)
        if (oldest === undefined) return undefined
        forget(oldest)
      }
      const done = Deferred.makeUnsafe<Uint8Array | undefined>()
      const call = { place, key, watchers: new Set([watcher]), done, result: undefined, untilMs: 0 }
      places.set(place, calls.set(key, call))
      return call
    },
    find: (place, key) => {
      settle()
      const call = places.get(place)?.get(key)
      return call === undefined || isWatched(call) ? undefined : call
    },
    give: (call, watcher) => {
      call.watchers.add(watcher)
      given.add(call)
      expire()
    },
    finished: (call, result) => {
      if (result === undefined) forget(call)
      else keep(call, result)
      Deferred.doneUnsafe(call.done, Effect.succeed(result))
    }
  }
})

const isWatched = ({ watchers }: ParkedCall): boolean => {
  for (const watcher of watchers) if (watcher.isThere()) return true
  return false
}

/** A result waits so long to be asked for (mcp §6.7). */
const KEPT_MS = 600_000
/** How often those who are given a result are asked whether they have it. */
const TAKEN_POLL_MS = 1000
/** Calls of one peer to one service, running or done. */
const PLACE_CALLS_MAX = 64
/** Their results together: one of the largest has room. */
const PLACE_BYTES_MAX = 16_777_216
/** Results of all peers and services. */
const BYTES_MAX = 134_217_728

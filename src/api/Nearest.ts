/**
 * Several peers that offer the same, in several places: the fastest that can be reached is dialled, and another one when it
 * cannot. A stream stays with the peer that it was opened to; who dials again after its end may get another one.
 */
import { Deferred, Effect, Exit, type Scope } from "effect"
import type { DialError } from "../actors/node/Node.ts"
import * as MonotonicTime from "../core/actor/MonotonicTime.ts"
import { ExpiringMap } from "../core/data/ExpiringMap.ts"
import type { Connection } from "./Connection.ts"
import * as Peers from "./Peer.ts"
import { type DialOptions, type Peer, Pilot, type PilotError } from "./PilotService.ts"

/**
 * Opens a stream to the fastest peer that is meant and can be reached. If all fail, the error is that of the one that would
 * have been the best. Which one it was is remembered for half a minute, so that not every dial measures.
 */
export const dial = Effect.fn("Nearest.dial")(function* (
  selector: string | Peers.Selector,
  port: number,
  options?: DialOptions
): Effect.fn.Return<Connection, DialError | Peers.NoSuchPeer | PilotError, Pilot | Scope.Scope> {
  const pilot = yield* Pilot
  if (typeof selector === "string") return yield* pilot.dial(selector, port, options)
  const text = `${Peers.format(selector)} ${port}`
  const recent = memoryOf(pilot)
  const lately = recent.get(text, yield* MonotonicTime.nowMs)
  if (lately !== undefined) {
    const again = yield* Effect.exit(pilot.dial(lately, port, options))
    if (Exit.isSuccess(again)) return again.value
    recent.delete(text, yield* MonotonicTime.nowMs)
  }
  const [best, ...others] = yield* sorted(yield* Peers.candidates(selector))
  const attempt = (peer: Peer) =>
    Effect.tap(pilot.dial(peer.address, port, options), () =>
      Effect.map(MonotonicTime.nowMs, (nowMs) => recent.set(text, peer.address, nowMs))
    )
  return yield* Effect.catch(attempt(best!), (failure) =>
    others.length === 0
      ? Effect.fail(failure)
      : Effect.mapError(Effect.firstSuccessOf(others.map(attempt)), () => failure)
  )
})

/**
 * Those that are meant, the fastest first and those that do not answer last, in the order given. Measured now: it takes as long
 * as the fastest answer and as much again, two seconds if nobody answers.
 */
export const order = (
  selector: string | Peers.Selector
): Effect.Effect<ReadonlyArray<Peer>, DialError | Peers.NoSuchPeer | PilotError, Pilot> =>
  Effect.flatMap(Peers.candidates(selector), sorted)

const sorted = (peers: ReadonlyArray<Peer>): Effect.Effect<ReadonlyArray<Peer>, never, Pilot> =>
  peers.length < 2 ? Effect.succeed(peers) : Effect.scoped(measured(peers.slice(0, MEASURED_MAX), peers))

const measured = Effect.fnUntraced(function* (some: ReadonlyArray<Peer>, all: ReadonlyArray<Peer>) {
  const pilot = yield* Pilot
  const answers: Array<{ readonly peer: Peer; readonly rttMs: number }> = []
  const first = yield* Deferred.make<number>()
  const measure = (peer: Peer) =>
    Effect.flatMap(pilot.ping(peer.address, { timeoutMs: PING_MS }), ({ rttMs }) => {
      answers.push({ peer, rttMs })
      return Deferred.succeed(first, rttMs)
    }).pipe(Effect.ignore)
  const everybody = yield* Deferred.make<void>()
  yield* Effect.forkScoped(
    Effect.andThen(
      Effect.forEach(some, measure, { concurrency: "unbounded", discard: true }),
      Deferred.succeed(everybody, undefined)
    ),
    { startImmediately: true }
  )
  // Whoever is faster, but had to open a tunnel, has as much time again.
  const settled = Effect.flatMap(Deferred.await(first), (rttMs) => Effect.sleep(Math.max(GRACE_MIN_MS, rttMs)))
  yield* Effect.raceFirst(settled, Deferred.await(everybody))
  const reached = answers.toSorted((a, b) => a.rttMs - b.rttMs).map(({ peer }) => peer)
  return [...reached, ...all.filter((peer) => !reached.includes(peer))]
})

const memoryOf = (pilot: Pilot["Service"]): ExpiringMap<string, string> => {
  const known = MEMORIES.get(pilot)
  if (known !== undefined) return known
  const made = new ExpiringMap<string, string>({ entriesMax: REMEMBERED_MAX, lifeMs: REMEMBERED_MS })
  MEMORIES.set(pilot, made)
  return made
}

const MEMORIES = new WeakMap<Pilot["Service"], ExpiringMap<string, string>>()
/** Choices remembered, and for so long. */
const REMEMBERED_MAX = 256
const REMEMBERED_MS = 30_000
/** Peers measured for one dial. */
const MEASURED_MAX = 16
const PING_MS = 2_000
const GRACE_MIN_MS = 10

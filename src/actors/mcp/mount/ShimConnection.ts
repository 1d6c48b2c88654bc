/**
 * The connection of a shim to its keeper, kept for as long as the session lives (mcp §6.2): it dials at once, again whenever the stream
 * is lost, and elsewhere when the session moves. Calls that it cannot pass on are answered through the session.
 */
import { Clock, Deferred, Effect, Random, type Scope } from "effect"
import * as MonotonicTime from "../../../core/actor/MonotonicTime.ts"
import { Crypto } from "../../../core/crypto/Crypto.ts"
import type { Duplex } from "../../../core/net/Duplex.ts"
import { type Bye, LIMITS_DEFAULT, type Welcome } from "../../../protocol/relay/RelayControl.ts"
import { Frame } from "../../../protocol/relay/RelayFrame.ts"
import type { FrameStream } from "../FrameStream.ts"
import type { Target } from "../Target.ts"
import type { Moves } from "./Instances.ts"
import { type CannotReach, type Failure, ofBye, ofDial } from "./ShimFailure.ts"
import * as ShimLink from "./ShimLink.ts"
import type * as ShimSession from "./ShimSession.ts"

/** Where it leads. */
export interface Options<E> {
  readonly target: Target
  /** A stream to the MCP port of the peer. */
  readonly dial: Effect.Effect<Duplex<E>, CannotReach, Scope.Scope>
  /** Gives up another session of this host when the peer has too many of them; false if there is none to spare. */
  readonly makeRoom?: Effect.Effect<boolean>
  /** Tells when `target` and `dial` lead to another instance of the service. */
  readonly moves?: Moves
  /** Hears what the keeper says of the service, before it says anything else. */
  readonly welcomed?: (welcome: Welcome) => void
}

/** What came of one attempt to reach the keeper. */
type Outcome =
  | { readonly _tag: "Carried" }
  | { readonly _tag: "Failed"; readonly failure: Failure; readonly isFinal: boolean }

/** Keeps the session on a stream, for as long as the shim lives; `farewell` is done when the keeper has heard the goodbye. */
export const run = Effect.fnUntraced(function* <E>(
  options: Options<E>,
  session: ShimSession.ShimSession,
  farewell: Deferred.Deferred<void>
) {
  const clock = yield* Clock.Clock
  const crypto = yield* Crypto
  const now = () => MonotonicTime.nowMsUnsafe(clock)
  let downSinceMs = now()
  let patienceMs = FIRST_PATIENCE_MS
  let failures = 0
  /** The last failure told; the same one again is no news. */
  let logged = ""
  while (true) {
    const startedAtMs = now()
    session.demand.closeUnsafe()
    if (options.moves?.take() === true) {
      const epoch = session.epoch()
      epoch.credentials = ShimLink.credentials(crypto, options.target.service)
      epoch.movedBecause = options.moves.because()
      failures = 0
    }
    const { relay } = session.epoch()
    const rxBefore = relay.session.rx
    const outcome = yield* attempt(options, session, farewell)
    // A stream that lives shorter than this is not dialled again at once, or a keeper in trouble would be dialled
    // without pause and the calls would wait for ever.
    const wasStable = outcome._tag === "Carried" && now() - startedAtMs >= STABLE_MS
    // However short it lived: what brought an answer was a connection.
    const wasUp = wasStable || (outcome._tag === "Carried" && relay.session.rx > rxBefore)
    if (wasStable) failures = 0
    if (wasUp) {
      logged = ""
      patienceMs = PATIENCE_MS
      // A path that died silently has been dead since it was last heard, not since that was noticed.
      downSinceMs = relay.session.heardAtMs ?? now()
    }
    // Another instance may have what this one has not.
    if (outcome._tag === "Failed" && outcome.isFinal && options.moves) yield* options.moves.refused
    if (options.moves?.isPending() === true) continue
    if (outcome._tag === "Failed") {
      if (outcome.failure.message !== logged) yield* Effect.logWarning(`mcp: ${outcome.failure.message}`)
      logged = outcome.failure.message
      if (outcome.failure.kind === "unreachable") yield* session.away
      const isTooLong = now() - downSinceMs >= patienceMs
      if (outcome.isFinal || isTooLong) yield* session.fail(outcome.failure)
      // Nothing will change here by itself: wait until the client wants something again.
      if (outcome.isFinal) yield* Effect.raceFirst(session.demand.await, options.moves?.moved ?? Effect.never)
    } else if (now() - downSinceMs >= patienceMs && !wasUp) {
      yield* session.fail(FLAPPING)
    }
    yield* Effect.sleep(yield* redialDelayMs(failures++))
  }
})

/** Tells the keeper that the session is over, and waits until it has heard that, for a moment. */
export const sayGoodbye = (session: ShimSession.ShimSession, farewell: Deferred.Deferred<void>): Effect.Effect<void> =>
  Effect.suspend(() => {
    const { relay } = session.epoch()
    if (!relay.session.isAttached) return Effect.void
    relay.sayGoodbye(CLOSED)
    return Effect.asVoid(Effect.timeoutOption(Deferred.await(farewell), GOODBYE_TIMEOUT))
  })

/** One stream, from dial to loss. */
const attempt = <E>(
  { dial, makeRoom = Effect.succeed(false), moves, target, welcomed }: Options<E>,
  session: ShimSession.ShimSession,
  farewell: Deferred.Deferred<void>
): Effect.Effect<Outcome> =>
  Effect.gen(function* () {
    const before = session.epoch()
    const opened = yield* ShimLink.open(dial, before.credentials, before.relay.session.rx).pipe(
      Effect.raceFirst(moves === undefined ? Effect.never : Effect.as(moves.moved, { _tag: "Moved" } as const))
    )
    if (opened._tag === "Moved") return { _tag: "Carried" } as const
    if (opened._tag === "Refused") {
      const isRoomy = opened.reason === "overloaded" && (yield* makeRoom)
      return isRoomy ? ({ _tag: "Carried" } as const) : refused(target, { reason: opened.reason })
    }
    const { stream, welcome } = opened
    welcomed?.(welcome)
    const { ended, relay } = yield* session.welcomed(welcome)
    const rx = welcome.resumed ? welcome.rx : 0
    const bye = yield* Effect.raceAllFirst([
      relay.carry(stream, rx, welcome.limits ?? LIMITS_DEFAULT),
      Effect.as(ended, ABANDONED),
      Effect.as(leaving(moves, session), MOVED)
    ])
    if (bye === MOVED) yield* leave(stream)
    yield* stream.end
    if (bye === MOVED || bye === ABANDONED || bye.reason === "displaced") return { _tag: "Carried" } as const
    if (bye !== CLOSED) return refused(target, bye)
    yield* Deferred.succeed(farewell, undefined)
    return yield* Effect.never
  }).pipe(
    Effect.scoped,
    Effect.catchTag("StreamLost", ({ detail, reason }) =>
      Effect.as(Effect.logDebug(`mcp: stream lost: ${reason} ${detail}`), { _tag: "Carried" } as const)
    ),
    Effect.catchTag("CannotReach", (error) =>
      Effect.succeed({ _tag: "Failed", failure: ofDial(error), isFinal: error.isFinal } as const)
    )
  )

/** The keeper that is left must not keep a server for nobody; it may be left because it takes nothing any more. */
const leave = ({ send }: FrameStream): Effect.Effect<unknown> =>
  Effect.timeoutOption(Effect.ignore(send(Frame.Bye({ bye: CLOSED }))), GOODBYE_TIMEOUT)

/** A move that nothing forces waits for the calls in flight, for a while. */
const leaving = (moves: Moves | undefined, session: ShimSession.ShimSession): Effect.Effect<void> =>
  moves === undefined
    ? Effect.never
    : Effect.andThen(moves.moved, Effect.asVoid(Effect.timeoutOption(session.settled, QUIET_TIMEOUT)))

const refused = (target: Target, bye: Bye): Outcome => ({ _tag: "Failed", failure: ofBye(target, bye), isFinal: true })

/** At once, then 100 ms, doubling to 5 s, spread by a quarter (mcp §6.2). */
const redialDelayMs = (failures: number): Effect.Effect<number> => {
  if (failures === 0) return Effect.succeed(0)
  const delayMs = Math.min(REDIAL_MAX_MS, REDIAL_MIN_MS * 2 ** (failures - 1))
  return Effect.map(Random.next, (random) => delayMs * (0.75 + random / 2))
}

/** Our own goodbye; a keeper that says the same word is another matter. */
const CLOSED: Bye = { reason: "closed" }
const ABANDONED: Bye = { reason: "abandoned" }
const MOVED: Bye = { reason: "moved" }
const FLAPPING: Failure = {
  kind: "unreachable",
  message: "The connection is lost as soon as it is made.",
  retryable: true
}
const STABLE_MS = 1000
/** How long calls wait for a connection that may come back. Official SDKs give up after 60 s (mcp §3). */
const PATIENCE_MS = 20_000
/** The same before there ever was one: then the reason is more likely one that waiting does not change. */
const FIRST_PATIENCE_MS = 5000
const REDIAL_MIN_MS = 100
const REDIAL_MAX_MS = 5000
const QUIET_TIMEOUT = "30 seconds"
/** A keeper that does not hear the goodbye finds out by itself. */
const GOODBYE_TIMEOUT = "1 second"

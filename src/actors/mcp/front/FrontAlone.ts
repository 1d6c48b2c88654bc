/**
 * Relay sessions of single calls (mcp §6.11). A front session that stands for several clients, as that of the modern HTTP
 * clients does, may not let them meet at a legacy service: what such a service is told it keeps for its session, and its
 * questions name no call. So each call gets a session of its own, opened with what the call says of its client, and closed
 * when the call is answered. Whatever is asked there can belong to this call only.
 *
 * Owns the sessions, a few of each service at a time; further calls wait for a place.
 */
import { Effect, Exit, Scope, Semaphore } from "effect"
import type * as Json from "../../../core/data/Json.ts"
import type { Duplex } from "../../../core/net/Duplex.ts"
import type * as JsonRpcPeek from "../../../protocol/relay/JsonRpcPeek.ts"
import type { Target } from "../Target.ts"
import type { Call } from "./FrontCall.ts"
import { ofBridge, type Refused } from "./FrontRefusal.ts"
import type { KnownService } from "./FrontRoster.ts"
import * as FrontUpstream from "./FrontUpstream.ts"

/** Sessions of calls. */
export interface FrontAlone {
  /** A session for this call, which ends when the call does. Refused if no place gets free, or as the service refuses. */
  readonly open: (call: Call, service: KnownService) => Effect.Effect<FrontUpstream.FrontUpstream, Refused>
}

/** What they are made of. */
export interface Options<E> {
  readonly connect: (target: Target, isOfCall: true) => Effect.Effect<Duplex<E>, never, Scope.Scope>
  readonly capabilities: (service: KnownService, profile: FrontUpstream.ClientProfile) => Json.JsonObject
  /** A request or notification of the service, which belongs to this call. */
  readonly receive: (
    service: KnownService,
    message: Uint8Array,
    envelope: JsonRpcPeek.Envelope,
    write: FrontUpstream.Write,
    call: Call
  ) => Effect.Effect<void>
}

/** No sessions. Those that are open end with the surrounding scope. */
export const make = Effect.fnUntraced(function* <E>(
  options: Options<E>
): Effect.fn.Return<FrontAlone, never, Scope.Scope> {
  const scope = yield* Effect.scope
  // All at once: each may wait for its goodbye to arrive.
  const lives = yield* Scope.fork(scope, "parallel")
  const places = new Map<string, Semaphore.Semaphore>()

  const placesOf = (alias: string): Semaphore.Semaphore => {
    const known = places.get(alias) ?? Semaphore.makeUnsafe(SESSIONS_MAX)
    places.set(alias, known)
    return known
  }

  /** Given back last, when the peer has been told that the session is over. */
  const place = ({ alias, target }: KnownService) =>
    Effect.timeoutOrElse(placesOf(alias).takeScoped(1), {
      duration: PLACE_TIMEOUT,
      orElse: () => Effect.fail(ofBridge("overloaded", BUSY, target, true))
    })

  return {
    open: Effect.fnUntraced(function* (call, service) {
      const life = yield* Scope.fork(lives, "sequential")
      call.release = Scope.close(life, Exit.void)
      return yield* Effect.gen(function* () {
        yield* place(service)
        return yield* FrontUpstream.open({
          target: service.target,
          lines: yield* options.connect(service.target, true),
          profile: { ...call.profile, capabilities: options.capabilities(service, call.profile) },
          receive: (message, envelope, write) => options.receive(service, message, envelope, write, call)
        })
      }).pipe(
        Scope.provide(life),
        Effect.onError(() => call.release)
      )
    })
  }
})

/**
 * Sessions of calls at one service. A peer allows four of each service (mcp §6.4): one is for lists, one is left to a legacy
 * client.
 */
const SESSIONS_MAX = 2
/** How long a call waits for its place: another one may wait for a person. */
const PLACE_TIMEOUT = "30 seconds"
const BUSY = "Other calls use the sessions of this service. Try again when one of them is answered."

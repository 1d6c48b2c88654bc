/** One numbering of a session's messages (mcp §6.2): it ends when either side has forgotten it. */
import { Deferred, Effect, Exit, Scope } from "effect"
import { InFlight } from "../../../protocol/relay/InFlight.ts"
import type { Replay } from "../../../protocol/relay/Opening.ts"
import { CONFIG_DEFAULT, type Start } from "../../../protocol/relay/RelaySession.ts"
import type { Carried } from "../../../protocol/relay/Repeats.ts"
import * as RelayEnd from "../RelayEnd.ts"
import type { Target } from "../Target.ts"
import type * as ShimLink from "./ShimLink.ts"

/** What the connection knows of it. */
export interface Epoch {
  /** Others, of a session that there never was, make the next keeper one that has forgotten this session. */
  credentials: ShimLink.Credentials
  /** Why they are others, in a sentence, when the session went to another instance. */
  movedBecause: string | undefined
  readonly relay: RelayEnd.RelayEnd
  /** Completes when another epoch has taken its place. */
  readonly ended: Effect.Effect<void>
}

/** What the session knows besides. */
export interface State extends Epoch {
  /** No two epochs of a session in one process have the same. */
  readonly number: number
  /** The last number of the server that has its place with the client, even if `relay` does not know that yet. */
  takenSeq: number
  /** Whose keeper had it last; undefined before the first. */
  carriedBy: Target | undefined
  readonly scope: Scope.Closeable
  readonly close: Effect.Effect<void>
  readonly replayed: InFlight
  /** What waits for the answer to the repeated `initialize`; undefined when nothing has to wait. */
  held: { readonly replays: ReadonlyArray<Replay>; readonly messages: Array<Carried>; sizeBytes: number } | undefined
}

/**
 * An epoch that nothing carries yet, in a scope of its own; `later` is repeated when `initialize` is answered. With `start`, it
 * goes on where another process was.
 */
export const open = Effect.fnUntraced(function* (
  parent: Scope.Scope,
  number: number,
  credentials: ShimLink.Credentials,
  later: ReadonlyArray<Replay> | undefined,
  start?: Start
): Effect.fn.Return<State> {
  const scope = yield* Scope.fork(parent, "sequential")
  const relay = yield* Scope.provide(RelayEnd.make(CONFIG_DEFAULT, start), scope)
  const ended = yield* Deferred.make<void>()
  return {
    number,
    credentials,
    relay,
    scope,
    takenSeq: start?.rx ?? 0,
    ended: Deferred.await(ended),
    close: Effect.andThen(Deferred.succeed(ended, undefined), Scope.close(scope, Exit.void)),
    replayed: new InFlight(),
    // A legacy server that knows nothing must be told what the old one knew before it gets a call.
    held: later === undefined ? undefined : { replays: later, messages: [], sizeBytes: 0 },
    carriedBy: undefined,
    movedBecause: undefined
  }
})

/** What never went out whole, in order. */
export const unsent = ({ held, relay }: State): ReadonlyArray<Carried> =>
  held?.messages ?? relay.session.unsent.map(({ bytes }) => ({ bytes, lost: 0 }))

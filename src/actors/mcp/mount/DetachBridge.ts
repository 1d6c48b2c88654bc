/** Long calls answered with a handle or a task, before a client whose clock they would outlast (mcp §6.7). */
import { Clock, DateTime, Effect, type Scope } from "effect"
import * as MonotonicTime from "../../../core/actor/MonotonicTime.ts"
import { Crypto } from "../../../core/crypto/Crypto.ts"
import * as Bytes from "../../../core/data/Bytes.ts"
import type { Duplex } from "../../../core/net/Duplex.ts"
import { DetachedCalls } from "../../../protocol/relay/DetachedCalls.ts"
import type { Welcome } from "../../../protocol/relay/RelayControl.ts"
import type { Target } from "../Target.ts"
import * as TranslatedClient from "./TranslatedClient.ts"

/** When a call is detached: after so many milliseconds, never, or when the owner of the service says. */
export type After = number | "never" | "owner"

/** What stands before a client. */
export interface DetachBridge<E> {
  /** The client as a session sees it, or the client itself if nothing can be detached. */
  readonly client: Duplex<E>
  /** The keeper has answered. The first answer decides whether anything is detached at all. */
  readonly welcomed: (welcome: Welcome) => void
}

/** Lives in the surrounding scope. */
export const make = Effect.fnUntraced(function* <E>(
  client: Duplex<E>,
  target: Target,
  after: After
): Effect.fn.Return<DetachBridge<E>, never, Crypto | Scope.Scope> {
  if (after === "never") return { client, welcomed: () => {} }
  const crypto = yield* Crypto
  const clock = yield* Clock.Clock
  const wallMs = clock.currentTimeMillisUnsafe() - MonotonicTime.nowMsUnsafe(clock)
  const translator = new DetachedCalls({
    afterMs: after === "owner" ? undefined : after,
    random: () => Bytes.toHex(crypto.randomBytes(HANDLE_BYTES)),
    instant: (atMs) => DateTime.formatIso(DateTime.makeUnsafe(Math.round(wallMs + atMs)))
  })
  const translated = yield* TranslatedClient.make({
    client,
    target,
    translator,
    isThrough: () => translator.isThrough,
    performed: Effect.void
  })
  let isDecided = after !== "owner"
  return {
    client: translated,
    welcomed: ({ detachAfterMs }) => {
      // Once nothing is detached, nobody reads messages any more.
      if (isDecided) return
      isDecided = detachAfterMs === undefined
      translator.configure(detachAfterMs)
      translated.retime()
    }
  }
})

/** Nobody guesses it: clients of one endpoint may share a session. */
const HANDLE_BYTES = 16

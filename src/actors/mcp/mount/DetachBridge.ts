/** Long calls answered with a handle, before a client that asked for it (mcp §6.7). */
import { Effect, type Scope } from "effect"
import { Crypto } from "../../../core/crypto/Crypto.ts"
import * as Bytes from "../../../core/data/Bytes.ts"
import type { Duplex } from "../../../core/net/Duplex.ts"
import { DetachedCalls } from "../../../protocol/relay/DetachedCalls.ts"
import type { Target } from "../Target.ts"
import * as TranslatedClient from "./TranslatedClient.ts"

/** The client as a session sees it, or the client itself if nothing is to be detached. */
export const make = Effect.fnUntraced(function* <E>(
  client: Duplex<E>,
  target: Target,
  afterMs: number | undefined
): Effect.fn.Return<Duplex<E>, never, Crypto | Scope.Scope> {
  if (afterMs === undefined) return client
  const crypto = yield* Crypto
  const random = () => Bytes.toHex(crypto.randomBytes(HANDLE_BYTES))
  const translator = new DetachedCalls({ afterMs, random })
  return yield* TranslatedClient.make({ client, target, translator, isThrough: () => false, performed: Effect.void })
})

/** Nobody guesses it: clients of one endpoint may share a session. */
const HANDLE_BYTES = 16

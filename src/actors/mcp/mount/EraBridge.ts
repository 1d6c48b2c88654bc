/**
 * The era bridge before a client (mcp §6.6): it looks at messages until client and server are known to understand each other,
 * and translates only if they do not.
 */
import { Clock, DateTime, Effect, type Scope } from "effect"
import * as MonotonicTime from "../../../core/actor/MonotonicTime.ts"
import { Crypto } from "../../../core/crypto/Crypto.ts"
import * as Bytes from "../../../core/data/Bytes.ts"
import type { Duplex } from "../../../core/net/Duplex.ts"
import { EraDetector } from "../../../protocol/relay/era/EraDetector.ts"
import type { Verdict } from "../../../protocol/relay/era/Verdict.ts"
import type { Target } from "../Target.ts"
import * as TranslatedClient from "./TranslatedClient.ts"

/** Whom it stands between. */
export interface Options<E> {
  readonly client: Duplex<E>
  readonly target: Target
  /** What is known of the server; sessions of one mount share it. */
  readonly verdict: Verdict
  /** The client is known to speak nothing but the modern revision. */
  readonly isModernOnly: boolean
  /** Several clients share this session. */
  readonly isShared: boolean
  /** Told when it turns out that messages must be translated. */
  readonly translates?: () => void
}

/** The client as a session sees it. Lives in the surrounding scope. */
export const make = Effect.fnUntraced(function* <E>(
  options: Options<E>
): Effect.fn.Return<Duplex<E>, never, Crypto | Scope.Scope> {
  const { client, target } = options
  const clock = yield* Clock.Clock
  const wallMs = clock.currentTimeMillisUnsafe() - MonotonicTime.nowMsUnsafe(clock)
  const instant = (atMs: number) => DateTime.formatIso(DateTime.makeUnsafe(Math.round(wallMs + atMs)))
  const detector = new EraDetector({ ...options, ...target, instant, seal: yield* seal })
  let isTold = false
  return yield* TranslatedClient.make({
    client,
    target,
    translator: detector,
    isThrough: () => detector.isThrough,
    performed: Effect.suspend(() => {
      if (!detector.isTranslating || isTold) return Effect.void
      isTold = true
      options.translates?.()
      return Effect.logInfo(`mcp: client and server are of different eras; ${target.service} is translated`)
    })
  })
})

/** A key of this process: what it signed is worth nothing elsewhere. */
const seal = Effect.map(Crypto, (crypto) => {
  const key = crypto.randomBytes(KEY_BYTES)
  return {
    random: () => Bytes.toHex(crypto.randomBytes(NAME_BYTES)),
    sign: (text: string) => Bytes.toHex(crypto.hmacSha256(key, Bytes.fromUtf8(text))),
    hash: (text: string) => Bytes.toHex(crypto.sha256(Bytes.fromUtf8(text)))
  }
})

const KEY_BYTES = 32
const NAME_BYTES = 16

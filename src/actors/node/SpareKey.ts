/**
 * An X25519 key made ahead, because making one takes as long as a round trip on a fast network. Each is given out once: no
 * two tunnels share a key (security rule 5).
 */
import { Effect, Latch, type Scope } from "effect"
import type { AgreementKey, Crypto } from "../../core/crypto/Crypto.ts"

/** Gives a key of its own to whoever asks; the next one is made a moment later, until the surrounding scope ends. */
export const make = Effect.fnUntraced(function* (
  crypto: Crypto["Service"]
): Effect.fn.Return<() => AgreementKey, never, Scope.Scope> {
  let spare: AgreementKey | undefined = crypto.agreementKey()
  const taken = Latch.makeUnsafe(false)
  const refill = Effect.sync(() => {
    taken.closeUnsafe()
    spare = crypto.agreementKey()
  })
  yield* Effect.forkScoped(Effect.forever(Effect.andThen(Effect.andThen(taken.await, Effect.sleep(REFILL_MS)), refill)))
  return () => {
    const key = spare ?? crypto.agreementKey()
    spare = undefined
    taken.openUnsafe()
    return key
  }
})

/** By then whoever took the last one has sent it. */
const REFILL_MS = 50

/**
 * An X25519 key made ahead, and signed ahead as soon as the node knows what it is called, because either takes as long as a
 * round trip on a fast network. Each is given out once: no two tunnels share a key (security rule 5).
 */
import { Effect, Latch, type Scope } from "effect"
import type { Crypto, SigningKey } from "../../core/crypto/Crypto.ts"
import type { NodeId } from "../../protocol/wire/Address.ts"
import { OwnKey } from "./OwnKey.ts"

/** The keys of one node. */
export interface SpareKey {
  /** A key that nobody else is given; the next one is made a moment later, until the scope ends. */
  readonly take: () => OwnKey
  /** The node is called `node` from now on: signs what waits. */
  readonly named: (node: NodeId) => void
}

/** Makes keys until the surrounding scope ends. */
export const make = Effect.fnUntraced(function* (
  crypto: Crypto["Service"],
  identity: SigningKey
): Effect.fn.Return<SpareKey, never, Scope.Scope> {
  const fresh = () => new OwnKey(crypto.agreementKey(), identity)
  let spare: OwnKey | undefined = fresh()
  let name: NodeId | undefined
  const taken = Latch.makeUnsafe(false)
  const sign = () => {
    if (name !== undefined) spare?.exchange(name)
  }
  const refill = Effect.sync(() => {
    taken.closeUnsafe()
    spare = fresh()
    sign()
  })
  yield* Effect.forkScoped(Effect.forever(Effect.andThen(Effect.andThen(taken.await, Effect.sleep(REFILL_MS)), refill)))
  return {
    take: () => {
      const key = spare ?? fresh()
      spare = undefined
      taken.openUnsafe()
      return key
    },
    named: (node) => {
      name = node
      sign()
    }
  }
})

/** By then whoever took the last one has sent it. */
const REFILL_MS = 50

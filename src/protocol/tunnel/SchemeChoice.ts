/**
 * Which generation of keys to use with a peer (wire §15.1), since nothing on the wire names one. A peer is spoken to as
 * it spoke last under the same keys; until then in the preferred generation, with challenges in every one it may speak.
 * Once the later generation has opened for an identity, the earlier one is never accepted again (security rule 5).
 */
import type { Scheme } from "./KeyDerivation.ts"
import type { TunnelKeys } from "./TunnelKeys.ts"

/** Mutable, owned by one tunnel. */
export class SchemeChoice {
  readonly #preferred: Scheme
  #laterOnly: boolean
  #toTry: ReadonlyArray<Scheme>

  constructor(preferred: Scheme, laterOnly: boolean) {
    this.#preferred = preferred
    this.#laterOnly = laterOnly
    this.#toTry = laterOnly ? LATER_ONLY : LIKELY_FIRST[preferred]
  }

  /** True once the later generation has opened. */
  get laterOnly(): boolean {
    return this.#laterOnly
  }

  /** What a frame of the peer may be sealed with, the likelier first. */
  get toTry(): ReadonlyArray<Scheme> {
    return this.#toTry
  }

  /** What to seal packets with. */
  toSeal(keys: TunnelKeys): Scheme {
    return this.#laterOnly ? "later" : (keys.scheme ?? this.#preferred)
  }

  /** What to seal a challenge with: all that is possible, for the answer shows which it is. */
  toChallenge(keys: TunnelKeys): ReadonlyArray<Scheme> {
    return keys.scheme === undefined || this.#laterOnly ? this.#toTry : [keys.scheme]
  }

  /** A frame of the peer has opened; true if it had not spoken this generation under these keys before. */
  opened(keys: TunnelKeys, scheme: Scheme): boolean {
    if (keys.scheme === scheme) return false
    keys.scheme = scheme
    this.#laterOnly ||= scheme === "later"
    this.#toTry = this.#laterOnly ? LATER_ONLY : LIKELY_FIRST[scheme]
    return true
  }
}

const LATER_ONLY: ReadonlyArray<Scheme> = ["later"]
const LIKELY_FIRST: Readonly<Record<Scheme, ReadonlyArray<Scheme>>> = {
  later: ["later", "legacy"],
  legacy: ["legacy", "later"]
}

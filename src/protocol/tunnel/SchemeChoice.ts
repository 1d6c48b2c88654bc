/**
 * Which generation of keys to use with a peer (wire §15.1), since nothing on the wire names one. A peer is spoken to as
 * it spoke last under the same keys; until then in the preferred generation, with challenges in every one it may speak.
 * Once the later generation has opened for an identity, the earlier one is never accepted again (security rule 5).
 */
import type * as TunnelFrame from "../wire/TunnelFrame.ts"
import type { Scheme } from "./KeyDerivation.ts"
import type { TunnelKeys } from "./TunnelKeys.ts"

/** Mutable, owned by one tunnel. */
export class SchemeChoice {
  readonly #preferred: Scheme
  #laterOnly = false
  #checkedAtMs = Number.NEGATIVE_INFINITY
  #toTry: ReadonlyArray<Scheme>

  constructor(preferred: Scheme) {
    this.#preferred = preferred
    this.#toTry = LIKELY_FIRST[preferred]
  }

  /** True once the later generation has opened. */
  get laterOnly(): boolean {
    return this.#laterOnly
  }

  /** The later generation has opened for this identity, now or before: from here on there is no other. */
  neverBack(): void {
    this.#laterOnly = true
    this.#toTry = LATER_ONLY
  }

  /** What a frame of the peer may be sealed with, the likelier first. */
  get toTry(): ReadonlyArray<Scheme> {
    return this.#toTry
  }

  /** What to seal packets with. Whoever announces itself speaks both, though a lost frame made the earlier one open first. */
  toSeal(keys: TunnelKeys, hasAnnounced: boolean): Scheme {
    return this.#laterOnly || hasAnnounced ? "later" : (keys.scheme ?? this.#preferred)
  }

  /** What to seal a challenge with: all that is possible, for the answer shows which it is. */
  toChallenge(keys: TunnelKeys): ReadonlyArray<Scheme> {
    return keys.scheme === undefined || this.#laterOnly ? this.#toTry : [keys.scheme]
  }

  /** A frame of the peer has opened; true if it had not spoken this generation under these keys before. */
  opened(keys: TunnelKeys, scheme: Scheme): boolean {
    if (keys.scheme === scheme) return false
    keys.scheme = scheme
    if (scheme === "later") this.neverBack()
    else this.#toTry = LIKELY_FIRST[scheme]
    return true
  }

  /**
   * The packet of a frame that would have opened in the generation left for ever; it only serves to report that somebody
   * goes back. Looked for once a second, because it costs a decryption that forged frames can cause.
   */
  downgraded(inUse: ReadonlyArray<TunnelKeys>, frame: TunnelFrame.Sealed, nowMs: number): Uint8Array | undefined {
    if (!this.#laterOnly || nowMs - this.#checkedAtMs < CHECK_MS) return undefined
    this.#checkedAtMs = nowMs
    for (const keys of inUse) {
      const packet = keys.decrypt("legacy", frame)
      if (packet !== undefined) return packet
    }
    return undefined
  }
}

const CHECK_MS = 1000
const LATER_ONLY: ReadonlyArray<Scheme> = ["later"]
const LIKELY_FIRST: Readonly<Record<Scheme, ReadonlyArray<Scheme>>> = {
  later: ["later", "legacy"],
  legacy: ["legacy", "later"]
}

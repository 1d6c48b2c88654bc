/**
 * Which keys of a peer are in use (security rule 5): `current` once a frame has opened under them, up to two candidates
 * that have yet to prove themselves, and for a while the previous ones, for frames still on their way.
 *
 * All agreements made with one key of our own are remembered with their counters and replay windows, because a recorded
 * key exchange can be replayed at any time: it must find its old keys and never start them afresh. Their number is
 * bounded; beyond it our own key must be renewed, which makes every older recording worthless.
 */
import * as Bytes from "../../core/data/Bytes.ts"
import type { TunnelKeys } from "./TunnelKeys.ts"

/** What new keys mean: the first of all, new ones within a life of the peer, or the first of its next life. */
export type Promotion = "first" | "renewal" | "restart"

/** Mutable, owned by one tunnel. */
export class KeyRing {
  #current: TunnelKeys | undefined
  #previous: { readonly keys: TunnelKeys; readonly untilMs: number } | undefined
  /** Newest last. */
  #candidates: ReadonlyArray<TunnelKeys> = []
  /** By the peer's X25519 key, in hexadecimal: all agreements of our key of today. */
  readonly #agreements = new Map<string, TunnelKeys>()
  #inUse: ReadonlyArray<TunnelKeys> = []

  /** The confirmed keys. */
  get current(): TunnelKeys | undefined {
    return this.#current
  }

  /** What to seal with: the confirmed keys, else the newest candidate. */
  get sending(): TunnelKeys | undefined {
    return this.#current ?? this.newestCandidate
  }

  /** The candidate offered last. */
  get newestCandidate(): TunnelKeys | undefined {
    return this.#candidates.at(-1)
  }

  /** All that may open a frame, in the order to try: current, candidates from the newest, previous. */
  get inUse(): ReadonlyArray<TunnelKeys> {
    return this.#inUse
  }

  /** When the previous keys are to be forgotten. */
  get deadlineMs(): number {
    return this.#previous?.untilMs ?? Number.POSITIVE_INFINITY
  }

  /** The agreement of our key of today with this key of the peer. */
  find(peerKey: Uint8Array): TunnelKeys | undefined {
    return this.#agreements.get(Bytes.toHex(peerKey))
  }

  /** Whether these are the current keys or a candidate. */
  isLive(keys: TunnelKeys): boolean {
    return keys === this.#current || this.#candidates.includes(keys)
  }

  /** Whether these are candidates. */
  isCandidate(keys: TunnelKeys): boolean {
    return this.#candidates.includes(keys)
  }

  /** True for keys agreed with an own key that has been renewed since. */
  isOutdated(keys: TunnelKeys): boolean {
    return this.find(keys.peerKey) !== keys
  }

  /** Adds a candidate, or brings back remembered keys as one; false when the own key must be renewed first. */
  offer(keys: TunnelKeys): boolean {
    if (this.isOutdated(keys)) {
      if (this.#agreements.size >= AGREEMENTS_MAX) return false
      this.#agreements.set(Bytes.toHex(keys.peerKey), keys)
    }
    if (keys === this.#previous?.keys) this.#previous = undefined
    this.#candidates = [...this.#candidates, keys].slice(-CANDIDATES_MAX)
    this.#arrange()
    return true
  }

  /**
   * A frame has opened under this candidate and the given nonce prefix: it becomes current, and older candidates are
   * dropped. The keys before go on opening what is under way, unless they belong to a life of the peer that has ended.
   */
  promote(keys: TunnelKeys, prefix: number, nowMs: number): Promotion {
    const promotion = this.#judge(keys, prefix)
    const before = promotion === "renewal" ? this.#current : undefined
    this.#previous = before === undefined ? undefined : { keys: before, untilMs: nowMs + OVERLAP_MS }
    keys.isConfirmed = true
    this.#current = keys
    this.#candidates = this.#candidates.slice(this.#candidates.indexOf(keys) + 1)
    this.#arrange()
    return promotion
  }

  /** Our own key is another one: what was agreed with the old one still opens, but is never offered again. */
  renewed(): void {
    this.#agreements.clear()
  }

  /** Forgets the previous keys when their time is over. */
  expire(nowMs: number): void {
    if (this.#previous === undefined || nowMs < this.#previous.untilMs) return
    this.#previous = undefined
    this.#arrange()
  }

  /**
   * A peer of ours keeps its nonce prefix when it renews its keys; the reference never renews them. So new keys with a new
   * prefix are a new life. Keys that were current before are not: they come back when an old key exchange is replayed.
   */
  #judge(keys: TunnelKeys, prefix: number): Promotion {
    const current = this.#current
    if (current === undefined) return "first"
    const isSameLife = keys.isConfirmed || Bytes.equals(current.peerKey, keys.peerKey) || current.hasOpenedUnder(prefix)
    return isSameLife ? "renewal" : "restart"
  }

  #arrange(): void {
    const ordered = [this.#current, ...this.#candidates.toReversed(), this.#previous?.keys]
    this.#inUse = ordered.filter((keys) => keys !== undefined)
  }
}

/** Unproven keys at once: two, so that a replayed old key exchange does not push out a true one on its way. */
export const CANDIDATES_MAX = 2
/** Keys of the peer that one key of our own may meet; a peer has a new one after each restart. */
export const AGREEMENTS_MAX = 16
/** Frames sealed before the peer changed keys arrive within this, or not at all. */
export const OVERLAP_MS = 60_000

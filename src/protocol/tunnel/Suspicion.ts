/**
 * Signs that the peer has lost our keys: frames that do not open although a session has settled (wire §6.4, better c),
 * or no frame at all while we keep sending, which is all that a restarted peer of the reference shows (wire §6.4). A
 * sign may be forged, so it only leads to a key exchange, at most one a second.
 */

/** Mutable, owned by one tunnel. */
export class Suspicion {
  #badTagsInARow = 0
  #unansweredSinceMs = Number.POSITIVE_INFINITY
  #raisedAtMs = Number.NEGATIVE_INFINITY
  #raised = 0

  /** How often it was raised since a frame last opened. */
  get raised(): number {
    return this.#raised
  }

  /** A frame of the peer has opened: all is well. */
  opened(): void {
    this.#badTagsInARow = 0
    this.#unansweredSinceMs = Number.POSITIVE_INFINITY
    this.#raised = 0
  }

  /** A frame did not open; true if it is time to act. */
  badTag(establishedAtMs: number, nowMs: number): boolean {
    this.#badTagsInARow += 1
    if (this.#badTagsInARow < BAD_TAGS_MAX || nowMs - establishedAtMs <= SETTLED_MS) return false
    return this.#raise(RAISE_MS, nowMs)
  }

  /** A packet was sent; true if the peer has been silent for so long that it is time to act. */
  sent(nowMs: number): boolean {
    this.#unansweredSinceMs = Math.min(this.#unansweredSinceMs, nowMs)
    return nowMs - this.#unansweredSinceMs > SILENCE_MS && this.#raise(SILENCE_MS, nowMs)
  }

  #raise(intervalMs: number, nowMs: number): boolean {
    if (nowMs - this.#raisedAtMs < intervalMs) return false
    this.#raisedAtMs = nowMs
    this.#raised += 1
    return true
  }
}

/** Nothing opened for this long: the other side may have lost what it had (wire §6.3). */
export const SILENCE_MS = 6000

const BAD_TAGS_MAX = 5
/** Frames under older keys may still arrive just after an exchange. */
const SETTLED_MS = 3000
const RAISE_MS = 1000

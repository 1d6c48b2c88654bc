/**
 * What the streams of one path know of its round trips, together (RFC 9040 §3, ensemble sharing): each measures, and each
 * goes by what all have measured, so that the first timer of a new stream is as good as the last of an old one. The owner
 * of the path gives the same one to all its streams by `StreamConfig.path`, and a new one when the path changes.
 */
import * as RttEstimator from "./RttEstimator.ts"

/** Mutable, shared by streams that run on one thread. */
export class PathRtt {
  /** When segments began to take this path. */
  readonly sinceMs: number
  #rtt: RttEstimator.RttEstimator
  /** The least of the window before this one and of this one, and when this one began. */
  #leastBeforeMs = Number.POSITIVE_INFINITY
  #leastMs = Number.POSITIVE_INFINITY
  #windowAtMs: number

  /** What was sent before `sinceMs` took another path, and tells nothing of this one. */
  constructor(initialRttMs: number, sinceMs: number) {
    this.sinceMs = sinceMs
    this.#windowAtMs = sinceMs
    this.#rtt = RttEstimator.make(initialRttMs)
  }

  /** The estimate; its minimum is of the last five to ten minutes. */
  get rtt(): RttEstimator.RttEstimator {
    return this.#rtt
  }

  /**
   * One round trip was measured at `nowMs`; the answer may have been held back for as long as `ackDelayMs`. False if it was
   * of another path.
   */
  sample(rttMs: number, ackDelayMs: number, nowMs: number): boolean {
    if (nowMs - rttMs < this.sinceMs) return false
    if (nowMs - this.#windowAtMs > MIN_WINDOW_MS) {
      this.#leastBeforeMs = this.#leastMs
      this.#leastMs = rttMs
      this.#windowAtMs = nowMs
    } else if (rttMs < this.#leastMs) this.#leastMs = rttMs
    const minRttMs = Math.min(this.#leastBeforeMs, this.#leastMs)
    this.#rtt = RttEstimator.update({ ...this.#rtt, minRttMs }, rttMs, ackDelayMs)
    return true
  }
}

/** A route that has become longer for good is taken for a queue no longer than this, twice over. */
const MIN_WINDOW_MS = 300_000

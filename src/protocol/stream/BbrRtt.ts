/**
 * The path's own delay, as BBR models it (draft-ietf-ccwg-bbr §5.3.4, §5.5.7): the least round trip of the last ten
 * seconds, and when it is time to drain our queue to measure it again.
 */

/** Mutable inside the controller that owns it. */
export class BbrRtt {
  /** BBR.min_rtt; `Infinity` until there is a sample. */
  minMs = Number.POSITIVE_INFINITY
  /** The last acknowledgement found that no lower round trip was seen for `PROBE_INTERVAL_MS`. */
  isProbeDue = false
  #minAtMs = 0
  #recentMs = Number.POSITIVE_INFINITY
  #recentAtMs = 0

  /** Takes in one round trip; 0 stands for none. */
  update(rttMs: number, nowMs: number): void {
    this.isProbeDue = this.#recentMs < Number.POSITIVE_INFINITY && nowMs > this.#recentAtMs + PROBE_INTERVAL_MS
    if (rttMs > 0 && (rttMs < this.#recentMs || this.isProbeDue)) {
      this.#recentMs = rttMs
      this.#recentAtMs = nowMs
    }
    if (this.#recentMs < this.minMs || nowMs > this.#minAtMs + WINDOW_MS) {
      this.minMs = this.#recentMs
      this.#minAtMs = this.#recentAtMs
    }
  }

  /** The queue was drained long enough: the next probe is due an interval from now. */
  probed(nowMs: number): void {
    this.#recentAtMs = nowMs
  }
}

/** §2.9 BBR.ProbeRTTInterval: the same for every flow, so that they drain together. */
const PROBE_INTERVAL_MS = 5_000
/** §2.9 BBR.MinRTTFilterLen. */
const WINDOW_MS = 10_000

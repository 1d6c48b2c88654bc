/**
 * Notices that a peer's steady flow of data has stopped. Whoever only reads has nothing unanswered by which to tell a dead path from
 * a pause, so it asks, once for each flow that stops.
 *
 * Mutable; one per peer, owned by its `PathSelector`.
 */
export class PathFlow {
  #sinceMs = Number.POSITIVE_INFINITY
  #carriedAtMs = Number.NEGATIVE_INFINITY

  /** A frame with data opened. */
  carried(nowMs: number): void {
    if (nowMs - this.#carriedAtMs > GAP_MS || this.#sinceMs > nowMs) this.#sinceMs = nowMs
    this.#carriedAtMs = nowMs
  }

  /** When to ask whether the peer is still there, if nothing more comes; `Infinity` unless there was a flow. */
  get stoppedAtMs(): number {
    return this.#carriedAtMs - this.#sinceMs < FLOW_MS_MIN ? Number.POSITIVE_INFINITY : this.#carriedAtMs + GAP_MS
  }

  /** It was asked. */
  asked(): void {
    this.#sinceMs = Number.POSITIVE_INFINITY
  }
}

/** No frame of a flow comes later than so much after the one before it; one that is over sooner is a message. */
const GAP_MS = 300
const FLOW_MS_MIN = 1_000

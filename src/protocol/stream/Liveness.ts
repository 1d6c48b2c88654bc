/**
 * Keepalive and idle time (wire §10.7). Each end proves itself alive by itself: nothing here is answered. An old peer
 * closes a stream on which it has heard nothing for two minutes.
 */

/** Mutable inside the connection that owns it. */
export class Liveness {
  readonly #keepaliveMs: number
  readonly #idleMs: number
  #sentAtMs: number
  #activeAtMs: number

  constructor(keepaliveMs: number, idleMs: number, nowMs: number) {
    this.#keepaliveMs = keepaliveMs
    this.#idleMs = idleMs
    this.#sentAtMs = nowMs
    this.#activeAtMs = nowMs
  }

  /** When a keepalive is due or the stream is idle too long. */
  get deadlineMs(): number {
    return Math.min(this.#sentAtMs + this.#keepaliveMs, this.#activeAtMs + this.#idleMs)
  }

  /** Any segment left. */
  sent(nowMs: number): void {
    this.#sentAtMs = nowMs
  }

  /** Data left, which counts as activity; acknowledgements and probes do not. */
  sentData(nowMs: number): void {
    this.#activeAtMs = nowMs
  }

  /** A segment with the ACK flag arrived. */
  heard(nowMs: number): void {
    this.#activeAtMs = nowMs
  }

  /** Nothing has left for so long that the peer should hear from us. */
  isKeepaliveDue(nowMs: number): boolean {
    return this.#sentAtMs + this.#keepaliveMs <= nowMs
  }

  /** Neither end has shown a sign of life for too long. */
  isIdle(nowMs: number): boolean {
    return this.#activeAtMs + this.#idleMs <= nowMs
  }
}

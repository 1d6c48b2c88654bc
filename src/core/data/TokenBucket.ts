/**
 * A rate limit: a bucket that refills evenly and is taken from (wire §9.5). Counts whole tokens and the instant up to
 * which refill has been credited, so that no fraction of a token is ever lost or made up by rounding.
 */

/** `capacity` tokens at most (a burst), refilled with `perSecond`. */
export interface Config {
  readonly capacity: number
  readonly perSecond: number
}

/** Mutable, with one owner. */
export class TokenBucket {
  readonly #capacity: number
  readonly #intervalMs: number
  #tokens: number
  /** The instant that `#tokens` accounts for; moves by whole intervals only (wire §9.5). */
  #creditedAtMs: number

  constructor(config: Config, nowMs: number) {
    this.#capacity = config.capacity
    this.#intervalMs = 1000 / config.perSecond
    this.#tokens = config.capacity
    this.#creditedAtMs = nowMs
  }

  /** Takes one token if there is one. */
  take(nowMs: number): boolean {
    this.#refill(nowMs)
    if (this.#tokens === 0) return false
    this.#tokens -= 1
    return true
  }

  /** Takes so many tokens at once, if there are so many. */
  takeMany(count: number, nowMs: number): boolean {
    this.#refill(nowMs)
    if (this.#tokens < count) return false
    this.#tokens -= count
    return true
  }

  /** Whole tokens now. */
  available(nowMs: number): number {
    this.#refill(nowMs)
    return this.#tokens
  }

  /** When the next `take` succeeds: now, or when a token will have been refilled. */
  readyAtMs(nowMs: number): number {
    this.#refill(nowMs)
    return this.#tokens > 0 ? nowMs : this.#creditedAtMs + this.#intervalMs
  }

  /** Full as long as nothing is taken, which makes it the same as a fresh one and safe to forget. */
  isFull(nowMs: number): boolean {
    return this.available(nowMs) === this.#capacity
  }

  #refill(nowMs: number): void {
    const due = Math.floor((nowMs - this.#creditedAtMs) / this.#intervalMs + ROUNDING)
    if (due < 1) return
    if (this.#tokens + due >= this.#capacity) {
      this.#tokens = this.#capacity
      this.#creditedAtMs = nowMs
    } else {
      this.#tokens += due
      this.#creditedAtMs += due * this.#intervalMs
    }
  }
}

/** In tokens: a taker that comes exactly on time must not lose its token to the last bit of a quotient. */
const ROUNDING = 1e-9

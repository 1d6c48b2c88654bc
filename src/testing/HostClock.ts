/** What a host's clock shows: how far its time of day is off, and how fast its time passes. Mutable. */
export class HostClock {
  /** Ahead of the others, of the time of day only. */
  skewMs: number
  #rate = 1
  #atMs = 0
  #shownAtMs = 0

  constructor(skewMs = 0) {
    this.skewMs = skewMs
  }

  /** Its monotonic time at an instant of the world; never goes back. */
  shownMs(nowMs: number): number {
    return this.#shownAtMs + (nowMs - this.#atMs) * this.#rate
  }

  /** How long the world takes until so much has passed here. */
  trueMs(shownMs: number): number {
    return shownMs / this.#rate
  }

  /** Runs fast by so many parts per million from now on, or slow if negative. */
  drift(partsPerMillion: number, nowMs: number): void {
    this.#shownAtMs = this.shownMs(nowMs)
    this.#atMs = nowMs
    this.#rate = 1 + partsPerMillion / 1_000_000
  }
}

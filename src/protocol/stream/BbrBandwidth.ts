/**
 * How fast the path delivers, as BBR models it (draft-ietf-ccwg-bbr §5.5): rounds counted in packets, the greatest rate of
 * this and the last probing cycle, whether sending faster still brings more, and how much acknowledgements bunch.
 */
import type { RateSample } from "./RateSampler.ts"
import { WindowedMax } from "./WindowedMax.ts"

/** Mutable inside the controller that owns it. Rates are bytes per millisecond. */
export class BbrBandwidth {
  /** Rounds since the stream began; one lasts from a segment's departure to its acknowledgement (§5.5.1). */
  rounds = 0
  /** The last acknowledgement began a round. */
  isRoundStart = false
  /** Sending faster has brought no more since the last `resetFull`; and: it ever has brought no more (§5.3.1.2). */
  isFullNow = false
  isFull = false
  #roundEndsAt = 0
  #current = 0
  #previous = 0
  #fullRate = 0
  #fullRounds = 0
  readonly #extra = new WindowedMax()
  #extraSinceMs = 0
  #extraBytes = 0

  /** BBR.max_bw: of this cycle and the one before (§5.5.2). */
  get max(): number {
    return Math.max(this.#current, this.#previous)
  }

  /** BBR.extra_acked: bytes that arrived acknowledged beyond what the bandwidth explains (§5.5.9). */
  get extraBytes(): number {
    return this.#extra.value
  }

  /** The acknowledgement of what is sent from now on begins a round. */
  startRound(totalDelivered: number): void {
    this.#roundEndsAt = totalDelivered
  }

  /** Takes in one sample (§5.5.1, §5.5.5). */
  update(sample: RateSample): void {
    this.isRoundStart = sample.priorDelivered >= this.#roundEndsAt
    if (this.isRoundStart) {
      this.startRound(sample.totalDelivered)
      this.rounds += 1
    }
    if (sample.bytesPerMs > this.#current && (!sample.isAppLimited || sample.bytesPerMs >= this.max)) {
      this.#current = sample.bytesPerMs
    }
  }

  /** A probing cycle has ended: only two are remembered (§5.5.6). Without a sample of its own it does not count. */
  advanceCycle(): void {
    if (this.#current === 0) return
    this.#previous = this.#current
    this.#current = 0
  }

  /** Begins to look for a plateau above `rate` (§5.3.1.2). */
  resetFull(rate: number): void {
    this.#fullRate = rate
    this.#fullRounds = 0
    this.isFullNow = false
  }

  /** Three rounds in which the rate did not grow by a quarter have filled the path (§5.3.1.2). */
  checkFull(sample: RateSample): void {
    if (this.isFullNow || sample.isAppLimited) return
    if (sample.bytesPerMs >= this.#fullRate * FULL_GROWTH) return this.resetFull(sample.bytesPerMs)
    if (!this.isRoundStart) return
    this.#fullRounds += 1
    if (this.#fullRounds < FULL_ROUNDS) return
    this.isFullNow = true
    this.isFull = true
  }

  /** Measures how acknowledgements bunch, against the bandwidth in use; never more than the window (§5.5.9). */
  aggregate(bytes: number, bandwidth: number, window: number, nowMs: number): void {
    let expected = bandwidth * (nowMs - this.#extraSinceMs)
    if (this.#extraBytes <= expected) {
      this.#extraBytes = 0
      this.#extraSinceMs = nowMs
      expected = 0
    }
    this.#extraBytes += bytes
    const rounds = this.isFull ? EXTRA_ROUNDS : 1
    this.#extra.update(Math.min(window, this.#extraBytes - expected), this.rounds, rounds)
  }

  /** A pause is no bunching. */
  resumed(nowMs: number): void {
    this.#extraSinceMs = nowMs
    this.#extraBytes = 0
  }
}

/** §5.3.1.2. */
const FULL_GROWTH = 1.25
const FULL_ROUNDS = 3
/** §2.11 BBR.ExtraAckedFilterLen. */
const EXTRA_ROUNDS = 10

/**
 * What losses forbid, as BBR models it (draft-ietf-ccwg-bbr §5.5.10): long-term, how much may be in flight without losing
 * too much, found by probing; short-term, what was delivered lately, while not probing.
 */
import type { SegmentLoss } from "./CongestionController.ts"
import type { RateSample } from "./RateSampler.ts"

/** Mutable inside the controller that owns it. Volumes are bytes, rates bytes per millisecond; `Infinity` is no bound. */
export class BbrBounds {
  /** BBR.inflight_longterm. */
  longTerm = Number.POSITIVE_INFINITY
  /** BBR.inflight_shortterm, BBR.bw_shortterm. */
  shortTerm = Number.POSITIVE_INFINITY
  rateShortTerm = Number.POSITIVE_INFINITY
  /** The greatest of the last round: BBR.inflight_latest. */
  latest = 0
  #rateLatest = 0
  #isLossInRound = false
  #lossRoundEndsAt = 0
  #isLossRoundStart = false
  /** Runs of neighbouring segments lost in the round, and where the last one ends. */
  #lossRuns = 0
  #lossEnd = Number.NEGATIVE_INFINITY
  #before: Saved = { longTerm: this.longTerm, shortTerm: this.shortTerm, rateShortTerm: this.rateShortTerm }

  /** A round of losses has ended with the last acknowledgement. */
  get isLossRoundStart(): boolean {
    return this.#isLossRoundStart
  }

  /** Losses in so many places are no accident of one burst (§5.3.1.3 BBRStartupFullLossCnt). */
  get isLossSpread(): boolean {
    return this.#lossRuns >= LOSS_RUNS
  }

  /** §5.3.3.4 (1 − BBR.Headroom)·BBR.inflight_longterm: leaves room for others. */
  withHeadroom(segmentBytes: number): number {
    return this.longTerm - Math.max(segmentBytes, HEADROOM * this.longTerm)
  }

  /** Takes in one sample, before anything else looks (§5.5.10.2 BBRUpdateLatestDeliverySignals). */
  update(sample: RateSample): void {
    this.#rateLatest = Math.max(this.#rateLatest, sample.bytesPerMs)
    this.latest = Math.max(this.latest, sample.delivered)
    this.#isLossRoundStart = sample.priorDelivered >= this.#lossRoundEndsAt
    if (this.#isLossRoundStart) this.#lossRoundEndsAt = sample.totalDelivered
  }

  /** Slows down towards what was delivered, once per round with losses, unless the losses are of our own probing. */
  adapt(isProbing: boolean, maxBandwidth: number, window: number): void {
    if (!this.#isLossRoundStart) return
    if (this.#isLossInRound && !isProbing) {
      const rate = this.rateShortTerm === Number.POSITIVE_INFINITY ? maxBandwidth : this.rateShortTerm
      const volume = this.shortTerm === Number.POSITIVE_INFINITY ? window : this.shortTerm
      this.rateShortTerm = Math.max(this.#rateLatest, BETA * rate)
      this.shortTerm = Math.max(this.latest, BETA * volume)
    }
    this.#isLossInRound = false
  }

  /** The last thing to do with a sample (§5.5.10.2 BBRAdvanceLatestDeliverySignals). */
  advance(sample: RateSample): void {
    if (!this.#isLossRoundStart) return
    this.#rateLatest = sample.bytesPerMs
    this.latest = sample.delivered
    this.#lossRuns = 0
  }

  /**
   * One segment was lost. What a link loses by accident is not answered unless it is too much (decision 0024). The weighted
   * losses tell: `isTooMuch`.
   */
  lost({ isQueued, segment, totalDelivered }: SegmentLoss, isTooMuch: boolean): void {
    if (segment.start !== this.#lossEnd) this.#lossRuns += 1
    this.#lossEnd = segment.end
    if (!isQueued && !isTooMuch) return
    if (!this.#isLossInRound) this.#lossRoundEndsAt = totalDelivered
    this.#isLossInRound = true
  }

  /** §5.3.3.6 BBRHandleInflightTooHigh: so much was in flight when it became too much; never reduced by more than CUBIC. */
  limit(inFlight: number, target: number): void {
    this.longTerm = Math.max(inFlight, BETA * target)
  }

  /** Forgets what was seen in the last round (§5.5.10.2 BBRResetCongestionSignals). */
  resetSignals(): void {
    this.#isLossInRound = false
    this.#rateLatest = 0
    this.latest = 0
  }

  /** §5.5.10.2 BBRResetShortTermModel. */
  resetShortTerm(): void {
    this.shortTerm = Number.POSITIVE_INFINITY
    this.rateShortTerm = Number.POSITIVE_INFINITY
  }

  /** A recovery begins that may prove unfounded (§5.5.11.1). */
  save(): void {
    this.#before = { longTerm: this.longTerm, shortTerm: this.shortTerm, rateShortTerm: this.rateShortTerm }
  }

  /** It was unfounded (§5.5.11.2). */
  restore(): void {
    this.#isLossInRound = false
    this.longTerm = Math.max(this.longTerm, this.#before.longTerm)
    this.shortTerm = Math.max(this.shortTerm, this.#before.shortTerm)
    this.rateShortTerm = Math.max(this.rateShortTerm, this.#before.rateShortTerm)
  }
}

/** Losses, weighted, that are too many for what was in flight (§5.5.10.1 BBR.LossThresh). */
export const isTooMuchLost = (lost: number, inFlight: number): boolean => lost > inFlight * LOSS_RATE

/** §5.5.10.1 BBRInflightAtLoss: how much was in flight when the losses became too many, within the last segment lost. */
export const inFlightAtLoss = ({ lost, segment }: SegmentLoss): number => {
  const inFlightBefore = segment.inFlightAtSend - segment.payload.length
  const lostBefore = Math.max(0, lost - segment.payload.length)
  return inFlightBefore + Math.max(0, (LOSS_RATE * inFlightBefore - lostBefore) / (1 - LOSS_RATE))
}

interface Saved {
  readonly longTerm: number
  readonly shortTerm: number
  readonly rateShortTerm: number
}

/** §2.6 BBR.LossThresh, BBR.Beta, BBR.Headroom; §5.3.1.3. */
const LOSS_RATE = 0.02
const BETA = 0.7
const HEADROOM = 0.15
const LOSS_RUNS = 6

/**
 * Delivery-rate estimation (draft-ietf-ccwg-bbr §4.1, formerly draft-cheng-iccrg-delivery-rate-estimation): how fast the
 * path delivered the data around the segment that was just acknowledged. The rate is what was delivered between two
 * instants, divided by the longer of the time it took to send and the time it took to be acknowledged, so that neither
 * a burst sent nor a burst of acknowledgements reads as bandwidth.
 *
 * What is known when a segment leaves changes only by acknowledgements, losses and pauses, so all segments sent in between
 * share one record.
 */
import type { Delivery } from "./SackScoreboard.ts"
import { type SendRecord, type SentSegment, unsent } from "./SentSegment.ts"

/** What one acknowledgement tells of the path. One object, filled anew each time. */
export interface RateSample {
  /** Bytes delivered in the interval; 0 if the acknowledgement delivered nothing. */
  readonly delivered: number
  /** Bytes per millisecond; 0 if the interval is too short to be believed. */
  readonly bytesPerMs: number
  /** Of the newest segment delivered, when it was sent: bytes delivered by then, and bytes in flight with it. */
  readonly priorDelivered: number
  readonly inFlightAtSend: number
  /** Bytes lost since it was sent, weighted as `RateSampler.lost` says. */
  readonly lost: number
  /** It was sent when there was not enough to send, so the rate says nothing about the path. */
  readonly isAppLimited: boolean
  /** Bytes delivered since the stream began. */
  readonly totalDelivered: number
}

/** The connection's counters. Mutable inside the recovery that owns it. */
export class RateSampler {
  #delivered = 0
  #deliveredAtMs = 0
  #firstSentAtMs = 0
  #lost = 0
  /** The stream counts as limited by its application until so much is delivered. */
  #appLimitedUntil = 0
  #record: SendRecord | undefined = undefined
  readonly #sample = {
    delivered: 0,
    bytesPerMs: 0,
    priorDelivered: 0,
    inFlightAtSend: 0,
    lost: 0,
    isAppLimited: false,
    totalDelivered: 0
  }

  /** Of the last acknowledgement. */
  get sample(): RateSample {
    return this.#sample
  }

  /** Bytes delivered since the stream began, selectively acknowledged ones included. */
  get delivered(): number {
    return this.#delivered
  }

  /** What is being sent says nothing about the path. */
  get isAppLimited(): boolean {
    return this.#appLimitedUntil > 0
  }

  /** A segment left, for the first time or again; `bytesInFlight` includes it. */
  sent(segment: SentSegment, bytesInFlight: number, nowMs: number): void {
    if (bytesInFlight <= segment.payload.length) {
      this.#firstSentAtMs = nowMs
      this.#deliveredAtMs = nowMs
      this.#record = undefined
    }
    this.#record ??= {
      delivered: this.#delivered,
      deliveredAtMs: this.#deliveredAtMs,
      firstSentAtMs: this.#firstSentAtMs,
      lost: this.#lost,
      isAppLimited: this.#appLimitedUntil > 0
    }
    segment.record = this.#record
    segment.inFlightAtSend = bytesInFlight
  }

  /**
   * A segment is taken for lost. `weight` says how much of it counts as a sign of congestion. Answers the weighted bytes
   * lost since it was sent, itself included.
   */
  lost(segment: SentSegment, weight: number): number {
    this.#lost += segment.payload.length * weight
    this.#record = undefined
    return this.#lost - segment.record.lost
  }

  /** There was room to send more, and nothing to send. */
  limited(bytesInFlight: number): void {
    this.#appLimitedUntil = Math.max(1, this.#delivered + bytesInFlight)
    this.#record = undefined
  }

  /** Takes in what one acknowledgement delivered. An interval below `minRttMs` belongs to an earlier transmission. */
  acknowledged({ bytes, newest }: Delivery, minRttMs: number, nowMs: number): RateSample {
    const sample = this.#sample
    this.#record = undefined
    this.#delivered += bytes
    this.#deliveredAtMs = nowMs
    if (this.#delivered > this.#appLimitedUntil) this.#appLimitedUntil = 0
    const record = newest?.record ?? unsent
    sample.totalDelivered = this.#delivered
    sample.delivered = newest === undefined ? 0 : this.#delivered - record.delivered
    sample.bytesPerMs = 0
    sample.priorDelivered = record.delivered
    sample.inFlightAtSend = newest?.inFlightAtSend ?? 0
    sample.lost = this.#lost - record.lost
    sample.isAppLimited = record.isAppLimited
    if (newest === undefined) return sample
    this.#firstSentAtMs = newest.sentAtMs
    const intervalMs = Math.max(newest.sentAtMs - record.firstSentAtMs, nowMs - record.deliveredAtMs)
    if (intervalMs >= minRttMs && intervalMs > 0) sample.bytesPerMs = sample.delivered / intervalMs
    return sample
  }
}

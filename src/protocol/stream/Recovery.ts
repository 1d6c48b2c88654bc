/**
 * What a sender concludes from acknowledgements and from their absence: the round-trip time, what is lost, and what that
 * means for the congestion window (RFC 6675, RFC 8985, RFC 6298). One recovery answers all losses of one flight.
 */
import { type CongestionController, WINDOW_SEGMENTS_MIN } from "./CongestionController.ts"
import * as Controllers from "./Controllers.ts"
import { type Expiry, LossDetector } from "./LossDetector.ts"
import { PathRtt } from "./PathRtt.ts"
import { RateSampler } from "./RateSampler.ts"
import * as RttEstimator from "./RttEstimator.ts"
import type { SackScoreboard } from "./SackScoreboard.ts"
import type { SentSegment } from "./SentSegment.ts"
import type { StreamConfig } from "./StreamConfig.ts"

/** What the sender knew before and after an acknowledgement. */
export interface Progress {
  readonly bytesInFlightBefore: number
  /** Positions: the cumulative acknowledgement, and where new data begins. */
  readonly unacked: number
  readonly next: number
  /** The SACK had no room for another block. */
  readonly isSackFull: boolean
}

/** Mutable inside the sender that owns it, which also owns the scoreboard. */
export class Recovery {
  congestion: CongestionController
  /** In flight, beside the window's bytes: few after a timeout, more with each that arrives. Small ones fill queues as well. */
  segmentsMax = Number.POSITIVE_INFINITY
  readonly #config: StreamConfig
  readonly #board: SackScoreboard
  readonly #loss: LossDetector
  readonly #sampler = new RateSampler()
  readonly #sizes: { segmentBytes: number; readonly initialWindowBytes: number; readonly seed: number }
  readonly #acknowledgement
  #path: PathRtt
  #minRttMs = Number.POSITIVE_INFINITY
  /** `rtt`, and what it was made of. */
  #rtt: RttEstimator.RttEstimator
  #pathRtt: RttEstimator.RttEstimator
  /** Why the window must not grow, and the position whose acknowledgement ends it. */
  #cause: "None" | "Loss" | "Timeout" = "None"
  #endsAt = 0
  /** Congestion control has heard of it: not while all that is lost was sent by another path. */
  #isTold = false
  #isRepairDue = false
  /** Position up to which the congestion window, or pacing, held data back. */
  #limitedUntil = Number.NEGATIVE_INFINITY
  #fastRetransmits = 0
  /** Segments taken for lost since the recovery began, and how many of those verdicts proved wrong. */
  #losses = 0
  #refuted = 0

  /** `seed` differs between streams. */
  constructor(config: StreamConfig, board: SackScoreboard, seed: number) {
    const segmentBytes = config.segmentBytesMax
    this.#config = config
    this.#sizes = { segmentBytes, initialWindowBytes: initialWindowBytes(config), seed }
    const limits = { minMs: config.retransmitMinMs, maxMs: config.retransmitMaxMs, ackDelayMs: config.ackDelayMs }
    this.congestion = Controllers.make(config.congestionControl, this.#sizes)
    this.#acknowledgement = {
      bytes: 0,
      bytesInFlight: 0,
      isWindowLimited: false,
      isInRecovery: false,
      rttMs: 0,
      smoothedRttMs: 0,
      rate: this.#sampler.sample
    }
    this.#board = board
    this.#loss = new LossDetector(limits)
    this.#path = config.path ?? new PathRtt(config.initialRttMs, Number.NEGATIVE_INFINITY)
    this.#pathRtt = this.#path.rtt
    this.#rtt = this.#pathRtt
  }

  /**
   * The current estimate, of all streams on the same path, but for the least round trip: once this stream has one, it goes by
   * its own. A path may become longer at any time, and what reordering and queues are measured by must not be of before.
   */
  get rtt(): RttEstimator.RttEstimator {
    const { rtt } = this.#path
    if (rtt !== this.#pathRtt) {
      this.#pathRtt = rtt
      this.#rtt = this.#minRttMs === Number.POSITIVE_INFINITY ? rtt : { ...rtt, minRttMs: this.#minRttMs }
    }
    return this.#rtt
  }

  /** A loss is being repaired. */
  get isActive(): boolean {
    return this.#cause !== "None"
  }

  /** The window doubles per round trip. */
  get isSlowStart(): boolean {
    return this.congestion.congestionWindow < this.congestion.slowStartThreshold
  }

  /** Retransmission timeouts in a row, without any progress in between. */
  get timeouts(): number {
    return this.#loss.expiries
  }

  /** Segments are as large as this from now on. */
  resize(segmentBytes: number): void {
    this.#sizes.segmentBytes = segmentBytes
  }

  /** Recoveries that began without a timeout. */
  get fastRetransmits(): number {
    return this.#fastRetransmits
  }

  /** When `expire` must look. */
  get deadlineMs(): number {
    return this.#loss.deadlineMs
  }

  /** The segment that a recovery begins with leaves whatever the window says (RFC 6675 §5 step 4.3): true once. */
  takeRepair(): boolean {
    const isDue = this.#isRepairDue
    this.#isRepairDue = false
    return isDue
  }

  /** The congestion window, or pacing, holds back data from `next` on. */
  limited(next: number): void {
    this.#limitedUntil = next
  }

  /** There was room to send more, and nothing to send. */
  idle(): void {
    this.#sampler.limited(this.#board.bytesInFlight)
  }

  /** A segment is about to leave: the first one after a pause tells congestion control. */
  resuming(nowMs: number): void {
    this.follow()
    if (this.#board.bytesInFlight === 0 && this.#sampler.isAppLimited) this.congestion.resumed(nowMs)
  }

  /** A segment left, for the first time or again. */
  sent(segment: SentSegment, nowMs: number): void {
    this.#sampler.sent(segment, this.#board.bytesInFlight, nowMs)
  }

  /** One round trip was measured, of what the peer answers at once unless an `ackDelayMs` is given. */
  sample(rttMs: number, nowMs: number, ackDelayMs = 0): void {
    this.follow()
    const sampleMs = Math.max(RTT_MS_MIN, rttMs)
    if (this.#path.sample(sampleMs, ackDelayMs, nowMs)) this.#minRttMs = Math.min(this.#minRttMs, sampleMs)
  }

  /** Segments may take another path by now: nothing that was measured holds for that (RFC 9000 §9.4). */
  follow(): void {
    const { path } = this.#config
    if (path === undefined || path === this.#path) return
    this.#path = path
    this.#minRttMs = Number.POSITIVE_INFINITY
    this.#isTold = false
    this.#losses = 0
    this.congestion = Controllers.make(this.#config.congestionControl, this.#sizes)
  }

  /** Data was sent, or dropped: the timers follow. */
  arm(isProgress: boolean, nowMs: number): void {
    this.#loss.arm(this.#board, this.rtt, isProgress, nowMs)
  }

  /** The peer is there after all: see `Connection.revived`. */
  revived(nowMs: number): void {
    this.#loss.revived(nowMs)
  }

  /** One acknowledgement is about to be taken in. */
  acknowledging(nowMs: number): void {
    this.#board.delivery.clear(nowMs - RttEstimator.leastMs(this.rtt))
  }

  /** An acknowledgement has delivered something, which the scoreboard's `delivery` tells. */
  progress(progress: Progress, nowMs: number): void {
    const { delivery } = this.#board
    const rttMs = this.#measuredMs(nowMs)
    if (rttMs > 0) this.sample(rttMs, nowMs, this.#ackDelayMs(progress))
    this.#sampler.acknowledged(delivery, this.rtt.minRttMs, nowMs)
    if (this.#cause === "Timeout") this.segmentsMax += delivery.segments
    this.#loss.delivered(this.#board, this.rtt, progress.isSackFull, nowMs)
    this.#refute(nowMs)
    if (this.isActive && progress.unacked >= this.#endsAt) this.#end(nowMs)
    this.#detect(progress, nowMs)
    if (delivery.bytes > 0) this.#tellDelivery(progress, rttMs, nowMs)
    this.arm(true, nowMs)
  }

  /** Duplicate acknowledgements without SACK say that the first segment is lost (RFC 5681 §3.2). */
  duplicated(progress: Progress, nowMs: number): void {
    const { first } = this.#board
    if (this.isActive || first === undefined || first.fate !== "InTransit") return
    this.#lose(first, nowMs)
    this.#begin(progress)
    this.#tellCongestion(progress, nowMs)
  }

  /** Looks at the timers; losses are marked already when it answers. */
  expire(progress: Progress, nowMs: number): Expiry {
    const expiry = this.#loss.expire(this.rtt, nowMs)
    if (expiry === "Timeout") this.#timedOut(progress, nowMs)
    else if (expiry === "Reordering") this.#detect(progress, nowMs)
    return expiry
  }

  /**
   * The round trip of what was delivered; 0 if nothing tells. Only the segment sent last can have called forth the
   * acknowledgement, and only if it was sent once does it say when it left (Karn): what was sent once before it may have
   * arrived long ago, with every acknowledgement lost.
   */
  #measuredMs(nowMs: number): number {
    const { newest } = this.#board.delivery
    return newest === undefined || newest.transmissions > 1 ? 0 : Math.max(RTT_MS_MIN, nowMs - newest.sentAtMs)
  }

  /** A lone segment's acknowledgement may have waited for a second one, or for data to ride on (RFC 9293 §3.8.6.3). */
  #ackDelayMs({ bytesInFlightBefore }: Progress): number {
    const { bytes, newest } = this.#board.delivery
    const isLone = bytes === bytesInFlightBefore && bytes === newest?.payload.length
    return isLone ? this.#config.ackDelayMs : 0
  }

  #detect(progress: Progress, nowMs: number): void {
    const lost = this.#loss.detect(this.#board, this.rtt, this.isActive, this.#lose, nowMs)
    if (lost === 0) return
    if (!this.isActive) this.#begin(progress)
    this.#tellCongestion(progress, nowMs)
  }

  #begin(progress: Progress): void {
    this.#cause = "Loss"
    this.#endsAt = progress.next
    this.#isRepairDue = true
    this.#refuted = 0
    this.#fastRetransmits += 1
    this.#loss.recoveryBegan()
  }

  /** Once for each recovery, when something is lost that took the path of now. */
  #tellCongestion(progress: Progress, nowMs: number): void {
    if (this.#isTold || this.#losses === 0) return
    this.#isTold = true
    this.congestion.congested(this.#usedBytes(progress), nowMs)
  }

  #timedOut(progress: Progress, nowMs: number): void {
    // Further timeouts of the same flight say nothing new about the path (RFC 5681 §3.1).
    if (this.#cause !== "Timeout") this.congestion.timedOut(this.#usedBytes(progress), nowMs)
    this.#board.loseAll()
    this.#cause = "Timeout"
    this.segmentsMax = WINDOW_SEGMENTS_MIN
    this.#isTold = true
    this.#endsAt = progress.next
    this.#isRepairDue = true
  }

  #end(nowMs: number): void {
    this.#cause = "None"
    this.segmentsMax = Number.POSITIVE_INFINITY
    this.#losses = 0
    if (this.#isTold) this.congestion.recovered(nowMs)
    this.#isTold = false
  }

  /** Bound once: it is handed to the loss detector for every acknowledgement. */
  readonly #lose = (segment: SentSegment, nowMs: number): void => {
    this.#board.lose(segment)
    if (segment.sentAtMs < this.#path.sinceMs) return
    this.#losses += 1
    const isQueued = this.rtt.latestRttMs > this.rtt.minRttMs * QUEUED_RTT_RATIO + QUEUED_RTT_MS
    const lost = this.#sampler.lost(segment, isQueued ? 1 : ACCIDENT_WEIGHT)
    this.congestion.lost({ segment, lost, isQueued, totalDelivered: this.#sampler.delivered }, nowMs)
  }

  /** What was given up arrives after all: the verdict was wrong, or the path only slow. */
  #refute(nowMs: number): void {
    const { delivery } = this.#board
    if (this.#cause === "Timeout" && delivery.isLossRefuted) this.#refuteTimeout(nowMs)
    else if (this.#cause === "Loss") {
      this.#refuted += delivery.refuted
      if (this.#refuted >= this.#losses && this.#losses > 0) this.#undo(nowMs)
    }
  }

  /**
   * What the timeout gave up arrives after all without having been sent again. If the repair cannot have been what was
   * acknowledged, the timeout itself was wrong (RFC 4015, by the test of RFC 8985 §6.2 step 2), and the rest is on its way.
   * Otherwise it may be the acknowledgements that were lost, and the rest with them.
   */
  #refuteTimeout(nowMs: number): void {
    const { newest } = this.#board.delivery
    if (newest === undefined) return
    if (newest.transmissions > 1 && nowMs - newest.sentAtMs >= RttEstimator.leastMs(this.rtt)) return
    this.#board.restore()
    this.#undo(nowMs)
  }

  #undo(nowMs: number): void {
    if (this.#isTold) this.congestion.undo(nowMs)
    this.#end(nowMs)
  }

  #tellDelivery(progress: Progress, rttMs: number, nowMs: number): void {
    const told = this.#acknowledgement
    told.bytes = this.#board.delivery.bytes
    told.bytesInFlight = this.#board.bytesInFlight
    told.isWindowLimited = this.#isWindowLimited(progress)
    told.isInRecovery = this.#cause === "Loss" && this.#isTold
    told.rttMs = rttMs
    told.smoothedRttMs = this.rtt.smoothedRttMs
    this.congestion.acknowledged(told, nowMs)
  }

  /**
   * The window (or the pacing that follows from it) was what held back the data now acknowledged (RFC 7661 §4.1). In slow
   * start half a window in flight is enough, since it doubles.
   */
  #isWindowLimited({ bytesInFlightBefore, unacked }: Progress): boolean {
    if (unacked <= this.#limitedUntil) return true
    return this.isSlowStart && bytesInFlightBefore * 2 >= this.congestion.congestionWindow
  }

  /** What congestion control shall reduce: the window if it was used up, else what of it was used (RFC 5681 equation 4). */
  #usedBytes(progress: Progress): number {
    return this.#isWindowLimited(progress) ? this.congestion.congestionWindow : progress.bytesInFlightBefore
  }
}

/** Larger segments than Ethernet's do not make the first burst larger, unless by being two (RFC 9002 §7.2). */
const initialWindowBytes = ({ initialWindowSegments, segmentBytesMax }: StreamConfig): number =>
  Math.max(2 * segmentBytesMax, initialWindowSegments * Math.min(segmentBytesMax, ETHERNET_BYTES))

const ETHERNET_BYTES = 1500
/** A clock that has not moved is no reason for an estimate of nothing. */
const RTT_MS_MIN = 0.001
/** A queue makes round trips longer than the path's by more than this, and by more than timers are inexact. */
const QUEUED_RTT_RATIO = 1.125
const QUEUED_RTT_MS = 1
/**
 * What a loss without a queue counts for: links lose by accident, and 10 % of accidents are to be borne where 2 % of
 * overflow is too much (decision 0024). A buffer too short to be felt loses far more than that when it is overrun.
 */
const ACCIDENT_WEIGHT = 0.2

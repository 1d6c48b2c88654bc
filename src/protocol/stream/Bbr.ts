/**
 * BBR congestion control, version 3 (draft-ietf-ccwg-bbr, clauses of its §5, without ECN): sends at the rate the path was
 * measured to deliver, with little more in flight than fits the path, and probes for more every few seconds. The model is
 * `BbrBandwidth`, `BbrRtt` and `BbrBounds`; this is the state machine over it and the window and rate that follow.
 *
 * Deviation: losses are answered as far as a queue explains them (decision 0024).
 */
import { BbrBandwidth } from "./BbrBandwidth.ts"
import { BbrBounds, inFlightAtLoss, isTooMuchLost } from "./BbrBounds.ts"
import { BbrCompetition } from "./BbrCompetition.ts"
import { BbrProbing } from "./BbrProbing.ts"
import { BbrRtt } from "./BbrRtt.ts"
import { gains, isProbeBw, isProbing, type State } from "./BbrState.ts"
import {
  type Acknowledgement,
  type CongestionController,
  type CongestionSizes,
  PACED_RTT_MS_MIN,
  type SegmentLoss,
  WINDOW_BYTES_MAX,
  WINDOW_SEGMENTS_MIN
} from "./CongestionController.ts"
import type { RateSample } from "./RateSampler.ts"

/** Mutable inside the sender that owns it. */
export class Bbr implements CongestionController {
  #window: number
  readonly #sizes: CongestionSizes
  readonly #bandwidth = new BbrBandwidth()
  readonly #bounds = new BbrBounds()
  readonly #rtt = new BbrRtt()
  readonly #probing: BbrProbing
  readonly #competition: BbrCompetition
  #state: State = "Startup"
  /** BBR.bw: what the rate and the window are computed from. */
  #rate = 0
  #pacing = 0
  /** The window from before the recovery or the drain, and whether one is going on. */
  #windowBefore = 0
  #isRecovering = false
  #stateBefore: State = "Startup"
  /** Rounds at which the recovery began. */
  #recoveryRound = 0
  #isResuming = false

  constructor(sizes: CongestionSizes) {
    this.#sizes = sizes
    this.#window = Math.max(sizes.initialWindowBytes, WINDOW_SEGMENTS_MIN * sizes.segmentBytes)
    this.#probing = new BbrProbing(sizes)
    this.#competition = new BbrCompetition(sizes)
  }

  /** Where the machine is. */
  get state(): State {
    return this.#state
  }

  /** A drain for the path's delay is one whatever others do. */
  get congestionWindow(): number {
    return this.#state === "ProbeRtt" ? this.#window : Math.max(this.#window, this.#competition.window)
  }

  /** The path's product of bandwidth and delay, once it is known. */
  get slowStartThreshold(): number {
    return this.#state === "Startup" ? Number.POSITIVE_INFINITY : this.#inFlight(1)
  }

  pacingBytesPerMs(smoothedRttMs: number): number {
    if (this.#pacing > 0) return Math.max(this.#pacing, this.#competition.pacingBytesPerMs(smoothedRttMs))
    // §5.6.2: before any measurement, as fast as the initial window allows.
    return (gains.Startup.pacing * this.#sizes.initialWindowBytes) / Math.max(smoothedRttMs, PACED_RTT_MS_MIN)
  }

  /** §5.2.3: model, state, control, in the draft's order. */
  acknowledged(acknowledgement: Acknowledgement, nowMs: number): void {
    const { bytes, rate, rttMs } = acknowledgement
    this.#bandwidth.update(rate)
    this.#bounds.update(rate)
    this.#bounds.adapt(isProbing(this.#state), this.#bandwidth.max, this.#window)
    this.#bandwidth.aggregate(bytes, this.#rate, this.#window, nowMs)
    this.#bandwidth.checkFull(rate)
    this.#checkStartup(acknowledgement, nowMs)
    if (this.#state === "Drain" && acknowledgement.bytesInFlight <= this.#inFlight(1))
      this.#down(rate.totalDelivered, nowMs)
    if (this.#bandwidth.isFull) this.#probe(acknowledgement, nowMs)
    this.#rtt.update(rttMs, nowMs)
    this.#checkDelayProbe(acknowledgement, nowMs)
    const isSettled = this.#bandwidth.isFull && this.#state !== "Drain"
    this.#competition.acknowledged(acknowledgement, this.#bandwidth.isRoundStart, isSettled, this.#window, nowMs)
    this.#isResuming = false
    this.#bounds.advance(rate)
    this.#rate = Math.min(this.#bandwidth.max, this.#bounds.rateShortTerm)
    this.#pace(gains[this.#state].pacing, acknowledgement.smoothedRttMs)
    this.#setWindow(acknowledgement)
  }

  /** §5.5.10.1 BBRHandleLostPacket. */
  lost(loss: SegmentLoss, nowMs: number): void {
    const { lost, segment, totalDelivered } = loss
    const isTooMuch = isTooMuchLost(lost, segment.inFlightAtSend)
    this.#bounds.lost(loss, isTooMuch)
    if (isTooMuch && this.#probing.takeVerdict()) {
      this.#limit(inFlightAtLoss(loss), segment.record.isAppLimited, totalDelivered, nowMs)
    }
  }

  /** §5.6.4.4: the window is kept for after the recovery; what is sent in it follows the model. */
  congested(bytesInFlight: number): void {
    this.#competition.congested(bytesInFlight)
    this.#save()
  }

  /** §5.6.4.4 BBROnEnterRTO: nothing is known to be in flight any more. */
  timedOut(bytesInFlight: number): void {
    this.#competition.timedOut(bytesInFlight)
    this.#save()
    this.#window = WINDOW_SEGMENTS_MIN * this.#sizes.segmentBytes
  }

  recovered(): void {
    this.#isRecovering = false
    this.#window = Math.max(this.#window, this.#windowBefore)
    if (this.#bandwidth.isFull) this.#window = Math.min(this.#window, this.#windowCap())
  }

  /** §5.5.11.2. */
  undo(nowMs: number): void {
    this.#isRecovering = false
    this.#competition.undo()
    this.#window = Math.max(this.#window, this.#windowBefore)
    this.#bounds.restore()
    this.#bandwidth.resetFull(0)
    if (this.#state === "ProbeRtt" || this.#state === this.#stateBefore) return
    if (this.#stateBefore === "Startup") {
      this.#bandwidth.isFull = false
      this.#state = "Startup"
    } else if (this.#stateBefore === "Up") this.#state = this.#probing.up(this.#bandwidth, this.#window, 0, nowMs)
  }

  /** §5.4.1: after a pause, the known rate at once, and no drain, since the pause was one. */
  resumed(nowMs: number): void {
    this.#isResuming = true
    this.#bandwidth.resumed(nowMs)
    if (isProbeBw(this.#state)) this.#pace(1, 0)
    else if (this.#state === "ProbeRtt" && this.#probing.isDrainOver(nowMs)) this.#endDelayProbe(nowMs)
  }

  /** §5.3.1: Startup ends when the path is full, or loses too much. */
  #checkStartup({ isInRecovery, rate }: Acknowledgement, nowMs: number): void {
    if (this.#state !== "Startup") return
    const hasRecovered = isInRecovery && this.#bandwidth.rounds > this.#recoveryRound
    const isTooMuch = isTooMuchLost(rate.lost, rate.inFlightAtSend)
    if (hasRecovered && isTooMuch && this.#bounds.isLossRoundStart && this.#bounds.isLossSpread) {
      this.#bandwidth.isFull = true
      this.#bounds.limit(Math.max(this.#product(), this.#bounds.latest), 0)
    }
    if (!this.#bandwidth.isFull) return
    this.#state = "Drain"
    this.#probing.entered(nowMs)
  }

  /** §5.3.3.6 BBRUpdateProbeBWCyclePhase. */
  #probe(acknowledgement: Acknowledgement, nowMs: number): void {
    const { bytesInFlight, isWindowLimited, rate } = acknowledgement
    // Before the probe raises the bound, which it may do with every acknowledgement.
    const isBound = isWindowLimited && this.#window >= this.#bounds.longTerm
    this.#probing.follow(this.#bandwidth, isProbeBw(this.#state) && !rate.isAppLimited)
    if (isTooMuchLost(rate.lost, rate.inFlightAtSend)) {
      if (this.#probing.takeVerdict()) this.#limit(rate.inFlightAtSend, rate.isAppLimited, rate.totalDelivered, nowMs)
    } else if (this.#bounds.longTerm < Number.POSITIVE_INFINITY) {
      this.#bounds.longTerm = Math.max(this.#bounds.longTerm, rate.inFlightAtSend)
      if (this.#state === "Up") this.#probing.raise(this.#bounds, this.#bandwidth, acknowledgement, this.#window)
    }
    if (this.#state === "Down" || this.#state === "Cruise") {
      if (this.#probing.isDue(this.#bandwidth, Math.min(this.#product(), this.#window), nowMs)) {
        this.#bounds.resetShortTerm()
        this.#state = this.#probing.refill(this.#bandwidth, rate.totalDelivered)
      } else if (this.#state === "Down" && this.#isDrained(bytesInFlight)) this.#state = "Cruise"
    } else if (this.#state === "Refill" && this.#bandwidth.isRoundStart) {
      this.#bandwidth.startRound(rate.totalDelivered)
      this.#state = this.#probing.up(this.#bandwidth, this.#window, rate.bytesPerMs, nowMs)
    } else if (this.#state === "Up") this.#checkUp(rate, isBound, nowMs)
  }

  /** §5.3.3.6 BBRIsTimeToGoDown: the bound, not the path, may be what keeps the rate from growing. */
  #checkUp(rate: RateSample, isBound: boolean, nowMs: number): void {
    if (isBound) this.#bandwidth.resetFull(rate.bytesPerMs)
    else if (this.#bandwidth.isFullNow) this.#down(rate.totalDelivered, nowMs)
  }

  #isDrained(bytesInFlight: number): boolean {
    return bytesInFlight <= this.#headroomCap() && bytesInFlight <= this.#inFlight(1)
  }

  #down(totalDelivered: number, nowMs: number): void {
    this.#bounds.resetSignals()
    this.#bandwidth.startRound(totalDelivered)
    this.#state = this.#probing.down(this.#bandwidth, nowMs)
  }

  /** §5.5.10.1 BBRHandleInflightTooHigh. */
  #limit(inFlight: number, isAppLimited: boolean, totalDelivered: number, nowMs: number): void {
    if (!isAppLimited) this.#bounds.limit(inFlight, Math.min(this.#product(), this.#window))
    if (this.#state !== "Up") return
    this.#probing.contested()
    this.#down(totalDelivered, nowMs)
  }

  /** §5.3.4.3 BBRCheckProbeRTT. */
  #checkDelayProbe({ bytesInFlight, rate }: Acknowledgement, nowMs: number): void {
    if (this.#state !== "ProbeRtt" && this.#rtt.isProbeDue && !this.#isResuming) {
      this.#saveWindow()
      this.#state = this.#probing.drain(this.#bandwidth, rate.totalDelivered)
    }
    if (this.#state !== "ProbeRtt") return
    const isLow = bytesInFlight <= this.#delayProbeWindow()
    if (this.#probing.drained(this.#bandwidth, isLow, rate.totalDelivered, nowMs)) this.#endDelayProbe(nowMs)
  }

  #endDelayProbe(nowMs: number): void {
    this.#rtt.probed(nowMs)
    this.#window = Math.max(this.#window, this.#windowBefore)
    this.#bounds.resetShortTerm()
    this.#bounds.resetSignals()
    this.#state = this.#bandwidth.isFull ? this.#probing.cruise(this.#bandwidth, nowMs) : "Startup"
  }

  /** §5.6.2: a little below the bandwidth; before the path is known to be full, the rate only rises. */
  #pace(gain: number, smoothedRttMs: number): void {
    const rate = gain * this.#rate * PACING_MARGIN
    if (rate === 0) return
    if (this.#bandwidth.isFull) this.#pacing = rate
    else if (rate > this.#pacing)
      this.#pacing = Math.max(rate, this.#pacing > 0 ? 0 : this.pacingBytesPerMs(smoothedRttMs))
  }

  /** §5.6.4.6 BBRSetCwnd. */
  #setWindow({ bytes, isWindowLimited, rate }: Acknowledgement): void {
    const most = this.#floored(gains[this.#state].window * this.#product() + this.#bandwidth.extraBytes)
    const grown = this.#window + bytes
    if (this.#bandwidth.isFull) this.#window = Math.min(grown, most)
    else if (isWindowLimited && (this.#window < most || rate.totalDelivered < this.#sizes.initialWindowBytes)) {
      this.#window = grown
    }
    this.#window = Math.min(WINDOW_BYTES_MAX, Math.max(this.#least(), this.#window))
    if (this.#state === "ProbeRtt") this.#window = Math.min(this.#window, this.#delayProbeWindow())
    this.#window = Math.min(this.#window, this.#windowCap())
  }

  /** §5.6.4.7 BBRBoundCwndForModel. */
  #windowCap(): number {
    const cap =
      this.#state === "ProbeRtt" || this.#state === "Cruise"
        ? this.#headroomCap()
        : isProbeBw(this.#state)
          ? this.#bounds.longTerm
          : Number.POSITIVE_INFINITY
    return Math.max(this.#least(), Math.min(cap, this.#bounds.shortTerm))
  }

  #headroomCap(): number {
    if (this.#bounds.longTerm === Number.POSITIVE_INFINITY) return Number.POSITIVE_INFINITY
    return Math.max(this.#least(), this.#bounds.withHeadroom(this.#sizes.segmentBytes))
  }

  #delayProbeWindow(): number {
    return Math.max(this.#least(), gains.ProbeRtt.window * this.#product())
  }

  /** §5.6.4.2 BBR.bdp. */
  #product(): number {
    return this.#rtt.minMs === Number.POSITIVE_INFINITY ? this.#sizes.initialWindowBytes : this.#rate * this.#rtt.minMs
  }

  #inFlight(gain: number): number {
    return this.#floored(gain * this.#product())
  }

  /** §5.6.4.2 BBRQuantizationBudget: enough for both ends' event loops to work in batches. */
  #floored(bytes: number): number {
    const least = Math.max(this.#least(), bytes, this.#rate * BATCH_MS)
    return this.#state === "Up" ? least + 2 * this.#sizes.segmentBytes : least
  }

  #least(): number {
    return WINDOW_SEGMENTS_LEAST * this.#sizes.segmentBytes
  }

  #save(): void {
    this.#saveWindow()
    this.#isRecovering = true
    this.#recoveryRound = this.#bandwidth.rounds
    this.#stateBefore = this.#state
    this.#bounds.save()
  }

  #saveWindow(): void {
    const isLast = !this.#isRecovering && this.#state !== "ProbeRtt"
    this.#windowBefore = isLast ? this.#window : Math.max(this.#windowBefore, this.#window)
  }
}

/** §2.7 BBR.PacingMarginPercent. */
const PACING_MARGIN = 0.99
/** §2.7 BBR.MinPipeCwnd. */
const WINDOW_SEGMENTS_LEAST = 4
/** A turn of a busy event loop at each end: what is in flight between them on a path without delay. */
const BATCH_MS = 4

/**
 * The clocks of BBR's experiments (draft-ietf-ccwg-bbr §5.3.3, §5.3.4): when to probe for bandwidth, which samples belong to
 * a probe, how fast the long-term bound may rise during one, and how long a drain for the path's delay lasts. Each method
 * that begins an experiment answers with the state it puts the machine in.
 */
import type { BbrBandwidth } from "./BbrBandwidth.ts"
import type { BbrBounds } from "./BbrBounds.ts"
import type { State } from "./BbrState.ts"
import type { Acknowledgement, CongestionSizes } from "./CongestionController.ts"

/** Which data the arriving samples are of (§5.3.3.6 BBR.ack_phase). */
type Phase = "Starting" | "Feedback" | "Stopping" | "Refilling" | "None"

/** Mutable inside the controller that owns it. */
export class BbrProbing {
  readonly #segmentBytes: number
  #random: number
  #phase: Phase = "None"
  /** The probe has not been judged yet (§5.3.3.6 BBR.bw_probe_samples). */
  #hasVerdict = true
  /** The last probe ended because it lost too much. */
  #isContested = false
  #cycleStartMs = 0
  #waitMs = 0
  /** Rounds counted when the last probe ended, less the random one. */
  #roundsFrom = 0
  #raises = 0
  #raisePerByte = 0
  /** End of the drain; 0 until enough has drained. */
  #drainedAtMs = 0
  #isDrainRoundOver = false

  constructor({ seed, segmentBytes }: CongestionSizes) {
    this.#segmentBytes = segmentBytes
    this.#random = seed | 1
  }

  /** Startup is over; its losses have been answered. */
  entered(nowMs: number): void {
    this.#cycleStartMs = nowMs
    this.#phase = "None"
  }

  /** The probe under way has lost too much: the path was full, and others were on it if it is not ours alone. */
  contested(): void {
    this.#isContested = true
  }

  /** True once per probe: too many losses answer it, and only the first time. */
  takeVerdict(): boolean {
    const isDue = !this.#hasVerdict
    this.#hasVerdict = true
    return isDue
  }

  /** §5.3.3.6 BBRAdaptLongTermModel: follows which samples arrive. `isMeasured` says that the cycle has learnt something. */
  follow(bandwidth: BbrBandwidth, isMeasured: boolean): void {
    if (!bandwidth.isRoundStart) return
    if (this.#phase === "Starting") this.#phase = "Feedback"
    else if (this.#phase === "Stopping") {
      this.#phase = "None"
      this.#hasVerdict = true
      if (isMeasured) bandwidth.advanceCycle()
    }
  }

  /**
   * §5.3.3.5.3: after two to three seconds, or as many rounds as Reno would need to grow by as much again, 63 at most. After
   * a probe that lost too much as many as Reno would need, however many, for some seconds more: whoever has more of the path
   * waits longer, and CUBIC has time to grow back (decision 0024).
   */
  isDue(bandwidth: BbrBandwidth, targetBytes: number, nowMs: number): boolean {
    const renoRounds = targetBytes / this.#segmentBytes
    const [roundsMax, moreMs] = this.#isContested ? [renoRounds, CONTESTED_WAIT_MS] : [RENO_ROUNDS_MAX, 0]
    const isLong = nowMs > this.#cycleStartMs + this.#waitMs + moreMs
    return isLong || bandwidth.rounds - this.#roundsFrom >= Math.min(renoRounds, roundsMax)
  }

  /** Begins a cycle by sending less (§5.3.3.1). */
  down(bandwidth: BbrBandwidth, nowMs: number): State {
    this.#phase = "Stopping"
    this.#roundsFrom = bandwidth.rounds - (this.#draw() < 0.5 ? 0 : 1)
    this.#waitMs = WAIT_MS + this.#draw() * WAIT_SPREAD_MS
    this.#cycleStartMs = nowMs
    return "Down"
  }

  /** After a drain: the cycle begins, unless it is a long one; the queue is gone already (§5.3.4.4). */
  cruise(bandwidth: BbrBandwidth, nowMs: number): State {
    if (!this.#isContested) this.down(bandwidth, nowMs)
    return "Cruise"
  }

  /** One round at the known rate, so that losses right after it are of too much in flight (§5.3.3.3). */
  refill(bandwidth: BbrBandwidth, totalDelivered: number): State {
    this.#raises = 0
    this.#phase = "Refilling"
    bandwidth.startRound(totalDelivered)
    return "Refill"
  }

  /** Sends faster than before (§5.3.3.4). */
  up(bandwidth: BbrBandwidth, window: number, bytesPerMs: number, nowMs: number): State {
    this.#hasVerdict = false
    this.#isContested = false
    this.#phase = "Starting"
    this.#cycleStartMs = nowMs
    bandwidth.resetFull(bytesPerMs)
    this.#steepen(window)
    return "Up"
  }

  /** Lets the long-term bound rise: by one segment in the first round, two in the next, and so on (§5.3.3.4). */
  raise(bounds: BbrBounds, bandwidth: BbrBandwidth, { bytes, isWindowLimited }: Acknowledgement, window: number): void {
    if (!isWindowLimited || window < bounds.longTerm) return
    bounds.longTerm += bytes * this.#raisePerByte
    if (bandwidth.isRoundStart) this.#steepen(window)
  }

  /** Begins a drain for the path's delay (§5.3.4). */
  drain(bandwidth: BbrBandwidth, totalDelivered: number): State {
    this.#drainedAtMs = 0
    this.#isDrainRoundOver = false
    this.#phase = "Stopping"
    bandwidth.startRound(totalDelivered)
    return "ProbeRtt"
  }

  /** `isLow`: so little is in flight that the queue must be gone. True when that has lasted long enough. */
  drained(bandwidth: BbrBandwidth, isLow: boolean, totalDelivered: number, nowMs: number): boolean {
    if (this.#drainedAtMs === 0) {
      if (!isLow) return false
      this.#drainedAtMs = nowMs + DRAIN_MS
      bandwidth.startRound(totalDelivered)
      return false
    }
    if (bandwidth.isRoundStart) this.#isDrainRoundOver = true
    return this.#isDrainRoundOver && this.isDrainOver(nowMs)
  }

  /** The drain has lasted long enough. */
  isDrainOver(nowMs: number): boolean {
    return this.#drainedAtMs > 0 && nowMs > this.#drainedAtMs
  }

  #steepen(window: number): void {
    this.#raisePerByte = Math.min(1, (this.#segmentBytes * 2 ** this.#raises) / window)
    this.#raises = Math.min(RAISES_MAX, this.#raises + 1)
  }

  /** xorshift32: flows must not probe in step, and that is all. */
  #draw(): number {
    let state = this.#random
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    this.#random = state
    return (state >>> 0) / 2 ** 32
  }
}

/** §5.3.3.5: T_bbr and T_reno_bound, and what ours adds to the former after a probe that lost. Whoever probes more often leaves a flow of CUBIC no time to recover (decision 0024). */
const WAIT_MS = 2_000
const WAIT_SPREAD_MS = 1_000
const RENO_ROUNDS_MAX = 63
const CONTESTED_WAIT_MS = 4_000
/** §2.9 BBR.ProbeRTTDuration. */
const DRAIN_MS = 200
const RAISES_MAX = 30

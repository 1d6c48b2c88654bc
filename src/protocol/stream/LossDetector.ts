/**
 * Finds losses and keeps the retransmission timers: RACK with its adaptive reordering window, the tail-loss probe
 * (RFC 8985) and the retransmission timeout (RFC 6298). A segment is lost when one sent sufficiently later has arrived.
 * Three deadlines, of which the owner waits for the earliest; `expire` says which one passed and what it asks for.
 */
import * as RttEstimator from "./RttEstimator.ts"
import type { SackScoreboard } from "./SackScoreboard.ts"
import type { SentSegment } from "./SentSegment.ts"

/** What a passed deadline asks for: look for losses, send a probe at the tail, or take everything as lost. */
export type Expiry = "None" | "Reordering" | "Probe" | "Timeout"

/** Loss detection of one stream. Mutable inside the sender that owns it. */
export class LossDetector {
  readonly #limits: RttEstimator.TimeoutLimits
  /** The most recently sent segment that arrived (RACK.segment): when it was sent, where it ended, how long it took. */
  #newestSentAtMs = Number.NEGATIVE_INFINITY
  #newestEnd = Number.NEGATIVE_INFINITY
  #newestRttMs = 0
  #highestEnd = Number.NEGATIVE_INFINITY
  /** Recoveries for which a path that has reordered is still taken to do so. */
  #reorderingRecoveries = 0
  #wasSackFull = false
  /** The peer tells what it holds beyond a hole. Of one that does not, only the first hole is known (RFC 6582). */
  #hasSack = false
  #expiries = 0
  /** A tail-loss probe is out; no second one before the next progress (RFC 8985 §7.3). */
  #isProbing = false
  #reorderingAtMs = Number.POSITIVE_INFINITY
  #probeAtMs = Number.POSITIVE_INFINITY
  #timeoutAtMs = Number.POSITIVE_INFINITY

  constructor(limits: RttEstimator.TimeoutLimits) {
    this.#limits = limits
  }

  /** The earliest deadline; `Infinity` when nothing is awaited. */
  get deadlineMs(): number {
    return Math.min(this.#reorderingAtMs, this.#probeAtMs, this.#timeoutAtMs)
  }

  /** Timeouts since the last progress. */
  get expiries(): number {
    return this.#expiries
  }

  /**
   * Takes in what an acknowledgement delivered (RFC 8985 §6.2 steps 1 to 3). Call before `detect`. `isSackFull` says that
   * its SACK had no room for another block, so that not everything received may have been told yet.
   */
  delivered(board: SackScoreboard, rtt: RttEstimator.RttEstimator, isSackFull: boolean, nowMs: number): void {
    const { highestEnd, lowestOnceEnd, newest } = board.delivery
    this.#expiries = 0
    this.#isProbing = false
    this.#hasSack ||= board.sackedSegments > 0
    // Something sent once arrived below what had already arrived: the path reorders, unless it is only told late.
    const isToldLate = isSackFull || this.#wasSackFull
    if (lowestOnceEnd < this.#highestEnd && !isToldLate) this.#reorderingRecoveries = REORDERING_RECOVERIES
    this.#wasSackFull = isSackFull
    if (highestEnd > this.#highestEnd) this.#highestEnd = highestEnd
    if (newest === undefined || !this.#isNewer(newest)) return
    // Faster than any round trip: the acknowledgement is for an earlier transmission of it (RFC 8985 §6.2 step 2).
    if (newest.transmissions > 1 && nowMs - newest.sentAtMs < RttEstimator.leastMs(rtt)) return
    this.#newestSentAtMs = newest.sentAtMs
    this.#newestEnd = newest.end
    this.#newestRttMs = nowMs - newest.sentAtMs
  }

  /**
   * Calls `lose` with each segment that must be lost and returns how many; may set the reordering deadline (RFC 8985 §6.2
   * step 5).
   */
  detect(
    board: SackScoreboard,
    rtt: RttEstimator.RttEstimator,
    isInRecovery: boolean,
    lose: (segment: SentSegment, nowMs: number) => void,
    nowMs: number
  ): number {
    const windowMs = this.#reorderingWindowMs(board, rtt, isInRecovery)
    let lost = 0
    this.#reorderingAtMs = Number.POSITIVE_INFINITY
    for (let segment = board.oldestInTransit; segment !== undefined && !this.#isNewer(segment); ) {
      if (!this.#hasSack && segment !== board.first) break
      const younger: SentSegment | undefined = segment.next
      const lostAtMs = segment.sentAtMs + this.#newestRttMs + windowMs
      if (windowMs > 0 && lostAtMs > nowMs) {
        this.#reorderingAtMs = lostAtMs
        break
      }
      lose(segment, nowMs)
      lost += 1
      segment = younger
    }
    return lost
  }

  /** A recovery has begun: reordering that is not seen again is forgotten after some of them (RFC 8985 §6.2 step 4). */
  recoveryBegan(): void {
    if (this.#reorderingRecoveries > 0) this.#reorderingRecoveries -= 1
  }

  /** Data was sent or acknowledged: sets the probe and the timeout anew. `isProgress` restarts a running timeout. */
  arm(board: SackScoreboard, rtt: RttEstimator.RttEstimator, isProgress: boolean, nowMs: number): void {
    if (board.inTransitSegments === 0 && board.lostSegments === 0) {
      this.#probeAtMs = Number.POSITIVE_INFINITY
      this.#timeoutAtMs = Number.POSITIVE_INFINITY
      this.#reorderingAtMs = Number.POSITIVE_INFINITY
      return
    }
    if (isProgress || this.#timeoutAtMs === Number.POSITIVE_INFINITY) this.#restart(rtt, nowMs)
    // In a recovery as well (RFC 9002 §6.2): a repair that is lost at the tail is found by nothing else but the timeout.
    const canProbe = !this.#isProbing && board.lostSegments === 0 && this.#expiries === 0 && rtt.hasSample
    // Before any timeout comes a probe (RFC 8985 §7.2): one segment too many is cheaper than a window too small.
    this.#probeAtMs = canProbe
      ? Math.min(nowMs + this.#probeMs(board, rtt), this.#timeoutAtMs)
      : Number.POSITIVE_INFINITY
  }

  /**
   * The peer is there after all, or elsewhere: a timeout that has been put off again and again is due now, or else a probe, whose
   * acknowledgement tells what the old path has lost (see `Connection.revived`).
   */
  revived(nowMs: number): void {
    if (this.#timeoutAtMs === Number.POSITIVE_INFINITY) return
    if (this.#expiries === 0) {
      this.#isProbing = false
      this.#probeAtMs = nowMs
      return
    }
    this.#expiries = 0
    this.#timeoutAtMs = nowMs
  }

  /** The most urgent deadline that has passed. Each answer moves its deadline on. */
  expire(rtt: RttEstimator.RttEstimator, nowMs: number): Expiry {
    if (this.#timeoutAtMs <= nowMs && this.#timeoutAtMs < this.#probeAtMs) {
      this.#expiries += 1
      this.#probeAtMs = Number.POSITIVE_INFINITY
      this.#reorderingAtMs = Number.POSITIVE_INFINITY
      this.#restart(rtt, nowMs)
      return "Timeout"
    }
    if (this.#reorderingAtMs <= nowMs) {
      this.#reorderingAtMs = Number.POSITIVE_INFINITY
      return "Reordering"
    }
    if (this.#probeAtMs > nowMs) return "None"
    this.#isProbing = true
    this.#probeAtMs = Number.POSITIVE_INFINITY
    this.#restart(rtt, nowMs)
    return "Probe"
  }

  #restart(rtt: RttEstimator.RttEstimator, nowMs: number): void {
    // Behind this many doublings the limit is reached whatever the RTT; the exponent must stay finite.
    const doublings = Math.min(this.#expiries, DOUBLINGS_MAX)
    this.#timeoutAtMs = nowMs + RttEstimator.retransmissionTimeoutMs(rtt, this.#limits, doublings)
  }

  /**
   * Two round trips (RFC 8985 §7.2), or sooner where they are known to vary little (RFC 9002 §6.2.1); and the peer's delayed
   * acknowledgement if a single segment awaits it.
   */
  #probeMs(board: SackScoreboard, rtt: RttEstimator.RttEstimator): number {
    const delayMs = board.inTransitSegments === 1 ? this.#limits.ackDelayMs : 0
    return Math.max(PROBE_MS_MIN, Math.min(2 * rtt.smoothedRttMs, RttEstimator.answerTimeoutMs(rtt)) + delayMs)
  }

  /** RFC 8985 §6.2 step 4: none once three segments prove a hole on a path that has not reordered, else a quarter RTT. */
  #reorderingWindowMs(board: SackScoreboard, rtt: RttEstimator.RttEstimator, isInRecovery: boolean): number {
    if (this.#reorderingRecoveries === 0 && (isInRecovery || board.sackedSegments >= DUPLICATES)) return 0
    return Math.min(rtt.smoothedRttMs, Math.max(REORDERING_MS_MIN, rtt.minRttMs / 4))
  }

  #isNewer(segment: SentSegment): boolean {
    return isSentAfterInstant(segment, this.#newestSentAtMs, this.#newestEnd)
  }
}

const isSentAfterInstant = (segment: SentSegment, sentAtMs: number, end: number): boolean =>
  segment.sentAtMs > sentAtMs || (segment.sentAtMs === sentAtMs && segment.end >= end)

/** RFC 5681 §3.2. */
const DUPLICATES = 3
/** RFC 8985 §6.2: RACK.reo_wnd_persist. */
const REORDERING_RECOVERIES = 16
/** A path is not expected to reorder by less than its clock can tell. */
const REORDERING_MS_MIN = 1
/** A probe sooner than the timers of an event loop resolve would only be early. */
const PROBE_MS_MIN = 10
const DOUBLINGS_MAX = 16

/**
 * How much may be in flight, and how fast it leaves: the interface of congestion control. One file per algorithm behind it
 * (`Bbr`, `Cubic`, `NewReno`). A controller hears of acknowledgements, losses and timeouts, and answers with a window and a
 * rate; it neither counts what is in flight nor sends. Its owner tells it of at most one congestion event per window of
 * data, and of every segment lost.
 */
import type { RateSample } from "./RateSampler.ts"
import type { SentSegment } from "./SentSegment.ts"

/** What one acknowledgement changed. Valid during the call only: its owner fills one object again and again. */
export interface Acknowledgement {
  /** Newly delivered. */
  readonly bytes: number
  /** Still in flight. */
  readonly bytesInFlight: number
  /** Growth is due only if the window was what held the sender back (RFC 7661 §4.1). */
  readonly isWindowLimited: boolean
  /** Losses found without a timeout are being repaired. */
  readonly isInRecovery: boolean
  /** The round trip of the delivered segment sent last, among those sent once; 0 if there is none. */
  readonly rttMs: number
  readonly smoothedRttMs: number
  readonly rate: RateSample
}

/** A segment that was lost, and what it says. */
export interface SegmentLoss {
  readonly segment: SentSegment
  /** Weighted bytes lost since it was sent, itself included (see `RateSampler.lost`). */
  readonly lost: number
  /** Round trips are longer than the path's: the loss was a queue that ran over, not an accident of the link. */
  readonly isQueued: boolean
  readonly totalDelivered: number
}

/** One stream's controller. Mutable inside the sender that owns it. */
export interface CongestionController {
  /** Bytes that may be in flight; never below `WINDOW_SEGMENTS_MIN`. */
  readonly congestionWindow: number
  /** Above it, growth is careful; `Infinity` until the first congestion. */
  readonly slowStartThreshold: number
  /** Bytes per millisecond at which segments leave. */
  readonly pacingBytesPerMs: (smoothedRttMs: number) => number
  /** Something was delivered. Losses that the same acknowledgement revealed have been told before. */
  readonly acknowledged: (acknowledgement: Acknowledgement, nowMs: number) => void
  /** A segment was lost: told for each, whatever it means for the window. */
  readonly lost: (loss: SegmentLoss, nowMs: number) => void
  /** A loss was found while `bytesInFlight` were outstanding (RFC 5681 §3.2). */
  readonly congested: (bytesInFlight: number, nowMs: number) => void
  /** The retransmission timer ran out (RFC 5681 §3.1). Repeated expiries without progress in between change nothing more. */
  readonly timedOut: (bytesInFlight: number, nowMs: number) => void
  /** Everything sent when the loss or the timeout was found is acknowledged. */
  readonly recovered: (nowMs: number) => void
  /** The last congestion or timeout was spurious: the window from before it is right again (RFC 4015 §3). */
  readonly undo: (nowMs: number) => void
  /** Data is about to leave after a pause in which nothing was in flight. */
  readonly resumed: (nowMs: number) => void
}

/** What every controller is made from. */
export interface CongestionSizes {
  /** The sender's largest segment: follows the path. Those who count in segments may take the first for their unit. */
  readonly segmentBytes: number
  readonly initialWindowBytes: number
  /** 32 bits that differ between streams, for those controllers that must not act in step. */
  readonly seed: number
}

/** The least window of any controller, in segments (RFC 9002 §7.2). */
export const WINDOW_SEGMENTS_MIN = 2
/** The greatest window of any controller: four times what a later reference allows itself (wire §15.3). */
export const WINDOW_BYTES_MAX = 16 * 1024 * 1024
/** The loopback's round trips are not measured any finer. */
export const PACED_RTT_MS_MIN = 0.05

/** The rate of a controller that knows only its window: a little more than one per round trip (RFC 9002 §7.7). */
export const windowPacing = (window: number, isSlowStart: boolean, smoothedRttMs: number): number =>
  ((isSlowStart ? SLOW_START_GAIN : AVOIDANCE_GAIN) * window) / Math.max(smoothedRttMs, PACED_RTT_MS_MIN)

/** Pacing gains as Linux uses them: doubling per round trip must stay possible in slow start. */
const SLOW_START_GAIN = 2
const AVOIDANCE_GAIN = 1.25

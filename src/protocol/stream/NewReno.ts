/**
 * NewReno congestion control (RFC 5681, RFC 6582; constants of RFC 9002 §7): doubling per round trip in slow start, one
 * segment per round trip after it, half on loss.
 */
import {
  type Acknowledgement,
  type CongestionController,
  type CongestionSizes,
  WINDOW_BYTES_MAX,
  WINDOW_SEGMENTS_MIN,
  windowPacing
} from "./CongestionController.ts"

/** Mutable inside the sender that owns it. */
export class NewReno implements CongestionController {
  congestionWindow: number
  slowStartThreshold = Number.POSITIVE_INFINITY
  readonly #segmentBytes: number
  /** Bytes acknowledged towards the next segment of growth in congestion avoidance (RFC 3465). */
  #credit = 0
  #windowBefore: number
  #thresholdBefore = Number.POSITIVE_INFINITY

  constructor(sizes: CongestionSizes) {
    this.#segmentBytes = sizes.segmentBytes
    this.congestionWindow = Math.max(sizes.initialWindowBytes, WINDOW_SEGMENTS_MIN * sizes.segmentBytes)
    this.#windowBefore = this.congestionWindow
  }

  acknowledged({ bytes, isInRecovery, isWindowLimited }: Acknowledgement): void {
    if (isInRecovery || !isWindowLimited) return
    if (this.congestionWindow < this.slowStartThreshold) {
      this.congestionWindow = Math.min(WINDOW_BYTES_MAX, this.congestionWindow + bytes)
      return
    }
    this.#credit += bytes
    if (this.#credit < this.congestionWindow) return
    this.#credit -= this.congestionWindow
    this.congestionWindow = Math.min(WINDOW_BYTES_MAX, this.congestionWindow + this.#segmentBytes)
  }

  congested(bytesInFlight: number): void {
    this.#remember()
    this.slowStartThreshold = this.#reduced(bytesInFlight)
    this.congestionWindow = this.slowStartThreshold
    this.#credit = 0
  }

  timedOut(bytesInFlight: number): void {
    this.#remember()
    this.slowStartThreshold = this.#reduced(bytesInFlight)
    this.congestionWindow = WINDOW_SEGMENTS_MIN * this.#segmentBytes
    this.#credit = 0
  }

  undo(): void {
    this.congestionWindow = Math.max(this.congestionWindow, this.#windowBefore)
    this.slowStartThreshold = this.#thresholdBefore
  }

  pacingBytesPerMs(smoothedRttMs: number): number {
    return windowPacing(this.congestionWindow, this.congestionWindow < this.slowStartThreshold, smoothedRttMs)
  }

  /** Only the first loss of a window counts, and that is told by `congested`. */
  lost(): void {}

  /** The window that was reduced is the one to go on with. */
  recovered(): void {}

  /** Pacing keeps the window from leaving as one burst after a pause. */
  resumed(): void {}

  #remember(): void {
    this.#windowBefore = this.congestionWindow
    this.#thresholdBefore = this.slowStartThreshold
  }

  /** Half of what was really in flight, so that an idle window does not count (RFC 5681 equation 4). */
  #reduced(bytesInFlight: number): number {
    const base = Math.min(this.congestionWindow, bytesInFlight)
    return Math.max(WINDOW_SEGMENTS_MIN * this.#segmentBytes, Math.floor(base * REDUCTION))
  }
}

/** RFC 5681 §3.1. */
const REDUCTION = 0.5

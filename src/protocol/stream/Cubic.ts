/**
 * CUBIC congestion control (RFC 9438): after a loss the window grows along a cubic curve of time around the window that
 * lost, and never slower than Reno would. Windows are in bytes, the curve in segments, times in seconds as in the RFC.
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
export class Cubic implements CongestionController {
  congestionWindow: number
  slowStartThreshold = Number.POSITIVE_INFINITY
  readonly #segmentBytes: number
  /** Start of the current congestion avoidance stage; below 0 when none has begun. */
  #epochStartMs = -1
  /** W_max, K and W_est of the RFC, the windows in segments and K in seconds. */
  #windowMax = 0
  #plateauSeconds = 0
  #windowEstimate = 0
  #before: Snapshot

  constructor(sizes: CongestionSizes) {
    this.#segmentBytes = sizes.segmentBytes
    this.congestionWindow = Math.max(sizes.initialWindowBytes, WINDOW_SEGMENTS_MIN * sizes.segmentBytes)
    this.#before = this.#snapshot()
  }

  acknowledged(acknowledgement: Acknowledgement, nowMs: number): void {
    const { bytes, isInRecovery, isWindowLimited, smoothedRttMs } = acknowledgement
    if (isInRecovery) return
    if (!isWindowLimited) {
      // Time without enough to send is no time in which the path was tried (RFC 9438 §5.8).
      this.#epochStartMs = -1
      return
    }
    if (this.congestionWindow < this.slowStartThreshold) {
      this.congestionWindow = Math.min(WINDOW_BYTES_MAX, this.congestionWindow + bytes)
      return
    }
    const window = this.congestionWindow / this.#segmentBytes
    const acknowledged = bytes / this.#segmentBytes
    if (this.#epochStartMs < 0) this.#beginEpoch(window, nowMs)
    const seconds = (nowMs - this.#epochStartMs) / 1000
    const target = this.#target(seconds + smoothedRttMs / 1000, window)
    // Reno's share rises by alpha until it has reached the window that lost, then as fast as Reno (RFC 9438 §4.3).
    const alpha = this.#windowEstimate < this.#windowMax ? RENO_ALPHA : 1
    this.#windowEstimate += (alpha * acknowledged) / window
    const cubic = window + ((target - window) * acknowledged) / window
    const grown = Math.max(window, this.#curve(seconds) < this.#windowEstimate ? this.#windowEstimate : cubic)
    this.congestionWindow = Math.min(WINDOW_BYTES_MAX, grown * this.#segmentBytes)
  }

  congested(bytesInFlight: number): void {
    this.#before = this.#snapshot()
    this.#reduce(bytesInFlight)
    this.congestionWindow = this.slowStartThreshold
  }

  timedOut(bytesInFlight: number): void {
    this.#before = this.#snapshot()
    this.#reduce(bytesInFlight)
    this.congestionWindow = WINDOW_SEGMENTS_MIN * this.#segmentBytes
  }

  undo(): void {
    this.congestionWindow = Math.max(this.congestionWindow, this.#before.congestionWindow)
    this.slowStartThreshold = this.#before.slowStartThreshold
    this.#windowMax = this.#before.windowMax
    this.#epochStartMs = -1
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

  #reduce(bytesInFlight: number): void {
    const window = this.congestionWindow / this.#segmentBytes
    // Fast convergence: a stream that loses below its former maximum gives room to newer ones (RFC 9438 §4.7).
    this.#windowMax = window < this.#windowMax ? (window * (1 + BETA)) / 2 : window
    const base = Math.min(this.congestionWindow, bytesInFlight)
    this.slowStartThreshold = Math.max(WINDOW_SEGMENTS_MIN * this.#segmentBytes, Math.floor(base * BETA))
    this.#epochStartMs = -1
  }

  #beginEpoch(window: number, nowMs: number): void {
    this.#epochStartMs = nowMs
    this.#windowEstimate = window
    this.#windowMax = Math.max(this.#windowMax, window)
    this.#plateauSeconds = Math.cbrt((this.#windowMax - window) / C)
  }

  #curve(seconds: number): number {
    return C * (seconds - this.#plateauSeconds) ** 3 + this.#windowMax
  }

  /** The curve one round trip ahead, within one and a half windows (RFC 9438 §4.2). */
  #target(seconds: number, window: number): number {
    return Math.min(1.5 * window, Math.max(window, this.#curve(seconds)))
  }

  #snapshot(): Snapshot {
    return {
      congestionWindow: this.congestionWindow,
      slowStartThreshold: this.slowStartThreshold,
      windowMax: this.#windowMax
    }
  }
}

interface Snapshot {
  readonly congestionWindow: number
  readonly slowStartThreshold: number
  readonly windowMax: number
}

/** RFC 9438 §5: segments per second cubed. */
const C = 0.4
/** RFC 9438 §4.6. */
const BETA = 0.7
/** RFC 9438 §4.3: what makes CUBIC as fast as Reno on average. */
const RENO_ALPHA = (3 * (1 - BETA)) / (1 + BETA)

/**
 * Spreads segments over the round trip instead of sending a window in one burst (RFC 9002 §7.7): a bucket of bytes filled
 * at the rate that congestion control gives. The bucket never holds more than a few milliseconds' worth, because a timer of
 * a busy process is not more exact than that, nor less than `BURST_SEGMENTS_MIN`.
 */
export class Pacer {
  #segmentBytes: number
  #tokens: number
  #refilledAtMs = Number.NEGATIVE_INFINITY
  #bytesPerMs = Number.POSITIVE_INFINITY
  #capacity: number

  constructor(segmentBytes: number) {
    this.#segmentBytes = segmentBytes
    this.#capacity = this.#bytes(BURST_SEGMENTS_MIN, BURST_BYTES_MIN)
    this.#tokens = this.#capacity
  }

  /** The largest segment has another size from now on. */
  resize(segmentBytes: number): void {
    this.#segmentBytes = segmentBytes
  }

  /** Sets the rate, and fills the bucket for the time that went by. */
  refill(bytesPerMs: number, nowMs: number): void {
    this.#bytesPerMs = bytesPerMs
    // Whoever waited for the pacer is owed what a late timer kept from it; whoever had nothing to send is owed one burst.
    const burst = bytesPerMs * (this.#tokens > 0 ? BURST_MS : LATE_MS)
    this.#capacity = Math.min(
      this.#bytes(BURST_SEGMENTS_MAX, BURST_BYTES_MAX),
      Math.max(this.#bytes(BURST_SEGMENTS_MIN, BURST_BYTES_MIN), burst)
    )
    const elapsedMs = nowMs - this.#refilledAtMs
    this.#tokens = Math.min(this.#capacity, elapsedMs > 0 ? this.#tokens + elapsedMs * this.#bytesPerMs : this.#tokens)
    this.#refilledAtMs = nowMs
  }

  /** A segment may go now. */
  get isOpen(): boolean {
    return this.#tokens > 0
  }

  /** A segment went. The bucket may go below empty by one segment, so that its size need not divide anything. */
  sent(bytes: number): void {
    this.#tokens -= bytes
  }

  /** When the next burst may go; now or earlier if the bucket is open. */
  get openAtMs(): number {
    if (this.#tokens > 0) return this.#refilledAtMs
    const wanted = Math.min(this.#capacity / 2, WAKE_SEGMENTS * this.#segmentBytes) - this.#tokens
    return this.#refilledAtMs + wanted / this.#bytesPerMs
  }

  /** So many segments of usual size; of very large ones as few as make that many bytes, but two (RFC 9002 §7.2). */
  #bytes(segments: number, bytes: number): number {
    return Math.max(2 * this.#segmentBytes, Math.min(segments * this.#segmentBytes, bytes))
  }
}

/** Sending resumes with a few segments at a time: one timer per segment would cost more than the burst harms. */
const WAKE_SEGMENTS = 2
/** RFC 9002 §7.7 allows the initial window at once; ten segments are what TCP sends (RFC 6928). */
const BURST_SEGMENTS_MIN = 10
const BURST_BYTES_MIN = 15_000
/**
 * Keeps one turn of the event loop short and socket buffers from overflowing. What else arrives, the answer to a ping for
 * one, waits for the end of the turn: with twice as many bytes twice as long, and no more of them come through.
 */
const BURST_SEGMENTS_MAX = 256
const BURST_BYTES_MAX = 256 * 1024
/** Twice what a timer of an event loop resolves. */
const BURST_MS = 2
/** How late a timer of a busy event loop may be without costing throughput. */
const LATE_MS = 8

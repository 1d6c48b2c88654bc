/**
 * How large a stream's segments may be, and the notice that they have become too large for the path (RFC 8899 §4.3, a
 * black hole): large ones vanish while small ones that were sent after them arrive. Congestion loses both kinds.
 *
 * The path's owner decides the size (`StreamConfig.segmentBytesMax`); this falls back before the owner has heard of it.
 * Mutable inside the scoreboard and the sender that share it.
 */
import { SEGMENT_BYTES_BASE, SEGMENT_BYTES_FLOOR, type StreamConfig } from "./StreamConfig.ts"

/** See the module. Sizes are payloads of segments, in bytes. */
export class SegmentSize {
  readonly #config: Pick<StreamConfig, "segmentBytesMax">
  /** The size in use when the stream fell back by itself; until the owner has acted, it holds. */
  #refutedBytes = Number.POSITIVE_INFINITY
  /** Large transmissions given up since a large one arrived, the smallest of them, and whether a small one was, too. */
  #lost = 0
  #lostBytesMin = Number.POSITIVE_INFINITY
  #isSmallLost = false
  #isLargeDelivered = false
  #bursts = 0
  #vanishedBytes = 0

  constructor(config: Pick<StreamConfig, "segmentBytesMax">) {
    this.#config = config
  }

  /** The largest segment to send. */
  get bytesMax(): number {
    const { segmentBytesMax } = this.#config
    return segmentBytesMax < this.#refutedBytes ? segmentBytesMax : fallback(this.#refutedBytes)
  }

  /** What is used when `bytesMax` vanishes. */
  get fallbackBytes(): number {
    return fallback(this.bytesMax)
  }

  /** What probes the path after `timeouts` in a row: it arrives if only the size was wrong. */
  repairBytes(timeouts: number): number {
    const { bytesMax } = this
    if (timeouts === 0) return bytesMax
    return Math.min(bytesMax, timeouts === 1 ? SEGMENT_BYTES_BASE : SEGMENT_BYTES_FLOOR)
  }

  /** Takes the size that has been found to vanish, for the path's owner; 0 if none has. */
  takeVanished(): number {
    const bytes = this.#vanishedBytes
    this.#vanishedBytes = 0
    return bytes
  }

  /** A transmission of this size was given up. */
  lost(bytes: number): void {
    if (bytes <= this.fallbackBytes) this.#isSmallLost = true
    else {
      this.#lost += 1
      this.#lostBytesMin = Math.min(this.#lostBytesMin, bytes)
    }
  }

  /** One of this size arrived. */
  delivered(bytes: number): void {
    if (bytes > this.fallbackBytes) this.#isLargeDelivered = true
  }

  /**
   * An acknowledgement has been taken in, with all deliveries and losses that it tells of. `isLargeInFlight` says that some
   * segment too large for the fallback may still arrive.
   */
  judge(isLargeInFlight: boolean): void {
    // The owner has acted: from now on its word counts again.
    if (this.#config.segmentBytesMax < this.#refutedBytes) this.#refutedBytes = Number.POSITIVE_INFINITY
    if (this.#isLargeDelivered) this.#bursts = 0
    else if (this.#lost > 0 && !this.#isSmallLost) {
      this.#bursts += 1
      // A whole flight is enough where a router may be the reason. Only loopbacks carry more, whose buffers overflow.
      const isFlight = this.#lost >= FLIGHT_SEGMENTS_MIN && !isLargeInFlight && this.#lostBytesMin <= JUMBO_BYTES
      if (this.#bursts === BURSTS_MAX || isFlight) this.#fallBack()
    }
    this.#lost = 0
    this.#lostBytesMin = Number.POSITIVE_INFINITY
    this.#isSmallLost = false
    this.#isLargeDelivered = false
  }

  #fallBack(): void {
    this.#bursts = 0
    this.#vanishedBytes = this.#lostBytesMin
    this.#refutedBytes = this.bytesMax
  }
}

/** Where a size falls back to. */
const fallback = (bytes: number): number => (bytes > SEGMENT_BYTES_BASE ? SEGMENT_BYTES_BASE : SEGMENT_BYTES_FLOOR)

/** Bursts of losses in a row, with nothing large arriving in between, that are no accident. */
const BURSTS_MAX = 3
/** RFC 6928's initial window: fewer can be lost together by accident. */
const FLIGHT_SEGMENTS_MIN = 10
/** The largest frames of Ethernet. */
const JUMBO_BYTES = 9000

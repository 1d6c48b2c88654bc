/**
 * Reassembly: what arrived, in the pieces it arrived in (wire §10.2). In-order segments wait for the reader; others wait
 * in disjoint ranges for what is missing before them. Overlaps are trimmed, so nothing is delivered twice.
 *
 * When the reader is behind, an in-order segment is held like an out-of-order one: reported selectively, not acknowledged
 * cumulatively, so that the peer neither sends it again nor sends more (wire §10.3 "Slow application").
 * Mutable inside the receiver that owns it.
 */
import { Deque } from "../../core/data/Deque.ts"
import type { ReceiveBudget } from "./ReceiveBudget.ts"

/**
 * What became of a segment. Delivered: all in order so far, and nothing is missing. Filled: delivered, and there were or
 * still are segments beyond. Held: kept beyond a hole or beyond the reader. Duplicate: nothing new. Dropped: no room.
 */
export type Reception = "Delivered" | "Filled" | "Held" | "Duplicate" | "Dropped"

/** Positions of the first byte held and behind the last. */
export interface HeldRange {
  readonly start: number
  readonly end: number
}

/** What a buffer may hold, and how large it takes a segment to be. */
export interface ReceiveLimits {
  /** Delivered and unread bytes; twice as much with what is held. */
  readonly bytesMax: number
  /** The same in segments. */
  readonly segmentsMax: number
  /** Size of the largest segment as long as none has arrived. */
  readonly segmentBytesAssumed: number
  /** The largest segment is never taken to be smaller, so that a chat of tiny ones does not open a huge window. */
  readonly segmentBytesMin: number
  /** What all streams of the node share; absent: nothing else holds this one back. */
  readonly budget?: ReceiveBudget | undefined
}

/** Received and not yet read bytes of one stream. Never holds more than twice its limits. */
export class ReceiveBuffer {
  readonly #ownBytesMax: number
  readonly #segmentsMax: number
  #budget: ReceiveBudget | undefined
  /** What the budget knows of this stream. */
  #reportedBytes = 0
  readonly #ready = new Deque<Uint8Array>()
  readonly #ranges: Array<Range> = []
  #readyBytes = 0
  #heldBytes = 0
  #heldSegments = 0
  #next = 0
  readonly #segmentBytesMin: number
  #largestSegment: number
  #hasReceived = false
  #hasEnded = false
  #newestHeld = Number.NEGATIVE_INFINITY
  #newerHeld = Number.NEGATIVE_INFINITY
  #olderHeld = Number.NEGATIVE_INFINITY
  #rangesChanged = 0

  constructor(limits: ReceiveLimits) {
    this.#ownBytesMax = limits.bytesMax
    this.#budget = limits.budget
    this.#segmentsMax = limits.segmentsMax
    this.#segmentBytesMin = Math.max(1, limits.segmentBytesMin)
    this.#largestSegment = Math.max(this.#segmentBytesMin, limits.segmentBytesAssumed)
  }

  /** Position expected next: what is acknowledged cumulatively. */
  get next(): number {
    return this.#next
  }

  /** Bytes that `read` would give. */
  get readableBytes(): number {
    return this.#readyBytes
  }

  /** Segments kept beyond `next`. */
  get heldSegments(): number {
    return this.#heldSegments
  }

  /** One range more, and `heldRanges` could not tell of all that have changed since it last did. */
  get isReportDue(): boolean {
    return this.#rangesChanged >= REPORTED_RANGES - 1 && this.#ranges.length > REPORTED_RANGES
  }

  /** Something is missing before what is held; otherwise what is held only waits for the reader. */
  get hasHole(): boolean {
    const lowest = this.#ranges[0]
    return lowest !== undefined && lowest.start > this.#next
  }

  /** Room in segments as large as the largest seen; 0 when there is none. */
  get freeSegments(): number {
    const byBytes = Math.floor((this.#bytesMax() - this.#readyBytes) / this.#largestSegment)
    return Math.max(0, Math.min(byBytes, this.#segmentsMax - this.#ready.length))
  }

  /** `freeSegments` of an empty buffer. */
  get capacitySegments(): number {
    return Math.max(1, Math.min(Math.floor(this.#bytesMax() / this.#largestSegment), this.#segmentsMax))
  }

  /** Position behind the last byte that nothing is missing before, held bytes included. */
  get completeEnd(): number {
    const lowest = this.#ranges[0]
    return lowest !== undefined && lowest.start === this.#next ? lowest.end : this.#next
  }

  /** Says where the stream begins; nothing may have been received before. */
  synchronize(next: number): void {
    this.#next = next
  }

  /** Takes in one segment. `payload` is kept, not copied. */
  receive(start: number, payload: Uint8Array): Reception {
    const reception = this.#takeIn(start, payload)
    this.#report()
    return reception
  }

  /** The stream is gone from its node: what is still unread no longer counts. */
  release(): void {
    this.#budget?.changed(-this.#reportedBytes)
    this.#budget = undefined
  }

  /** Delivered and unread bytes that the stream may hold now; twice as much with what is held. */
  #bytesMax(): number {
    return this.#budget === undefined
      ? this.#ownBytesMax
      : Math.min(this.#ownBytesMax, Math.max(this.#largestSegment, this.#budget.streamBytesMax))
  }

  #report(): void {
    if (this.#budget === undefined) return
    const heldBytes = this.#readyBytes + this.#heldBytes
    if (heldBytes !== this.#reportedBytes) this.#budget.changed(heldBytes - this.#reportedBytes)
    this.#reportedBytes = heldBytes
  }

  #takeIn(start: number, payload: Uint8Array): Reception {
    const end = start + payload.length
    if (end <= this.#next || payload.length === 0) return "Duplicate"
    this.#measure(payload.length)
    if (start <= this.#next && this.#ranges.length === 0 && this.freeSegments > 0) {
      this.#deliver(start === this.#next ? payload : payload.subarray(this.#next - start))
      return "Delivered"
    }
    if (end - this.#next > 2 * this.#bytesMax()) return "Dropped"
    const outcome = this.#hold(Math.max(start, this.#next), end, start, payload)
    if (outcome !== "Held") return outcome
    return this.#promote() ? "Filled" : "Held"
  }

  /** The next piece, as it arrived; `undefined` if none waits. Makes room, so that what was held may move up. */
  read(): Uint8Array | undefined {
    const payload = this.#ready.shift()
    if (payload === undefined) return undefined
    this.#readyBytes -= payload.length
    if (this.#heldSegments > 0) this.#promote()
    this.#report()
    return payload
  }

  /**
   * At most `count` of the ranges held, ascending: the three that changed last, because only they tell the peer something
   * new (RFC 2018 §4), and the lowest, because v1.2/1.3 repairs the lowest hole.
   */
  heldRanges(count: number): ReadonlyArray<HeldRange> {
    this.#rangesChanged = 0
    if (this.#ranges.length <= count) return this.#ranges.map(({ end, start }) => ({ start, end }))
    const chosen = new Set<number>()
    for (const position of [this.#newestHeld, this.#newerHeld, this.#olderHeld]) {
      const index = this.#rangeAt(position)
      const range = this.#ranges[index]
      if (range !== undefined && range.start <= position && chosen.size < count) chosen.add(index)
    }
    for (let index = 0; chosen.size < count; index++) chosen.add(index)
    return [...chosen]
      .sort((a, b) => a - b)
      .flatMap((index) => this.#ranges[index] ?? [])
      .map(({ end, start }) => ({ start, end }))
  }

  /** The stream has ended: gives the reader what is complete, even beyond its room, and drops what lies behind a hole. */
  end(): void {
    this.#hasEnded = true
    this.#promote()
    this.#ranges.length = 0
    this.#heldBytes = 0
    this.#heldSegments = 0
    this.#report()
  }

  #measure(length: number): void {
    if (!this.#hasReceived) this.#largestSegment = this.#segmentBytesMin
    this.#hasReceived = true
    if (length > this.#largestSegment) this.#largestSegment = length
  }

  #deliver(payload: Uint8Array): void {
    this.#ready.push(payload)
    this.#readyBytes += payload.length
    this.#next += payload.length
  }

  /** Keeps the parts of [from, end) that are not held yet. */
  #hold(from: number, end: number, start: number, payload: Uint8Array): Reception {
    let position = from
    let isNew = false
    while (position < end) {
      const index = this.#rangeAt(position)
      const range = this.#ranges[index]
      if (range !== undefined && range.start <= position) {
        position = range.end
        continue
      }
      const until = range === undefined ? end : Math.min(end, range.start)
      if (!this.#hasRoom(until - position)) return isNew ? "Held" : "Dropped"
      this.#keep(index, position, payload.subarray(position - start, until - start))
      isNew = true
      position = until
    }
    return isNew ? "Held" : "Duplicate"
  }

  #hasRoom(bytes: number): boolean {
    return (
      this.#readyBytes + this.#heldBytes + bytes <= 2 * this.#bytesMax() &&
      this.#ready.length + this.#heldSegments < 2 * this.#segmentsMax
    )
  }

  /** Puts one piece before the range at `index`, joining neighbours that it touches. */
  #keep(index: number, start: number, payload: Uint8Array): void {
    const end = start + payload.length
    const before = this.#ranges[index - 1]
    const after = this.#ranges[index]
    this.#heldBytes += payload.length
    this.#heldSegments += 1
    if (this.#rangeStart(this.#newestHeld) !== (before?.end === start ? before.start : start)) {
      this.#olderHeld = this.#newerHeld
      this.#newerHeld = this.#newestHeld
      this.#rangesChanged += 1
    }
    this.#newestHeld = start
    const touchesAfter = after !== undefined && after.start === end
    if (before !== undefined && before.end === start) {
      before.pieces.push(payload)
      before.end = end
      if (touchesAfter) this.#merge(index - 1, before, after)
    } else if (touchesAfter) {
      after.pieces.unshift(payload)
      after.start = start
    } else {
      const pieces = new Deque<Uint8Array>()
      pieces.push(payload)
      this.#ranges.splice(index, 0, { start, end, pieces })
    }
  }

  #merge(index: number, before: Range, after: Range): void {
    for (let piece = after.pieces.shift(); piece !== undefined; piece = after.pieces.shift()) before.pieces.push(piece)
    before.end = after.end
    this.#ranges.splice(index + 1, 1)
  }

  /** Moves what has come into order to the reader while there is room. Returns whether anything moved. */
  #promote(): boolean {
    let isMoved = false
    for (let range = this.#ranges[0]; range !== undefined && range.start === this.#next; range = this.#ranges[0]) {
      if (this.freeSegments === 0 && !this.#hasEnded) return isMoved
      const piece = range.pieces.shift()
      if (piece === undefined) {
        this.#ranges.shift()
        continue
      }
      range.start += piece.length
      this.#heldBytes -= piece.length
      this.#heldSegments -= 1
      this.#deliver(piece)
      isMoved = true
      if (range.start === range.end) this.#ranges.shift()
    }
    return isMoved
  }

  #rangeStart(position: number): number {
    const range = this.#ranges[this.#rangeAt(position)]
    return range !== undefined && range.start <= position ? range.start : Number.NEGATIVE_INFINITY
  }

  /** Index of the first range that ends after the position. */
  #rangeAt(position: number): number {
    let low = 0
    let high = this.#ranges.length
    while (low < high) {
      const middle = (low + high) >>> 1
      const range = this.#ranges[middle]
      if (range !== undefined && range.end <= position) low = middle + 1
      else high = middle
    }
    return low
  }
}

/** The ranges of which `heldRanges` tells because they are new. */
const REPORTED_RANGES = 3

/** A run of pieces without a hole. */
interface Range {
  start: number
  end: number
  readonly pieces: Deque<Uint8Array>
}

/**
 * What was written and not yet sent, and how it is cut into segments (wire §10.1).
 *
 * A write that fits a segment is never cut: if it does not fit what is left of the current segment, that one leaves as it
 * is. Readers of old peers expect each small write to arrive in one piece (node §1.5). Longer writes fill segments.
 * Mutable inside the sender that owns it; bytes are copied in, so the caller keeps its array.
 */
import { Deque } from "../../core/data/Deque.ts"
import * as SackBlocks from "../wire/SackBlocks.ts"

/** Unsent bytes of one stream. Its bound is the caller's: `append` takes what it is given. */
export class SendBuffer {
  #segmentBytesMax: number
  readonly #chunks = new Deque<Chunk>()
  #length = 0

  constructor(segmentBytesMax: number) {
    // A segment must be able to carry the four bytes that break up a look-alike of SACK.
    this.#segmentBytesMax = Math.max(SackBlocks.MAGIC_BYTES, segmentBytesMax)
  }

  /** Segments cut from now on are as large as this. */
  resize(segmentBytesMax: number): void {
    this.#segmentBytesMax = Math.max(SackBlocks.MAGIC_BYTES, segmentBytesMax)
  }

  /** Bytes waiting. */
  get length(): number {
    return this.#length
  }

  /** When the oldest waiting byte was written; `Infinity` if none waits. */
  get waitingSinceMs(): number {
    return this.#chunks.first?.writtenAtMs ?? Number.POSITIVE_INFINITY
  }

  /** Adds a copy of the bytes. */
  append(bytes: Uint8Array, nowMs: number): void {
    if (bytes.length === 0) return
    this.#length += bytes.length
    const last = this.#chunks.last
    if (last !== undefined && last.end - last.start + bytes.length <= this.#segmentBytesMax) {
      join(last, bytes, this.#segmentBytesMax)
    } else if (bytes.length <= this.#segmentBytesMax || last?.isLong !== true) {
      const isLong = bytes.length > this.#segmentBytesMax
      this.#chunks.push({ bytes: bytes.slice(), start: 0, end: bytes.length, isLong, writtenAtMs: nowMs })
    } else this.#appendLong(last, bytes, nowMs)
  }

  /** Length of the segment that `take` would give; 0 if nothing waits. */
  get nextLength(): number {
    const first = this.#chunks.first
    if (first === undefined) return 0
    const length = Math.min(this.#segmentBytesMax, first.end - first.start)
    if (length === this.#segmentBytesMax) return length
    return this.#extended(length)
  }

  /** The next segment would be full, or is all that can be in it: waiting would not add to it. */
  get isNextFull(): boolean {
    const length = this.nextLength
    return length === this.#segmentBytesMax || length < this.#length
  }

  /** Cuts off the next segment, or less of it; `undefined` if nothing waits. The bytes stay as they are from then on. */
  take(bytesMax = Number.POSITIVE_INFINITY): Uint8Array | undefined {
    const length = Math.min(this.nextLength, bytesMax)
    if (length === 0) return undefined
    const payload = this.#copyOut(length)
    // A data segment that reads as SACK is swallowed by the peer (wire §10.1), so its first four bytes travel alone.
    if (!SackBlocks.looksLikeSack(payload)) return this.#consume(payload)
    return this.#consume(payload.subarray(0, SackBlocks.MAGIC_BYTES))
  }

  /** Drops everything. */
  clear(): void {
    this.#chunks.clear()
    this.#length = 0
  }

  /** Long writes that pile up follow each other in memory, so that the segments across their ends are full and not copied. */
  #appendLong(last: Chunk, bytes: Uint8Array, nowMs: number): void {
    const room = Math.min(last.bytes.length - last.end, bytes.length)
    last.bytes.set(bytes.subarray(0, room), last.end)
    last.end += room
    if (room === bytes.length) return
    const rest = bytes.subarray(room)
    const segments = Math.max(SLAB_SEGMENTS, Math.ceil(rest.length / this.#segmentBytesMax))
    const next = new Uint8Array(segments * this.#segmentBytesMax)
    next.set(rest)
    this.#chunks.push({ bytes: next, start: 0, end: rest.length, isLong: true, writtenAtMs: nowMs })
  }

  /** A short first chunk takes in those after it that fit whole. */
  #extended(length: number): number {
    let total = length
    for (let index = 1; ; index++) {
      const chunk = this.#chunks.at(index)
      if (chunk === undefined || total + chunk.end - chunk.start > this.#segmentBytesMax) return total
      total += chunk.end - chunk.start
    }
  }

  #copyOut(length: number): Uint8Array {
    const first = this.#chunks.first
    if (first === undefined) return new Uint8Array(0)
    if (first.end - first.start >= length) return first.bytes.subarray(first.start, first.start + length)
    const payload = new Uint8Array(length)
    let filled = 0
    for (let index = 0; filled < length; index++) {
      const chunk = this.#chunks.at(index)
      if (chunk === undefined) break
      // The last one may be longer than what is left: a tail probe takes less than a segment.
      const taken = Math.min(chunk.end - chunk.start, length - filled)
      payload.set(chunk.bytes.subarray(chunk.start, chunk.start + taken), filled)
      filled += taken
    }
    return payload
  }

  #consume(payload: Uint8Array): Uint8Array {
    this.#length -= payload.length
    let rest = payload.length
    while (rest > 0) {
      const chunk = this.#chunks.first
      if (chunk === undefined) break
      const taken = Math.min(rest, chunk.end - chunk.start)
      chunk.start += taken
      rest -= taken
      if (chunk.start === chunk.end) this.#chunks.shift()
    }
    return payload
  }
}

/** Bytes `start` to `end` of an array of our own. `bytes` may have room behind `end`. */
interface Chunk {
  bytes: Uint8Array
  start: number
  end: number
  /** Part of writes longer than a segment, which are cut anyway. */
  readonly isLong: boolean
  readonly writtenAtMs: number
}

/** Adds to a chunk, moving it to a larger array where it has no room, so that byte-wise writing stays linear. */
const join = (chunk: Chunk, bytes: Uint8Array, segmentBytesMax: number): void => {
  const length = chunk.end - chunk.start
  if (chunk.bytes.length - chunk.end < bytes.length) {
    // Doubled, because a segment may be as large as the loopback takes and what is in it as small as a word.
    const joined = new Uint8Array(Math.min(segmentBytesMax, Math.max(CHUNK_BYTES_MIN, 2 * (length + bytes.length))))
    joined.set(chunk.bytes.subarray(chunk.start, chunk.end))
    chunk.end = length
    chunk.start = 0
    chunk.bytes = joined
  }
  chunk.bytes.set(bytes, chunk.end)
  chunk.end += bytes.length
}

/** Segments that share an array. All of it stays until the last of them is acknowledged. */
const SLAB_SEGMENTS = 4
const CHUNK_BYTES_MIN = 1024

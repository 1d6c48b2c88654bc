/**
 * Frames of the event stream on port 1002, the same in both directions (node §5):
 *
 * ```
 * 0  topic length (2)   2  topic   …  payload length (4)   …  payload
 * ```
 *
 * The first frame of a connection subscribes: its topic is the filter. Every later one is an event.
 */
import * as Bytes from "../../core/data/Bytes.ts"
import { Port } from "./Address.ts"
import type { DecodeError } from "./DecodeError.ts"

/** One frame. `topic` is text in UTF-8 by convention only; whoever reads it decides what else is taken. */
export interface EventFrame {
  readonly topic: Uint8Array
  readonly payload: Uint8Array
}

/** What one chunk completed. */
export interface Split {
  /** In order; views that stay valid. */
  readonly frames: ReadonlyArray<EventFrame>
  /** Set when a length above its limit was met after `frames`. The stream cannot be read on: close it. */
  readonly exceeded: DecodeError | undefined
}

/** Event stream (wire §2). */
export const PORT = Port(1002)
/** Longest topic (node §5). */
export const TOPIC_BYTES_MAX = 1024
/** Longest payload (node §5). */
export const PAYLOAD_BYTES_MAX = 16 << 20

/** The whole frame, to be written at once: readers of the reference want a small one in one segment. */
export const encode = (topic: Uint8Array, ...payload: ReadonlyArray<Uint8Array>): Uint8Array =>
  Bytes.concat(Bytes.ofU16(topic.length), topic, Bytes.ofU32(Bytes.lengthOf(payload)), ...payload)

/**
 * Splits a stream that arrives in arbitrary chunks. Mutable, with one owner. Holds at most twice what it has received of
 * one frame, whatever lengths were announced.
 */
export class EventFrameSplitter {
  readonly #payloadBytesMax: number
  /** The beginning of a frame whose end is missing: `#heldBytes` of these bytes. */
  #held: Uint8Array = Bytes.empty
  #heldBytes = 0
  #exceeded: DecodeError | undefined

  /** `payloadBytesMax` is more than the format's where a head of ours stands before the data. */
  constructor(payloadBytesMax: number = PAYLOAD_BYTES_MAX) {
    this.#payloadBytesMax = payloadBytesMax
  }

  /** Takes the next chunk, which must not be written to afterwards. Nothing more comes after `exceeded`. */
  push(chunk: Uint8Array): Split {
    const frames: Array<EventFrame> = []
    let rest = chunk
    while (this.#exceeded === undefined && rest.length > 0) {
      if (this.#heldBytes === 0) {
        const neededBytes = this.#needed(rest, rest.length)
        if (this.#exceeded !== undefined) break
        if (rest.length >= neededBytes && isWhole(rest, neededBytes)) {
          frames.push(frameOf(rest.subarray(0, neededBytes)))
          rest = rest.subarray(neededBytes)
          continue
        }
      }
      rest = this.#hold(rest, frames)
    }
    return { frames, exceeded: this.#exceeded }
  }

  /** Bytes that the frame under way will have, as far as is known; 0 between frames. */
  get frameBytes(): number {
    return this.#heldBytes === 0 ? 0 : this.#needed(this.#held, this.#heldBytes)
  }

  /** Takes what the held frame still lacks, as far as that is known, and returns what is left over. */
  #hold(bytes: Uint8Array, frames: Array<EventFrame>): Uint8Array {
    const neededBytes = this.#needed(this.#held, this.#heldBytes)
    if (this.#exceeded !== undefined) return Bytes.empty
    const taken = bytes.subarray(0, neededBytes - this.#heldBytes)
    this.#append(taken, neededBytes)
    const isComplete = this.#heldBytes === neededBytes && isWhole(this.#held, neededBytes)
    if (isComplete) {
      frames.push(frameOf(this.#held.subarray(0, neededBytes)))
      this.#held = Bytes.empty
      this.#heldBytes = 0
    }
    // A length that just became known may be one too many, and nothing may follow to show it.
    else if (this.#heldBytes === neededBytes) this.#needed(this.#held, this.#heldBytes)
    return bytes.subarray(taken.length)
  }

  #append(bytes: Uint8Array, neededBytes: number): void {
    const sizeBytes = this.#heldBytes + bytes.length
    if (sizeBytes > this.#held.length) {
      const grown = new Uint8Array(Math.min(neededBytes, Math.max(HEADER_BYTES_MIN, 2 * sizeBytes)))
      grown.set(this.#held.subarray(0, this.#heldBytes))
      this.#held = grown
    }
    this.#held.set(bytes, this.#heldBytes)
    this.#heldBytes = sizeBytes
  }

  /** How many bytes are needed to know more, or to be done. */
  #needed(bytes: Uint8Array, sizeBytes: number): number {
    if (sizeBytes < TOPIC_PREFIX_BYTES) return TOPIC_PREFIX_BYTES
    const topicBytes = Bytes.readU16(bytes, 0)
    if (topicBytes > TOPIC_BYTES_MAX) return this.#exceed(TOPIC_BYTES_MAX, topicBytes)
    const headerBytes = HEADER_BYTES_MIN + topicBytes
    if (sizeBytes < headerBytes) return headerBytes
    const payloadBytes = Bytes.readU32(bytes, TOPIC_PREFIX_BYTES + topicBytes)
    if (payloadBytes > this.#payloadBytesMax) return this.#exceed(this.#payloadBytesMax, payloadBytes)
    return headerBytes + payloadBytes
  }

  #exceed(limit: number, actual: number): number {
    this.#exceeded = { _tag: "LimitExceeded", limit, actual }
    return 0
  }
}

/** Of so many bytes, which hold a header at least: whether they are a frame, and not only its header. */
const isWhole = (bytes: Uint8Array, sizeBytes: number): boolean => {
  if (sizeBytes < HEADER_BYTES_MIN) return false
  const headerBytes = HEADER_BYTES_MIN + Bytes.readU16(bytes, 0)
  return sizeBytes >= headerBytes && sizeBytes === headerBytes + Bytes.readU32(bytes, headerBytes - 4)
}

const frameOf = (bytes: Uint8Array): EventFrame => {
  const topicEnd = TOPIC_PREFIX_BYTES + Bytes.readU16(bytes, 0)
  return { topic: bytes.subarray(TOPIC_PREFIX_BYTES, topicEnd), payload: bytes.subarray(topicEnd + 4) }
}

const TOPIC_PREFIX_BYTES = 2
/** Both lengths. */
const HEADER_BYTES_MIN = 6

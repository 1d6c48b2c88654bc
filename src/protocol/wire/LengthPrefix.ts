/**
 * Frames in a byte stream: a 32-bit length, then that many bytes (rendezvous §2.1, node §1.2). Both ends of both
 * protocols split the stream with this.
 */
import * as Bytes from "../../core/data/Bytes.ts"
import type { DecodeError } from "./DecodeError.ts"

/** Bytes before the body. */
export const PREFIX_BYTES = 4

/** What one chunk completed. */
export interface Split {
  /** Bodies in order, possibly empty; views that stay valid. */
  readonly frames: ReadonlyArray<Uint8Array>
  /** Set when a length above the limit was met after `frames`. The stream cannot be read on: close it. */
  readonly exceeded: DecodeError | undefined
}

/** The frame around a body given in parts. */
export const encode = (...parts: ReadonlyArray<Uint8Array>): Uint8Array => {
  const prefix = new Uint8Array(PREFIX_BYTES)
  Bytes.writeU32(
    prefix,
    0,
    parts.reduce((sizeBytes, part) => sizeBytes + part.length, 0)
  )
  return Bytes.concat(prefix, ...parts)
}

/**
 * Splits a stream that arrives in arbitrary chunks. Mutable, with one owner. Holds at most twice what it has received
 * of one frame, and never more than the frame has, whatever length was announced.
 */
export class Splitter {
  readonly #bodyBytesMax: number
  /** The beginning of a frame whose end is missing, prefix included: `#heldBytes` of these bytes. */
  #held: Uint8Array = Bytes.empty
  #heldBytes = 0
  #exceeded: DecodeError | undefined

  constructor(bodyBytesMax: number) {
    this.#bodyBytesMax = bodyBytesMax
  }

  /** Takes the next chunk, which must not be written to afterwards. Nothing more comes after `exceeded`. */
  push(chunk: Uint8Array): Split {
    const frames: Array<Uint8Array> = []
    let rest = chunk
    while (this.#exceeded === undefined && rest.length > 0) {
      if (this.#heldBytes === 0 && this.#holdsWholeFrame(rest)) {
        const end = PREFIX_BYTES + Bytes.readU32(rest, 0)
        frames.push(rest.subarray(PREFIX_BYTES, end))
        rest = rest.subarray(end)
      } else {
        rest = this.#hold(rest)
        if (this.#isComplete()) frames.push(this.#release())
      }
    }
    return { frames, exceeded: this.#exceeded }
  }

  /** Bytes waiting for the rest of their frame. */
  get heldBytes(): number {
    return this.#heldBytes
  }

  #holdsWholeFrame(bytes: Uint8Array): boolean {
    return bytes.length >= PREFIX_BYTES && bytes.length - PREFIX_BYTES >= Bytes.readU32(bytes, 0) && this.#allows(bytes)
  }

  #isComplete(): boolean {
    return this.#heldBytes >= PREFIX_BYTES && this.#heldBytes === PREFIX_BYTES + Bytes.readU32(this.#held, 0)
  }

  /** Takes what the held frame still lacks, first its prefix, and returns what is left over. */
  #hold(bytes: Uint8Array): Uint8Array {
    const wanted =
      this.#heldBytes < PREFIX_BYTES
        ? PREFIX_BYTES - this.#heldBytes
        : PREFIX_BYTES + Bytes.readU32(this.#held, 0) - this.#heldBytes
    const taken = bytes.subarray(0, wanted)
    this.#reserve(this.#heldBytes + taken.length)
    this.#held.set(taken, this.#heldBytes)
    this.#heldBytes += taken.length
    if (this.#heldBytes >= PREFIX_BYTES) this.#allows(this.#held)
    return bytes.subarray(taken.length)
  }

  #release(): Uint8Array {
    const frame = this.#held.subarray(PREFIX_BYTES, this.#heldBytes)
    this.#held = Bytes.empty
    this.#heldBytes = 0
    return frame
  }

  #reserve(sizeBytes: number): void {
    if (sizeBytes <= this.#held.length) return
    const frameBytes = this.#heldBytes < PREFIX_BYTES ? 64 : PREFIX_BYTES + Bytes.readU32(this.#held, 0)
    const grown = new Uint8Array(Math.min(Math.max(64, 2 * sizeBytes), frameBytes))
    grown.set(this.#held.subarray(0, this.#heldBytes))
    this.#held = grown
  }

  #allows(prefixed: Uint8Array): boolean {
    const bodyBytes = Bytes.readU32(prefixed, 0)
    if (bodyBytes <= this.#bodyBytesMax) return true
    this.#exceeded = { _tag: "LimitExceeded", limit: this.#bodyBytesMax, actual: bodyBytes }
    return false
  }
}

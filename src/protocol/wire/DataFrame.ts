/**
 * Frames of data exchange on port 1001 (node §4.1): messages, files and their acknowledgements.
 *
 * ```
 * kind (4)  length (4)  payload (length)
 *
 * 1 Text    UTF-8            4 File        see FileFrame      7           FileStream  see FileStream
 * 2 Binary  bytes            5 Trace       see FileFrame      0x45500001  Request     see ExchangeRequest
 * 3 Json    JSON, unchecked
 * ```
 *
 * A kind that a receiver does not know is acknowledged by number and dropped, which is how peers find out what the other
 * side understands.
 */
import * as Bytes from "../../core/data/Bytes.ts"
import type { DecodeError } from "./DecodeError.ts"

/** The kinds that have a meaning; a frame may carry any other number. */
export const Kind = {
  Text: 1,
  Binary: 2,
  Json: 3,
  File: 4,
  Trace: 5,
  FileStream: 7,
  /** Ours (`EP`, format 1): sharing, pulling, directories. A peer of the reference answers that it does not know it. */
  Request: 0x45500001
} as const

/** One frame. The payload may be a view. */
export interface DataFrame {
  readonly kind: number
  readonly payload: Uint8Array
}

/** Kind and length. */
export const HEADER_BYTES = 8

/** Longest payload that peers of the reference accept, and we (node §4.1). */
export const PAYLOAD_BYTES_MAX = 16_777_216

/** The frame around a payload given in parts. */
export const encode = (kind: number, ...parts: ReadonlyArray<Uint8Array>): Uint8Array =>
  Bytes.concat(encodeHeader(kind, Bytes.lengthOf(parts)), ...parts)

/** What stands before a payload of so many bytes. */
export const encodeHeader = (kind: number, sizeBytes: number): Uint8Array => {
  const header = new Uint8Array(HEADER_BYTES)
  Bytes.writeU32(header, 0, kind)
  Bytes.writeU32(header, 4, sizeBytes)
  return header
}

/** A text, such as an acknowledgement. */
export const encodeText = (text: string): Uint8Array => encode(Kind.Text, Bytes.fromUtf8(text))

/** How acknowledgements call a kind (node §4.2). */
export const nameOf = (kind: number): string => NAMES[kind] ?? `UNKNOWN(${kind})`

/** What one chunk completed. */
export interface Split {
  readonly frames: ReadonlyArray<DataFrame>
  /** Set when a length above the limit was met after `frames`. The stream cannot be read on: close it. */
  readonly exceeded: DecodeError | undefined
}

/**
 * Splits a stream that arrives in arbitrary chunks. Mutable, with one owner. Holds what has arrived of one frame and
 * nothing for what was only announced.
 */
export class DataFrameSplitter {
  readonly #payloadBytesMax: number
  readonly #header = new Uint8Array(HEADER_BYTES)
  #headerBytes = 0
  #parts: Array<Uint8Array> = []
  #missingBytes = 0
  #exceeded: DecodeError | undefined

  constructor(payloadBytesMax = PAYLOAD_BYTES_MAX) {
    this.#payloadBytesMax = payloadBytesMax
  }

  /** Takes the next chunk, which must not be written to afterwards. Nothing more comes after `exceeded`. */
  push(chunk: Uint8Array): Split {
    const frames: Array<DataFrame> = []
    let rest = chunk
    while (this.#exceeded === undefined && rest.length > 0) {
      rest = this.#headerBytes < HEADER_BYTES ? this.#takeHeader(rest) : this.#takePayload(rest)
      if (this.#headerBytes === HEADER_BYTES && this.#missingBytes === 0 && this.#exceeded === undefined)
        frames.push(this.#release())
    }
    return { frames, exceeded: this.#exceeded }
  }

  /** Payload bytes announced by the frame that has begun: what its owner will hold when it is complete. */
  get announcedBytes(): number {
    return this.#headerBytes < HEADER_BYTES || this.#exceeded !== undefined ? 0 : Bytes.readU32(this.#header, 4)
  }

  /** Whether a frame has begun whose end is missing. */
  get isInside(): boolean {
    return this.#headerBytes > 0
  }

  #takeHeader(bytes: Uint8Array): Uint8Array {
    const taken = bytes.subarray(0, HEADER_BYTES - this.#headerBytes)
    this.#header.set(taken, this.#headerBytes)
    this.#headerBytes += taken.length
    if (this.#headerBytes === HEADER_BYTES) {
      const sizeBytes = Bytes.readU32(this.#header, 4)
      if (sizeBytes > this.#payloadBytesMax)
        this.#exceeded = { _tag: "LimitExceeded", limit: this.#payloadBytesMax, actual: sizeBytes }
      else this.#missingBytes = sizeBytes
    }
    return bytes.subarray(taken.length)
  }

  #takePayload(bytes: Uint8Array): Uint8Array {
    const taken = bytes.subarray(0, this.#missingBytes)
    this.#parts.push(taken)
    this.#missingBytes -= taken.length
    return bytes.subarray(taken.length)
  }

  #release(): DataFrame {
    const payload = this.#parts.length === 1 ? this.#parts[0]! : Bytes.concat(...this.#parts)
    this.#parts = []
    this.#headerBytes = 0
    return { kind: Bytes.readU32(this.#header, 0), payload }
  }
}

const NAMES: Readonly<Record<number, string>> = { 1: "TEXT", 2: "BINARY", 3: "JSON", 4: "FILE", 5: "TRACE" }

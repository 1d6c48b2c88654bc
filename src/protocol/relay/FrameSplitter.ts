/**
 * Cuts a byte stream into relay frames (mcp §6.2). Mutable inside the one fiber that reads the stream: it holds at most
 * one unfinished frame.
 */
import { Result } from "effect"
import { decode, type Frame, HEADER_BYTES, LENGTH_MAX, MalformedFrame } from "./RelayFrame.ts"

/** The reading half of one stream. */
export class FrameSplitter {
  /** The start of an unfinished frame; its header first, its whole length once that is known. */
  #pending: Uint8Array = EMPTY
  #filled = 0

  /**
   * The frames completed by these bytes, in order; their payloads may be views of `chunk`. After a failure the stream is
   * lost: there is no way to find the next frame. A length over the bound fails before anything is buffered.
   */
  push(chunk: Uint8Array): Result.Result<ReadonlyArray<Frame>, MalformedFrame> {
    const frames: Array<Frame> = []
    let at = 0
    while (at < chunk.length) {
      const taken = this.#filled === 0 ? this.#takeWhole(chunk, at) : this.#fill(chunk, at)
      if (Result.isFailure(taken)) return Result.fail(taken.failure)
      at = taken.success.at
      if (taken.success.frame !== undefined) frames.push(taken.success.frame)
    }
    return Result.succeed(frames)
  }

  /** A frame that lies in one chunk is read in place. */
  #takeWhole(chunk: Uint8Array, at: number): Step {
    if (chunk.length - at < HEADER_BYTES) return this.#begin(HEADER_BYTES, chunk, at)
    const sizeBytes = frameBytes(chunk, at)
    if (Result.isFailure(sizeBytes)) return Result.fail(sizeBytes.failure)
    const end = at + sizeBytes.success
    return end > chunk.length
      ? this.#begin(sizeBytes.success, chunk, at)
      : step(decode(chunk[at + 4] ?? 0, chunk.subarray(at + HEADER_BYTES, end)), end)
  }

  #begin(sizeBytes: number, chunk: Uint8Array, at: number): Step {
    this.#pending = new Uint8Array(sizeBytes)
    return this.#fill(chunk, at)
  }

  #fill(chunk: Uint8Array, at: number): Step {
    const taken = Math.min(this.#pending.length - this.#filled, chunk.length - at)
    this.#pending.set(chunk.subarray(at, at + taken), this.#filled)
    this.#filled += taken
    if (this.#filled < this.#pending.length) return Result.succeed({ at: at + taken, frame: undefined })
    const sizeBytes = frameBytes(this.#pending, 0)
    if (Result.isFailure(sizeBytes)) return Result.fail(sizeBytes.failure)
    if (sizeBytes.success > this.#filled) {
      const grown = new Uint8Array(sizeBytes.success)
      grown.set(this.#pending)
      this.#pending = grown
      return Result.succeed({ at: at + taken, frame: undefined })
    }
    const whole = this.#pending
    this.#pending = EMPTY
    this.#filled = 0
    return step(decode(whole[4] ?? 0, whole.subarray(HEADER_BYTES)), at + taken)
  }
}

type Step = Result.Result<{ readonly at: number; readonly frame: Frame | undefined }, MalformedFrame>

const step = (frame: Result.Result<Frame, MalformedFrame>, at: number): Step =>
  Result.map(frame, (frame) => ({ at, frame }))

const frameBytes = (bytes: Uint8Array, at: number): Result.Result<number, MalformedFrame> => {
  const length = new DataView(bytes.buffer, bytes.byteOffset + at, HEADER_BYTES).getUint32(0)
  return length < 1 || length > LENGTH_MAX
    ? Result.fail(new MalformedFrame({ reason: "Length", type: bytes[at + 4] ?? 0 }))
    : Result.succeed(4 + length)
}

const EMPTY = new Uint8Array(0)

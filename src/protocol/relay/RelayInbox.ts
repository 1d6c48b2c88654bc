/**
 * The receiving half of a relay session (mcp §6.2): puts chunks together, holds messages until their receiver accepts
 * them, and grants credit. Credit counts payload bytes beyond `rx`: what is held uses it up, while the unfinished part of
 * one message is granted on top, because no credit below the message's size could ever finish it.
 *
 * Mutable inside the `RelaySession` that owns it. Memory is bounded by the window, one message, and `window / 32` messages.
 */
import { Result } from "effect"
import { Deque } from "../../core/data/Deque.ts"
import type { Limits } from "./RelayControl.ts"
import type { Frame } from "./RelayFrame.ts"
import { type Message, ProtocolViolation } from "./RelayMessage.ts"

/** Messages that have arrived. */
export class RelayInbox {
  readonly #limits: Limits
  readonly #messages = new Deque<Message>()
  #heldCount = 0
  #partial: Uint8Array = EMPTY
  #partialBytes = 0
  #receivedSeq = 0
  #handedOverSeq = 0
  /** Payload bytes since the start: received, handed over, and promised to be accepted. */
  #receivedBytes = 0
  #handedOverBytes = 0
  #grantedBytes: number
  #framesSinceAck = 0
  #acknowledgedBytes = 0
  #ackAtMs: number | undefined

  /** `rx` is the last number that an earlier life of this end has handed over. */
  constructor(limits: Limits, rx = 0) {
    this.#limits = limits
    this.#receivedSeq = rx
    this.#handedOverSeq = rx
    this.#grantedBytes = limits.window
  }

  /** The last sequence number that was handed over. */
  get handedOverSeq(): number {
    return this.#handedOverSeq
  }

  /** Payload bytes that came since the last acknowledgement left. */
  get unacknowledgedBytes(): number {
    return this.#receivedBytes - this.#acknowledgedBytes
  }

  /** When an acknowledgement is due at the latest; undefined if none is owed. */
  get ackAtMs(): number | undefined {
    return this.#ackAtMs
  }

  /** An acknowledgement is due: by time, or because many frames wait for it. */
  isAckDue(nowMs: number, everyFrames: number): boolean {
    return this.#ackAtMs !== undefined && (nowMs >= this.#ackAtMs || this.#framesSinceAck >= everyFrames)
  }

  /** Owes an acknowledgement at that time, or earlier if it did already. */
  requestAck(atMs: number): void {
    this.#ackAtMs = Math.min(this.#ackAtMs ?? Number.POSITIVE_INFINITY, atMs)
  }

  /** The acknowledgement of everything handed over until now. */
  takeAck(): Frame {
    this.#ackAtMs = undefined
    this.#framesSinceAck = 0
    this.#acknowledgedBytes = this.#receivedBytes
    // A promise is never taken back, even when the message that widened it is complete.
    this.#grantedBytes = Math.max(this.#grantedBytes, this.#handedOverBytes + this.#limits.window + this.#partialBytes)
    const credit = Math.min(CREDIT_MAX, this.#grantedBytes - this.#handedOverBytes)
    return { _tag: "Ack", rx: this.#handedOverSeq, credit }
  }

  /** A new stream: the other side counts on the announced window from `handedOverSeq` on. */
  rewind(nowMs: number): void {
    this.#grantedBytes = Math.max(this.#grantedBytes, this.#handedOverBytes + this.#limits.window)
    this.requestAck(nowMs)
  }

  /** Takes one chunk; known ones are ignored, since a resumed stream starts at what was handed over. */
  receive(frame: Extract<Frame, { _tag: "Data" }>, ackAtMs: number): Result.Result<void, ProtocolViolation> {
    this.requestAck(ackAtMs)
    this.#framesSinceAck++
    if (frame.seq <= this.#receivedSeq) return Result.void
    const reason = this.#refuses(frame)
    if (reason !== undefined) return Result.fail(new ProtocolViolation({ reason }))
    this.#receivedSeq = frame.seq
    this.#receivedBytes += frame.payload.length
    if (!frame.last) {
      this.#append(frame.payload)
      return Result.void
    }
    this.#messages.push({ bytes: this.#complete(frame.payload), rel: frame.rel, lastSeq: frame.seq })
    this.#heldCount++
    return Result.void
  }

  /** `next` has one. */
  get hasNext(): boolean {
    return this.#messages.length > 0
  }

  /** The next whole message, once. */
  next(): Message | undefined {
    return this.#messages.shift()
  }

  /** The message is accepted; it and everything before it are confirmed. */
  handedOver(message: Message, ackAtMs: number): void {
    this.#handedOverSeq = message.lastSeq
    this.#handedOverBytes += message.bytes.length
    this.#heldCount--
    this.requestAck(ackAtMs)
  }

  #refuses(frame: Extract<Frame, { _tag: "Data" }>): ProtocolViolation["reason"] | undefined {
    const sizeBytes = frame.payload.length
    if (frame.seq !== this.#receivedSeq + 1) return "Gap"
    // An empty chunk uses no credit, so nothing would bound how many are held.
    if (sizeBytes === 0) return "EmptyChunk"
    if (sizeBytes > this.#limits.frame) return "ChunkTooLarge"
    if (this.#partialBytes + sizeBytes > this.#limits.message) return "MessageTooLarge"
    if (this.#receivedBytes + sizeBytes > this.#grantedBytes) return "CreditExceeded"
    return this.#heldCount >= this.#limits.window / MESSAGE_BYTES_TYPICAL_MIN ? "TooManyMessages" : undefined
  }

  /** One growing buffer, because an array of one-byte chunks would cost a hundred times what they carry. */
  #append(payload: Uint8Array): void {
    const neededBytes = this.#partialBytes + payload.length
    if (neededBytes > this.#partial.length) {
      const grown = new Uint8Array(Math.min(this.#limits.message, Math.max(neededBytes, 2 * this.#partial.length)))
      grown.set(this.#partial.subarray(0, this.#partialBytes))
      this.#partial = grown
    }
    this.#partial.set(payload, this.#partialBytes)
    this.#partialBytes = neededBytes
  }

  #complete(payload: Uint8Array): Uint8Array {
    if (this.#partialBytes === 0) return payload
    this.#append(payload)
    const whole = this.#partial.subarray(0, this.#partialBytes)
    this.#partial = EMPTY
    this.#partialBytes = 0
    return whole
  }
}

const CREDIT_MAX = 0xffff_ffff
/** A JSON-RPC message is longer than this; a flood of shorter ones would cost more memory than their bytes. */
const MESSAGE_BYTES_TYPICAL_MIN = 32
const EMPTY = new Uint8Array(0)

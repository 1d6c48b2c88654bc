/**
 * The sending half of a relay session (mcp §6.2): cuts messages into numbered chunks as credit allows and keeps them until
 * the other side has handed them over, so that they can be sent again on another stream. Chunks of different messages
 * never interleave. Mutable inside the `RelaySession` that owns it.
 */
import { Deque } from "../../core/data/Deque.ts"
import { CHUNK_BYTES_MAX, LIMITS_DEFAULT, type Limits } from "./RelayControl.ts"
import { encodeData, LENGTH_MAX } from "./RelayFrame.ts"

/** A message before it is cut. */
export interface Pending {
  readonly bytes: Uint8Array
  readonly rel: string | undefined
}

/** Where an earlier life of this end stood: what was confirmed, and the messages after that, in order. */
export interface OutboxStart {
  /** The last number that the other side had confirmed, at which a message ends. */
  readonly seq: number
  /** The ordinal of that message. */
  readonly ordinal: number
  /** The chunks in which messages were cut. */
  readonly chunkBytes: number
  readonly messages: ReadonlyArray<Uint8Array>
}

/** Messages on their way. Ordinals count messages from 1; sequence numbers count chunks from 1. */
export class RelayOutbox {
  /** Messages not yet cut whole, the first of them from `#cutBytes` on. */
  readonly #messages = new Deque<Pending>()
  #cutBytes = 0
  /** Chunks with a number that are not confirmed; the first `#sentCount` of them went out on this stream. */
  readonly #chunks = new Deque<Chunk>()
  #sentCount = 0
  /** Payload bytes of those. */
  #outstandingBytes = 0
  #creditBytes = LIMITS_DEFAULT.window
  #chunkBytesMax = CHUNK_BYTES_MAX
  #lastSeq = 0
  #peerRx = 0
  #lastOrdinal = 0
  #sentOrdinal = 0
  #handedOverOrdinal = 0
  /** The number at which that message ended. */
  #handedOverSeq = 0
  #unackedBytes = 0
  /** Whole, as they were pushed, until they are confirmed. */
  readonly #unconfirmed = new Deque<Uint8Array>()

  /** Every message of an earlier life counts as sent, and gets the numbers that it had. */
  constructor(start?: OutboxStart) {
    if (start === undefined) return
    this.#lastSeq = start.seq
    this.#peerRx = start.seq
    this.#lastOrdinal = start.ordinal
    this.#handedOverOrdinal = start.ordinal
    this.#handedOverSeq = start.seq
    this.#chunkBytesMax = start.chunkBytes
    for (const message of start.messages) this.push(message, undefined)
    while (this.#cut() !== undefined);
    this.#sentOrdinal = this.#lastOrdinal
  }

  /** From where another life of this end would go on; `messageAt` gives what follows `ordinal`, up to `lastOrdinal`. */
  get position(): Omit<OutboxStart, "messages"> & { readonly lastOrdinal: number } {
    return {
      seq: this.#handedOverSeq,
      ordinal: this.#handedOverOrdinal,
      chunkBytes: this.#chunkBytesMax,
      lastOrdinal: this.#lastOrdinal
    }
  }

  /** An unconfirmed message. */
  messageAt(ordinal: number): Uint8Array | undefined {
    return this.#unconfirmed.at(ordinal - this.#handedOverOrdinal - 1)
  }

  /** What is kept, with an allowance per message, so that many tiny ones are bounded as well. */
  get unackedBytes(): number {
    return this.#unackedBytes
  }

  /** The last message whose chunks all went out on some stream: the other side may have it. */
  get sentOrdinal(): number {
    return this.#sentOrdinal
  }

  /** The last message that the other side has handed over. */
  get handedOverOrdinal(): number {
    return this.#handedOverOrdinal
  }

  /** Takes a message and returns its ordinal. The bytes must not change afterwards. */
  push(bytes: Uint8Array, rel: string | undefined): number {
    this.#unconfirmed.push(bytes)
    this.#messages.push({ bytes, rel })
    this.#unackedBytes += bytes.length + MESSAGE_OVERHEAD_BYTES
    return ++this.#lastOrdinal
  }

  /** True if the other side can continue from there: nothing it lacks has been dropped, and it claims no future. */
  canRewindTo(peerRx: number): boolean {
    return peerRx >= this.#peerRx && peerRx <= this.#lastSeq
  }

  /** Starts over on a new stream. False, and nothing changed, if `canRewindTo` says so. */
  rewind(peerRx: number, peerLimits: Limits): boolean {
    if (!this.canRewindTo(peerRx)) return false
    this.#sentCount = 0
    this.#outstandingBytes = 0
    this.#confirm(peerRx)
    this.#creditBytes = peerLimits.window
    this.#chunkBytesMax = peerLimits.frame
    return true
  }

  /** Drops what `rx` confirms; `creditBytes` counts from there. False if `rx` was never sent. */
  ack(rx: number, creditBytes: number): boolean {
    if (rx > this.#lastSeq) return false
    // On one stream acknowledgements cannot go back; one that does says nothing new.
    if (rx < this.#peerRx) return true
    this.#confirm(rx)
    this.#creditBytes = creditBytes
    return true
  }

  /** A chunk may go out now. */
  get hasNext(): boolean {
    const sizeBytes = this.#nextBytes()
    return sizeBytes > 0 && this.#outstandingBytes + sizeBytes <= this.#creditBytes
  }

  /** The next chunk as a frame, if credit allows. */
  next(): Uint8Array | undefined {
    if (!this.hasNext) return undefined
    const chunk = this.#chunks.at(this.#sentCount) ?? this.#cut()
    if (chunk === undefined) return undefined
    this.#sentCount++
    this.#outstandingBytes += chunk.payload.length
    if (chunk.last) this.#sentOrdinal = Math.max(this.#sentOrdinal, chunk.ordinal)
    return encodeData(chunk)
  }

  /** The messages of which the other side certainly has nothing whole, in order. */
  get unsent(): ReadonlyArray<Pending> {
    const unsent: Array<Pending> = []
    for (let index = 0; index < this.#messages.length; index++) {
      const message = this.#messages.at(index)
      if (message !== undefined) unsent.push(message)
    }
    return unsent
  }

  #nextBytes(): number {
    const chunk = this.#chunks.at(this.#sentCount)
    if (chunk !== undefined) return chunk.payload.length
    const message = this.#messages.at(0)
    return message === undefined ? 0 : Math.min(message.bytes.length - this.#cutBytes, this.#room(message))
  }

  #cut(): Chunk | undefined {
    const message = this.#messages.at(0)
    if (message === undefined) return undefined
    const end = Math.min(message.bytes.length, this.#cutBytes + this.#room(message))
    const chunk: Chunk = {
      seq: ++this.#lastSeq,
      last: end === message.bytes.length,
      rel: message.rel,
      payload: message.bytes.subarray(this.#cutBytes, end),
      ordinal: this.#lastOrdinal - this.#messages.length + 1
    }
    this.#chunks.push(chunk)
    this.#cutBytes = chunk.last ? 0 : end
    if (chunk.last) this.#messages.shift()
    return chunk
  }

  /** Payload bytes that fit beside the rel id of the message. */
  #room(message: Pending): number {
    const relBytes = message.rel === undefined ? 0 : 2 + UTF8.encode(message.rel).length
    return Math.min(this.#chunkBytesMax, LENGTH_MAX - DATA_OVERHEAD_BYTES - relBytes)
  }

  #confirm(rx: number): void {
    this.#peerRx = rx
    let chunk = this.#chunks.at(0)
    while (chunk !== undefined && chunk.seq <= rx) {
      this.#chunks.shift()
      this.#unackedBytes -= chunk.payload.length
      if (chunk.last) {
        this.#unackedBytes -= MESSAGE_OVERHEAD_BYTES
        this.#handedOverOrdinal = chunk.ordinal
        this.#handedOverSeq = chunk.seq
        this.#unconfirmed.shift()
      }
      // After a rewind, chunks may be confirmed before they are sent again.
      if (this.#sentCount > 0) {
        this.#sentCount--
        this.#outstandingBytes -= chunk.payload.length
      }
      chunk = this.#chunks.at(0)
    }
  }
}

interface Chunk {
  readonly seq: number
  readonly last: boolean
  readonly rel: string | undefined
  readonly payload: Uint8Array
  readonly ordinal: number
}

/** What one kept message costs besides its bytes, roughly. */
const MESSAGE_OVERHEAD_BYTES = 128
/** Type, sequence number and flags. */
const DATA_OVERHEAD_BYTES = 10
const UTF8 = new TextEncoder()

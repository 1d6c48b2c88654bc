/**
 * The receiving half of a stream: reassembly, the advertised window, and when to acknowledge. It finishes when the end of
 * the peer's data has been reached and read.
 */
import type { Segment } from "../wire/Packet.ts"
import * as SackBlocks from "../wire/SackBlocks.ts"
import { DelayedAck } from "./DelayedAck.ts"
import { advertisable, ReceiveWindow } from "./FlowControl.ts"
import { toWire } from "./Position.ts"
import { ReceiveBuffer } from "./ReceiveBuffer.ts"
import * as Segments from "./Segments.ts"
import { SEGMENT_BYTES_BASE, type StreamConfig } from "./StreamConfig.ts"

/** Mutable inside the connection that owns it. */
export class Receiver {
  readonly buffer: ReceiveBuffer
  readonly #window = new ReceiveWindow()
  readonly #delayedAck: DelayedAck
  readonly #config: StreamConfig
  /** Position of the hole being counted, arrivals beyond it, and duplicates still to send for it. */
  #hole = Number.NEGATIVE_INFINITY
  #holeArrivals = 0
  #holeDuplicates = 0
  /** SACK payloads of a batch that holds more than one acknowledgement can tell. */
  readonly #reports: Array<Uint8Array> = []
  #sackSent = 0
  #bytes = 0
  #segments = 0

  constructor(config: StreamConfig) {
    this.buffer = new ReceiveBuffer({
      bytesMax: config.receiveBytesMax,
      segmentsMax: config.receiveSegmentsMax,
      segmentBytesAssumed: config.peerSlotBytes,
      segmentBytesMin: Math.min(config.segmentBytesMax, SEGMENT_BYTES_BASE),
      budget: config.receiveBudget
    })
    this.#delayedAck = new DelayedAck(config.ackDelayMs)
    this.#config = config
  }

  /** When an acknowledgement must leave. */
  get deadlineMs(): number {
    return this.#delayedAck.deadlineMs
  }

  /** SACK-bearing acknowledgements sent. */
  get sackSent(): number {
    return this.#sackSent
  }

  /** Payload bytes received, duplicates not counted. */
  get bytesReceived(): number {
    return this.#bytes
  }

  /** Data segments received. */
  get segmentsReceived(): number {
    return this.#segments
  }

  /** The window that a segment leaving now carries; `advertised` says that it did. */
  get windowSegments(): number {
    const isHolding = this.buffer.heldSegments > 0 && !this.buffer.hasHole
    return advertisable(isHolding ? 1 : this.buffer.freeSegments)
  }

  /** A segment with the current window has left. */
  advertised(): void {
    this.#window.advertise(this.windowSegments)
  }

  /** A data segment. */
  receive(position: number, payload: Uint8Array, nowMs: number): void {
    this.#segments += 1
    const reception = this.buffer.receive(position, payload)
    if (reception !== "Duplicate" && reception !== "Dropped") this.#bytes += payload.length
    this.#delayedAck.received(reception, nowMs)
    if (reception === "Held" && this.buffer.hasHole) this.#countBeyondHole()
    // What the peer is not told of it would take for lost, and send again.
    if (this.buffer.isReportDue && this.#reports.length < REPORTS_MAX) this.#reports.push(this.#sackPayload())
  }

  /** An empty ACK that acknowledged nothing new: it may be a window probe. */
  probed(nowMs: number): void {
    if (this.#window.isProbeAnswered(this.buffer.freeSegments, nowMs)) this.#delayedAck.request()
  }

  /** The next acknowledgement must not wait. */
  requestAck(): void {
    this.#delayedAck.request()
  }

  /** The reader took something: the peer may have to hear of the room. */
  read(): Uint8Array | undefined {
    const acknowledged = this.buffer.next
    const payload = this.buffer.read()
    if (payload === undefined) return undefined
    // What had been held for the reader is acknowledged now, which is what the peer waits for.
    if (this.buffer.next !== acknowledged) this.#delayedAck.request()
    else if (this.#window.isUpdateDue(this.buffer.freeSegments, this.buffer.capacitySegments))
      this.#delayedAck.request()
    return payload
  }

  /** A data segment has taken the acknowledgement along; ranges still need a segment of their own. */
  piggybacked(): void {
    this.advertised()
    if (this.buffer.heldSegments === 0) this.#delayedAck.sent()
  }

  /** Adds the acknowledgements that are due. */
  acknowledge(out: Array<Segment>, sequence: number, nowMs: number): void {
    if (!this.#delayedAck.isDue(nowMs)) return
    this.#delayedAck.sent()
    const window = this.windowSegments
    this.advertised()
    for (const report of this.#reports) out.push(Segments.ack(sequence, this.buffer.next, window, report))
    this.#reports.length = 0
    out.push(Segments.ack(sequence, this.buffer.next, window, this.#sackPayload()))
    for (; this.#holeDuplicates > 0; this.#holeDuplicates--) {
      out.push(Segments.ack(sequence, this.buffer.next, window, Segments.EMPTY))
    }
  }

  #sackPayload(): Uint8Array {
    if (this.buffer.heldSegments === 0) return Segments.EMPTY
    this.#sackSent += 1
    const ranges = this.buffer.heldRanges(SackBlocks.BLOCKS_MAX)
    return SackBlocks.encode(ranges.map(({ end, start }) => ({ left: toWire(start), right: toWire(end) })))
  }

  /** v1.2/1.3 counts only empty duplicates: from the third arrival beyond a hole it gets three (wire §10.4 "better"). */
  #countBeyondHole(): void {
    if (this.#hole !== this.buffer.next) {
      this.#hole = this.buffer.next
      this.#holeArrivals = 0
      this.#holeDuplicates = 0
    }
    this.#holeArrivals += 1
    if (this.#holeArrivals === ARRIVALS_BEYOND_HOLE) this.#holeDuplicates = this.#config.duplicateAcksPerHole
  }
}

/** A batch is what one turn of the event loop brought: so many reports tell of 128 holes in it. */
const REPORTS_MAX = 64
/** RFC 5681 §3.2. */
const ARRIVALS_BEYOND_HOLE = 3

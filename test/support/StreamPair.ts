/**
 * Two streams joined by a link, on virtual time: one thread, one seed, no waiting. The link delays, loses, repeats and
 * reorders; the clock jumps from event to event. The ends behave like an owner: after each event they read (unless told
 * not to), write what they still have, and drain.
 */
import { Connection } from "../../src/protocol/stream/Connection.ts"
import * as StreamConfig from "../../src/protocol/stream/StreamConfig.ts"
import type { Segment } from "../../src/protocol/wire/Packet.ts"
import { EventQueue } from "./EventQueue.ts"

/** What the link does to each segment, in both directions. */
export interface Link {
  readonly latencyMs: number
  /** Probabilities. A reordered segment is late by up to `reorderMs`. */
  readonly loss: number
  readonly duplication: number
  readonly reordering: number
  readonly reorderMs: number
  /** Segments per millisecond, and how many wait before the newest is dropped; unlimited if absent. */
  /** Larger payloads vanish. */
  readonly segmentBytesMax?: number
  readonly bottleneck?: { readonly segmentsPerMs: number; readonly queueSegments: number }
}

/** A link that only takes time. */
export const cleanLink = (latencyMs: number): Link => ({
  latencyMs,
  loss: 0,
  duplication: 0,
  reordering: 0,
  reorderMs: 0
})

/** One segment as it was put on the link. */
export interface Sent {
  readonly atMs: number
  readonly from: "a" | "b"
  readonly segment: Segment
}

/** One end with its application. */
export class End {
  readonly name: "a" | "b"
  readonly connection: Connection
  /** What the application has read, piece by piece. */
  readonly received: Array<Uint8Array> = []
  receivedBytes = 0
  /** What it still wants to write. */
  outgoing: Uint8Array = new Uint8Array(0)
  isReading = true
  keepsReceived = true
  wantsClose = false
  /** Ends its direction only, once everything is written. */
  wantsEnd = false
  /** When the link towards the other end is free again. */
  linkFreeAtMs = 0

  constructor(name: "a" | "b", connection: Connection) {
    this.name = name
    this.connection = connection
  }

  /** Everything read, joined. */
  get bytes(): Uint8Array {
    const joined = new Uint8Array(this.receivedBytes)
    let offset = 0
    for (const piece of this.received) {
      joined.set(piece, offset)
      offset += piece.length
    }
    return joined
  }
}

/** How a pair is made. */
export interface Options {
  readonly link: Link
  readonly seed: number
  readonly config?: Partial<StreamConfig.StreamConfig>
  readonly initialSequences?: readonly [number, number]
  /** Called with each end that was drained, at virtual time `nowMs`; `isTimer` if its deadline had woken it. */
  readonly check?: (end: End, nowMs: number, isTimer: boolean) => void
  /** Keep a record of every segment sent. */
  readonly isRecording?: boolean
}

/** `a` dials `b`. */
export class StreamPair {
  readonly a: End
  readonly b: End
  readonly sent: Array<Sent> = []
  nowMs = 0
  link: Link
  segmentsSent = 0
  readonly #random: () => number
  readonly #events = new EventQueue<Event>()
  readonly #check: (end: End, nowMs: number, isTimer: boolean) => void
  readonly #isRecording: boolean
  /** What both ends read at each use: a test may change it. */
  readonly config: { -readonly [key in keyof StreamConfig.StreamConfig]: StreamConfig.StreamConfig[key] }
  readonly #timers = { a: Number.POSITIVE_INFINITY, b: Number.POSITIVE_INFINITY }

  constructor(options: Options) {
    const config = StreamConfig.make(options.config ?? {})
    this.config = config
    const [sequenceA, sequenceB] = options.initialSequences ?? [0, 0]
    this.link = options.link
    this.#random = seeded(options.seed)
    this.#check = options.check ?? (() => {})
    this.#isRecording = options.isRecording ?? true
    this.a = new End("a", Connection.dialing(config, sequenceA, 0))
    this.b = new End("b", Connection.listening(config, sequenceB))
    this.touch(this.a)
  }

  /** Lets an end act now, after the test did something to it. */
  touch(end: End): void {
    const { connection } = end
    if (end.isReading) this.#read(end)
    if (end.outgoing.length > 0) {
      const accepted = connection.write(end.outgoing, this.nowMs)
      end.outgoing = end.outgoing.subarray(accepted)
    }
    if (end.wantsEnd && end.outgoing.length === 0) {
      end.wantsEnd = false
      connection.end(this.nowMs)
    }
    if (end.wantsClose && end.outgoing.length === 0) {
      end.wantsClose = false
      connection.close(this.nowMs)
    }
    for (const segment of connection.drain(this.nowMs)) this.#transmit(end, segment)
    this.#arm(end)
  }

  /** Runs the next event. False when nothing will ever happen again. */
  step(): boolean {
    const event = this.#events.pop()
    if (event === undefined) return false
    this.nowMs = event.atMs
    const end = event.to === "a" ? this.a : this.b
    if (event.segment === undefined) {
      if (this.#timers[end.name] !== event.atMs) return true
      this.#timers[end.name] = Number.POSITIVE_INFINITY
      end.connection.timeout(this.nowMs)
    } else end.connection.receive(event.segment, this.nowMs)
    // What arrives at the same instant is one batch, as in one turn of an event loop.
    const next = this.#events.peek()
    const isBatch = next !== undefined && next.atMs === event.atMs && next.to === event.to && next.segment !== undefined
    if (isBatch) return true
    this.touch(end)
    this.#check(end, this.nowMs, event.segment === undefined)
    return true
  }

  /** Runs until the condition holds, or `untilMs`, or nothing is left to happen. Returns whether it held. */
  run(condition: (pair: StreamPair) => boolean, untilMs = 3_600_000): boolean {
    while (!condition(this)) {
      const next = this.#events.peek()
      if (next === undefined || next.atMs > untilMs) return false
      this.step()
    }
    return true
  }

  /** Runs for a length of virtual time. */
  advance(lengthMs: number): void {
    const untilMs = this.nowMs + lengthMs
    this.run(() => false, untilMs)
    this.nowMs = untilMs
  }

  /** Both ends have forgotten everything. */
  get isClosed(): boolean {
    return this.a.connection.isClosed && this.b.connection.isClosed
  }

  #read(end: End): void {
    for (let piece = end.connection.read(); piece !== undefined; piece = end.connection.read()) {
      end.receivedBytes += piece.length
      if (end.keepsReceived) end.received.push(piece)
    }
  }

  #arm(end: End): void {
    const { deadlineMs } = end.connection
    if (deadlineMs === this.#timers[end.name]) return
    this.#timers[end.name] = deadlineMs
    if (deadlineMs < Number.POSITIVE_INFINITY) {
      this.#events.push({ atMs: Math.max(this.nowMs, deadlineMs), to: end.name, segment: undefined })
      this.#timers[end.name] = Math.max(this.nowMs, deadlineMs)
    }
  }

  #transmit(from: End, segment: Segment): void {
    this.segmentsSent += 1
    if (this.#isRecording) this.sent.push({ atMs: this.nowMs, from: from.name, segment })
    const { duplication, loss } = this.link
    if (segment.payload.length > (this.link.segmentBytesMax ?? Number.POSITIVE_INFINITY)) return
    const copies = duplication > 0 && this.#random() < duplication ? 2 : 1
    for (let copy = 0; copy < copies; copy++) {
      if (loss > 0 && this.#random() < loss) continue
      const atMs = this.#arrivalMs(from)
      if (atMs !== undefined) this.#events.push({ atMs, to: from.name === "a" ? "b" : "a", segment })
    }
  }

  #arrivalMs(from: End): number | undefined {
    const { bottleneck, latencyMs, reordering, reorderMs } = this.link
    const lateMs = reordering > 0 && this.#random() < reordering ? this.#random() * reorderMs : 0
    if (bottleneck === undefined) return this.nowMs + latencyMs + lateMs
    const freeAtMs = Math.max(this.nowMs, from.linkFreeAtMs)
    if ((freeAtMs - this.nowMs) * bottleneck.segmentsPerMs > bottleneck.queueSegments) return undefined
    from.linkFreeAtMs = freeAtMs + 1 / bottleneck.segmentsPerMs
    return from.linkFreeAtMs + latencyMs + lateMs
  }
}

/** A repeatable source of numbers in [0, 1) (mulberry32). */
export const seeded = (seed: number): (() => number) => {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 0x1_0000_0000
  }
}

/** `length` bytes that differ from place to place. */
export const pattern = (length: number, seed = 1): Uint8Array => {
  const random = seeded(seed)
  const bytes = new Uint8Array(length)
  for (let index = 0; index < length; index++) bytes[index] = random() * 256
  return bytes
}

/** Same length and same bytes. */
export const isSame = (a: Uint8Array, b: Uint8Array): boolean =>
  a.length === b.length && a.every((byte, index) => byte === b[index])

interface Event {
  readonly atMs: number
  readonly to: "a" | "b"
  readonly segment: Segment | undefined
}

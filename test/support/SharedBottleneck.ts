/**
 * Streams that share one bottleneck, on virtual time: every segment of every sender goes through one queue of bytes that
 * drops the newest when it is full; acknowledgements only take time. Senders always have something to send, readers read
 * at once.
 */
import { Connection } from "../../src/protocol/stream/Connection.ts"
import * as StreamConfig from "../../src/protocol/stream/StreamConfig.ts"
import type { Segment } from "../../src/protocol/wire/Packet.ts"
import { EventQueue } from "./EventQueue.ts"
import { seeded } from "./StreamPair.ts"

/** The path all flows take. */
export interface Bottleneck {
  readonly bitsPerSecond: number
  /** Round trip without a queue. */
  readonly rttMs: number
  /** Length of the queue as a multiple of rate times round trip. */
  readonly queueProducts: number
  /** Probability that a segment is lost before the queue; acknowledgements are lost as often. */
  readonly loss: number
  readonly seed: number
  /**
   * The receivers wake every so many milliseconds only, and take in at once what has arrived; what they answer leaves and
   * arrives as one batch, too.
   */
  readonly batchMs?: number
}

/** One sender. */
export interface FlowOptions {
  readonly congestionControl: StreamConfig.StreamConfig["congestionControl"]
  readonly startMs: number
  /** How much it sends; without end if absent. */
  readonly bytes?: number
}

/** What became of it. */
export interface FlowResult {
  readonly receivedBytes: number
  /** When everything had arrived, the dial included; `Infinity` if it did not. */
  readonly doneMs: number
  readonly retransmits: number
}

/** Runs the flows until `untilMs`, or until all are done. Throughput counts from `countFromMs`. */
export const run = (
  path: Bottleneck,
  options: ReadonlyArray<FlowOptions>,
  untilMs: number,
  countFromMs = 0
): ReadonlyArray<FlowResult> => {
  const world = new World(path)
  const flows = options.map((option) => new Flow(world, option, countFromMs))
  while (flows.some(({ isDone }) => !isDone)) {
    const event = world.events.pop()
    if (event === undefined || event.atMs > untilMs) break
    world.nowMs = event.atMs
    event.happen()
  }
  return flows.map((flow) => flow.result)
}

/** Jain's index of fairness: 1 if all are equal, 1/n if one has everything. */
export const jain = (shares: ReadonlyArray<number>): number => {
  const sum = shares.reduce((total, share) => total + share, 0)
  return sum ** 2 / (shares.length * shares.reduce((total, share) => total + share ** 2, 0))
}

class World {
  readonly path: Bottleneck
  readonly events = new EventQueue<{ readonly atMs: number; readonly happen: () => void }>()
  nowMs = 0
  #freeAtMs = 0
  readonly #random: () => number

  constructor(path: Bottleneck) {
    this.path = path
    this.#random = seeded(path.seed)
  }

  /** Carries a segment through the queue; `arrive` is never called if it is lost. */
  data(bytes: number, arrive: () => void): void {
    const { bitsPerSecond, loss, queueProducts, rttMs } = this.path
    if (loss > 0 && this.#random() < loss) return
    const waitMs = Math.max(0, this.#freeAtMs - this.nowMs)
    if (waitMs > queueProducts * rttMs) return
    this.#freeAtMs = this.nowMs + waitMs + (bytes * 8000) / bitsPerSecond
    this.events.push({ atMs: this.#freeAtMs + rttMs / 2, happen: arrive })
  }

  /** Carries segments back that leave together; `arrive` is not called if all are lost. */
  acknowledgements(segments: ReadonlyArray<Segment>, arrive: (arrived: ReadonlyArray<Segment>) => void): void {
    const { loss, rttMs } = this.path
    const arrived = segments.filter(() => loss === 0 || this.#random() >= loss)
    if (arrived.length > 0) this.events.push({ atMs: this.nowMs + rttMs / 2, happen: () => arrive(arrived) })
  }
}

class Flow {
  readonly #world: World
  readonly #sender: Connection
  readonly #receiver: Connection
  readonly #countFromMs: number
  readonly #batch: Array<Segment> = []
  #left: number
  readonly #expected: number
  #received = 0
  #counted = 0
  #doneMs = Number.POSITIVE_INFINITY
  readonly #armed = { sender: Number.POSITIVE_INFINITY, receiver: Number.POSITIVE_INFINITY }

  constructor(
    world: World,
    { bytes = Number.POSITIVE_INFINITY, congestionControl, startMs }: FlowOptions,
    from: number
  ) {
    const config = StreamConfig.make({ congestionControl, noDelay: true })
    this.#world = world
    this.#left = bytes
    this.#expected = bytes
    this.#countFromMs = from
    // The start is the only thing that tells equal flows apart.
    this.#sender = Connection.dialing(config, Math.round(startMs), startMs)
    this.#receiver = Connection.listening(config, Math.round(startMs) + 1)
    world.events.push({ atMs: startMs, happen: () => this.#actSender() })
  }

  get isDone(): boolean {
    return this.#doneMs < Number.POSITIVE_INFINITY
  }

  get result(): FlowResult {
    const { retransmits } = this.#sender.stats
    return { receivedBytes: this.#counted, doneMs: this.#doneMs, retransmits }
  }

  #actSender(): void {
    const { nowMs } = this.#world
    while (this.#left > 0) {
      const accepted = this.#sender.write(this.#left < CHUNK.length ? CHUNK.subarray(0, this.#left) : CHUNK, nowMs)
      if (accepted === 0) break
      this.#left -= accepted
    }
    for (const segment of this.#sender.drain(nowMs)) this.#carry(segment)
    this.#arm("sender", this.#sender)
  }

  #carry(segment: Segment): void {
    this.#world.data(segment.payload.length + OVERHEAD_BYTES, () => this.#arrive(segment))
  }

  #arrive(segment: Segment): void {
    const { events, nowMs, path } = this.#world
    const { batchMs = 0 } = path
    this.#batch.push(segment)
    if (this.#batch.length > 1) return
    if (batchMs === 0) return this.#takeBatch()
    events.push({ atMs: Math.ceil(nowMs / batchMs) * batchMs, happen: () => this.#takeBatch() })
  }

  #takeBatch(): void {
    for (const segment of this.#batch) this.#receiver.receive(segment, this.#world.nowMs)
    this.#batch.length = 0
    this.#actReceiver()
  }

  #actReceiver(): void {
    const { nowMs } = this.#world
    for (let piece = this.#receiver.read(); piece !== undefined; piece = this.#receiver.read()) {
      this.#received += piece.length
      if (nowMs >= this.#countFromMs) this.#counted += piece.length
    }
    if (this.#received >= this.#expected && !this.isDone) this.#doneMs = nowMs
    const answers = this.#receiver.drain(nowMs)
    const isBatched = this.#world.path.batchMs !== undefined
    for (const batch of isBatched ? [answers] : answers.map((answer) => [answer])) {
      this.#world.acknowledgements(batch, (arrived) => {
        for (const segment of arrived) this.#sender.receive(segment, this.#world.nowMs)
        this.#actSender()
      })
    }
    this.#arm("receiver", this.#receiver)
  }

  #arm(end: "sender" | "receiver", connection: Connection): void {
    const atMs = Math.max(this.#world.nowMs, connection.deadlineMs)
    if (atMs === this.#armed[end] || atMs === Number.POSITIVE_INFINITY) return
    this.#armed[end] = atMs
    this.#world.events.push({ atMs, happen: () => this.#expire(end, connection, atMs) })
  }

  #expire(end: "sender" | "receiver", connection: Connection, atMs: number): void {
    if (this.#armed[end] !== atMs) return
    this.#armed[end] = Number.POSITIVE_INFINITY
    connection.timeout(atMs)
    if (end === "sender") this.#actSender()
    else this.#actReceiver()
  }
}

const CHUNK = new Uint8Array(64 * 1024)
/** IP and UDP, relay wrapping, seal and packet header around a payload (wire §3, §4). */
const OVERHEAD_BYTES = 28 + 9 + 36 + 34

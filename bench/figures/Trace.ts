/** One stream through one bottleneck on virtual time, with samples of its sender. */
import { Connection, type Packet, StreamConfig, type StreamSample, TunnelFrame } from "effect-pilot/protocol"
import { Link, SeededRandom } from "effect-pilot/testing"

/** A sender that always has something to send, and its way. */
export interface Scenario {
  readonly congestionControl: StreamConfig.StreamConfig["congestionControl"]
  readonly bitsPerSecond: number
  readonly rttMs: number
  /** Bytes that wait in front of the bottleneck at most. */
  readonly queueBytes: number
  /** Data and acknowledgements are lost as often. */
  readonly lossRate: number
  readonly lengthMs: number
  readonly seed: number
}

/** What was seen: samples in order of time, and payload bytes per millisecond that the reader got. */
export interface Trace {
  readonly samples: ReadonlyArray<StreamSample.StreamSample>
  readonly bytesPerMs: number
}

/** Runs the scenario from the dial on. */
export const run = (scenario: Scenario): Trace => {
  const { bitsPerSecond, congestionControl, lengthMs, lossRate, queueBytes, rttMs, seed } = scenario
  const config = StreamConfig.make({ congestionControl, noDelay: true })
  const link = { ...Link.PERFECT, delayMs: rttMs / 2, lossRate }
  const sender = new End(Connection.Connection.dialing(config, 1, 0), {
    link: { ...link, bitsPerSecond, queueBytes },
    random: SeededRandom.make(SeededRandom.derive(seed, "data"))
  })
  const receiver = new End(Connection.Connection.listening(config, 2), {
    link,
    random: SeededRandom.make(SeededRandom.derive(seed, "acknowledgements"))
  })
  const samples: Array<StreamSample.StreamSample> = []
  sender.connection.observe((sample) => samples.push(sample))
  const act = (nowMs: number) => {
    sender.write(nowMs)
    receiver.read()
    sender.drainTo(receiver, nowMs)
    receiver.drainTo(sender, nowMs)
  }
  act(0)
  for (;;) {
    const nowMs = Math.min(sender.nextAtMs, receiver.nextAtMs)
    if (!(nowMs < lengthMs)) return { samples, bytesPerMs: receiver.readBytes / lengthMs }
    sender.advance(nowMs)
    receiver.advance(nowMs)
    act(nowMs)
  }
}

/** A link and the generator it draws from. */
interface Way {
  readonly link: Link.Link
  readonly random: SeededRandom.SeededRandom
}

/** One end, and the link away from it. */
class End {
  readonly connection: Connection.Connection
  readBytes = 0
  readonly #way: Way
  readonly #state = Link.idle()
  /** What is on its way here, in order: the links keep it. */
  readonly #arriving: Array<{ readonly atMs: number; readonly segment: Packet.Segment }> = []

  constructor(connection: Connection.Connection, way: Way) {
    this.connection = connection
    this.#way = way
  }

  get nextAtMs(): number {
    return Math.min(this.connection.deadlineMs, this.#arriving[0]?.atMs ?? Number.POSITIVE_INFINITY)
  }

  /** Takes everything that has arrived by now, and whatever is due. */
  advance(nowMs: number): void {
    while ((this.#arriving[0]?.atMs ?? Number.POSITIVE_INFINITY) <= nowMs) {
      const arrived = this.#arriving.shift()
      if (arrived !== undefined) this.connection.receive(arrived.segment, nowMs)
    }
    if (this.connection.deadlineMs <= nowMs) this.connection.timeout(nowMs)
  }

  write(nowMs: number): void {
    while (this.connection.write(CHUNK, nowMs) > 0);
  }

  read(): void {
    for (let piece = this.connection.read(); piece !== undefined; piece = this.connection.read()) {
      this.readBytes += piece.length
    }
  }

  drainTo(other: End, nowMs: number): void {
    const { link, random } = this.#way
    for (const segment of this.connection.drain(nowMs)) {
      const fate = Link.transmit(link, this.#state, segment.payload.length + OVERHEAD_BYTES, nowMs, random)
      if (fate._tag === "Lost") continue
      for (const delayMs of fate.delaysMs) other.#arriving.push({ atMs: nowMs + delayMs, segment })
    }
  }
}

const CHUNK = new Uint8Array(64 * 1024)
/** Packet header and seal; the link adds IP and UDP. */
const OVERHEAD_BYTES = 34 + TunnelFrame.SEALED_OVERHEAD_BYTES

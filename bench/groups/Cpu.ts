/**
 * What a packet costs: each stage of its way alone, many times over; and all of them in a real transfer, in small requests
 * and in dials, where the rest (actors, timers, garbage) shows.
 */
import { createSocket } from "node:dgram"
import { crc32 } from "node:zlib"
import { Console, Effect, FileSystem, Schedule, Schema } from "effect"
import { NativeCrypto } from "effect-pilot/core"
import { Address, Connection, Packet, StreamConfig, TunnelFrame } from "effect-pilot/protocol"
import * as Children from "../Children.ts"
import type { Figure } from "../Figure.ts"
import * as Path from "../path/Path.ts"
import * as Stations from "../path/Stations.ts"
import * as Statistics from "../Statistics.ts"
import type { Group } from "./Group.ts"

const measure = Effect.gen(function* () {
  const alone = [...pure(), ...(yield* sockets)]
  yield* Console.log("a real transfer …")
  const transfer = yield* Effect.scoped(real)
  yield* Console.log("requests and dials …")
  return [...alone, ...transfer, ...(yield* Effect.scoped(small))]
})

/** Microseconds of each stage for one full datagram. */
const pure = (): ReadonlyArray<Figure> => {
  const aead = NativeCrypto.crypto.aes256Gcm(new Uint8Array(32).fill(9))
  const header = new Uint8Array(TunnelFrame.SEALED_HEADER_BYTES)
  const nonce = new Uint8Array(TunnelFrame.NONCE_BYTES)
  const packet: Packet.Packet = {
    ...{ flags: Packet.Flag.Ack, sequence: 1, acknowledgement: 1, window: 512, payload: PAYLOAD },
    ...{ protocol: Packet.Protocol.Stream, sourcePort: Address.Port(1), destinationPort: Address.Port(2) },
    ...{ source: Address.make(0, 1), destination: Address.make(0, 2) }
  }
  const native = (crc: number, bytes: Uint8Array, start: number, end: number) => crc32(bytes.subarray(start, end), crc)
  const encoded = Packet.encode(packet, native)
  const sealed = aead.sealAfter(header, nonce, encoded).subarray(header.length)
  return [
    alone("seal", () => aead.sealAfter(header, nonce, encoded)),
    alone("open", () => aead.open(nonce, sealed)),
    alone("encode, with CRC", () => Packet.encode(packet, native)),
    alone("decode, with CRC", () => Packet.decode(encoded, native)),
    alone("CRC", () => native(0, encoded, 0, encoded.length)),
    alone("connection step, both ends", steps(), STEP_SEGMENTS)
  ]
}

/** Two streams joined without anything between them; a turn moves `STEP_SEGMENTS` and their acknowledgements. */
const steps = (): (() => void) => {
  const config = StreamConfig.make({ segmentBytesMax: PAYLOAD.length, noDelay: true })
  const [sender, receiver] = [Connection.Connection.dialing(config, 1, 0), Connection.Connection.listening(config, 2)]
  const chunk = new Uint8Array(PAYLOAD.length * STEP_SEGMENTS)
  let nowMs = 0
  return () => {
    for (let left = chunk.length; left > 0; ) {
      nowMs += 1
      left -= sender.write(chunk.subarray(0, left), nowMs)
      for (const segment of sender.drain(nowMs)) receiver.receive(segment, nowMs)
      while (receiver.read() !== undefined);
      for (const segment of receiver.drain(nowMs)) sender.receive(segment, nowMs)
      if (sender.deadlineMs <= nowMs) sender.timeout(nowMs)
      if (receiver.deadlineMs <= nowMs) receiver.timeout(nowMs)
    }
  }
}

/** Processor time, not time: whoever else runs does not count. */
const cpuUs = (): number => {
  const { system, user } = process.cpuUsage()
  return user + system
}

const alone = (name: string, run: () => void, packets = 1): Figure => {
  const batches = Array.from({ length: BATCHES }, () => {
    const startUs = cpuUs()
    for (let round = 0; round < ROUNDS / packets; round++) run()
    return (cpuUs() - startUs) / ROUNDS
  })
  // The first ones are the compiler's.
  return { name: `alone: ${name}`, unit: "µs", ours: Statistics.median(batches.slice(2)) }
}

/** The system calls with Node's share: as many at once as a turn of a busy sender has, to a process that only counts. */
const sockets = Effect.gen(function* () {
  const receiver = yield* Children.start([process.execPath, "-e", RECEIVER])
  const port = yield* Effect.flatMap(Children.message(receiver), Schema.decodeUnknownEffect(Schema.Number))
  const sendUs = yield* Effect.promise(() => send(port))
  receiver.send("report")
  const receiveUs = yield* Effect.flatMap(Children.message(receiver), Schema.decodeUnknownEffect(Schema.Number))
  return [
    { name: "alone: send", unit: "µs", ours: sendUs },
    { name: "alone: receive", unit: "µs", ours: receiveUs }
  ]
})

const send = async (port: number): Promise<number> => {
  const socket = createSocket({ type: "udp4", lookup: (host, _options, found) => found(null, host, 4) })
  const datagram = new Uint8Array(DATAGRAM_BYTES)
  const startUs = cpuUs()
  for (let round = 0; round < ROUNDS / BURST; round++) {
    for (let i = 1; i < BURST; i++) socket.send(datagram, port, "127.0.0.1")
    await new Promise<void>((resolve) => socket.send(datagram, port, "127.0.0.1", () => resolve()))
  }
  const lengthUs = cpuUs() - startUs
  socket.close()
  return lengthUs / ROUNDS
}

/** Tells its port, counts, and tells what each datagram cost. */
const RECEIVER = `
  const socket = require("node:dgram").createSocket({ type: "udp4", recvBufferSize: 4 << 20 })
  const cpuUs = () => { const { user, system } = process.cpuUsage(); return user + system }
  let [count, startUs] = [0, 0]
  socket.on("message", () => { if (count++ === 0) startUs = cpuUs() })
  socket.bind(0, "127.0.0.1", () => process.send(socket.address().port))
  process.on("message", () => process.send((cpuUs() - startUs) / count))
  process.on("disconnect", () => process.exit())
`

const real = Effect.gen(function* () {
  const fileSystem = yield* FileSystem.FileSystem
  const directory = yield* fileSystem.makeTempDirectoryScoped({ prefix: "effect-pilot-bench-" })
  const profiles = { client: `${directory}/client`, server: `${directory}/server` }
  const stations = yield* Stations.make(yield* Path.loopback(DATAGRAM_BYTES + Path.HEADER_BYTES), profiles)
  const flow = { kind: "flow", skipMs: 1_000, forMs: 6_000 } as const
  const [bytesPerSecond = Number.NaN] = yield* stations.measure("ours", flow)
  const packets = (bytesPerSecond * (flow.forMs + 2 * flow.skipMs)) / 1000 / PAYLOAD.length
  return [
    ...(yield* byStage("in a transfer: sender", profiles.client, packets)),
    ...(yield* byStage("in a transfer: receiver", profiles.server, packets))
  ]
})

/** The client's share of small things, whose datagrams are small, too. */
const small = Effect.gen(function* () {
  const fileSystem = yield* FileSystem.FileSystem
  const directory = yield* fileSystem.makeTempDirectoryScoped({ prefix: "effect-pilot-bench-" })
  const client = `${directory}/client`
  const stations = yield* Stations.make(yield* Path.loopback(DATAGRAM_BYTES + Path.HEADER_BYTES), { client })
  yield* stations.measure("ours", { kind: "requests", parallel: PARALLEL, rounds: REQUEST_ROUNDS, bytes: 100 })
  const requests = yield* byStage(`in ${PARALLEL} requests at once: client`, client, PARALLEL * REQUEST_ROUNDS)
  yield* stations.measure("ours", { kind: "requests", parallel: 1, rounds: ROUND_TRIPS, bytes: 100 })
  const roundTrips = yield* byStage("in a round trip: client", client, ROUND_TRIPS)
  yield* stations.measure("ours", { kind: "dial", times: DIALS, isCold: true })
  return [...roundTrips, ...requests, ...(yield* byStage("in a dial, tunnel down: client", client, DIALS))]
})

/** Rows of one profile, for each of `count` things; what costs nothing to speak of is left out. */
const byStage = Effect.fnUntraced(function* (what: string, path: string, count: number) {
  const fileSystem = yield* FileSystem.FileSystem
  // The other end writes when it has seen the stream close.
  const stages = yield* Effect.retry(Effect.flatMap(fileSystem.readFileString(path), decode), EVERY_100_MS)
  const total = Object.values(stages).reduce((sum, us) => sum + us, 0)
  const shown = Object.entries(stages).filter(([, us]) => us > total * SHARE_MIN)
  return [["all of it", total] as const, ...shown.toSorted(([, a], [, b]) => b - a)].map(
    ([stage, us]): Figure => ({ name: `${what}, ${stage}`, unit: "µs", ours: us / count })
  )
})

const decode = Schema.decodeEffect(Schema.fromJsonString(Schema.Record(Schema.String, Schema.Number)))
const EVERY_100_MS = { times: 50, schedule: Schedule.spaced("100 millis") }

/** Microseconds of processor. */
export const group: Group = {
  name: "cpu",
  about: "what a 1400-byte datagram costs, stage by stage",
  seconds: 60,
  run: measure
}

const DATAGRAM_BYTES = 1400
const PAYLOAD = new Uint8Array(DATAGRAM_BYTES - TunnelFrame.SEALED_OVERHEAD_BYTES - Packet.HEADER_BYTES)
const STEP_SEGMENTS = 40
const ROUNDS = 40_000
const BATCHES = 12
const PARALLEL = 50
const REQUEST_ROUNDS = 400
const ROUND_TRIPS = 20_000
const DIALS = 24
/** Below this share a stage is noise of the sampling. */
const SHARE_MIN = 0.002
const BURST = 32

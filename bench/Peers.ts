/**
 * The two processes between which streams are measured: `serve` echoes and counts, `measure` dials it. Each is a node
 * itself, or a program of a running daemon; what they run is the same.
 *
 * Run as children by `Streams.ts`: `node bench/Peers.ts serve | measure <options as JSON>`.
 */
import { fileURLToPath } from "node:url"
import { NodeRuntime } from "@effect/platform-node"
import { Effect, type Layer, References, Schedule, Stream } from "effect"
import { Pilot } from "effect-pilot"
import * as Statistics from "./Statistics.ts"

/** The program. */
export const PROGRAM = fileURLToPath(import.meta.url)

/** The serving node's name. */
export const SERVER = "bench-server"

/** What a child is told on its command line. */
export interface Options {
  /** A node of this process with these options, or the daemon of this home. */
  readonly node: Pilot.NodeOptions | undefined
  readonly daemonHome: string
  readonly rounds: number
  readonly dials: number
  /** Dials over a tunnel that has to be opened first, each from a new node; needs `node`. */
  readonly coldDials: number
  /** How long one bulk transfer lasts, and how many there are; the first only warms up. */
  readonly transferMs: number
  readonly transfers: number
  /** How long small requests follow each other on one stream; not at all for 0. */
  readonly pipelineMs: number
}

/** What `measure` found. */
export interface Report {
  readonly roundTrip: Statistics.Latency
  /** From name to first byte. */
  readonly dial: Statistics.Latency
  readonly coldDial: Statistics.Latency
  readonly bytesPerSecond: number
  /** Answers to 64 bytes, 256 of them under way on one stream. */
  readonly requestsPerSecond: number
}

const layer = (options: Options): Layer.Layer<Pilot.Pilot, unknown> =>
  options.node === undefined ? Pilot.layerDaemon({ home: options.daemonHome }) : Pilot.layer(options.node)

const serve = Effect.gen(function* () {
  yield* Effect.forkScoped(Stream.runForEach(Pilot.listen(ECHO_PORT), (peer) => Effect.forkScoped(echo(peer))))
  yield* Effect.forkScoped(Stream.runForEach(Pilot.listen(SINK_PORT), (peer) => Effect.forkScoped(sink(peer))))
  return yield* Effect.never
}).pipe(Effect.scoped)

const echo = (peer: Pilot.Connection) =>
  Effect.exit(Effect.forever(Effect.flatMap(peer.duplex.read, peer.duplex.write)))

/** Reads for as many milliseconds as the first eight bytes say, then answers with the bytes per second that came. */
const sink = Effect.fnUntraced(function* ({ duplex }: Pilot.Connection) {
  const forMs = Buffer.from(yield* duplex.read).readDoubleBE()
  const startMs = performance.now()
  let bytes = 0
  while (performance.now() < startMs + forMs) bytes += (yield* duplex.read).length
  yield* duplex.write(double((bytes * 1000) / (performance.now() - startMs)))
  return yield* Effect.forever(duplex.read)
}, Effect.exit)

const measure = Effect.fnUntraced(function* (options: Options) {
  const warm = yield* Effect.gen(function* () {
    // The serving process may still be starting.
    yield* Effect.retry(dial, EVERY_100_MS)
    // The direct path takes over from the relay within a few round trips.
    yield* Effect.repeat(Pilot.ping(SERVER), { ...EVERY_100_MS, until: ({ path }) => path === "direct" })
    const roundTrip = yield* roundTrips(options.rounds)
    const dials = (yield* times(options.dials, dial)).slice(WARM_UP_DIALS)
    const rates = yield* Effect.replicateEffect(transfer(options.transferMs), options.transfers)
    const requestsPerSecond = options.pipelineMs === 0 ? 0 : yield* pipeline(options.pipelineMs)
    return {
      roundTrip,
      dial: Statistics.latency(dials),
      bytesPerSecond: Statistics.median(rates.slice(1)),
      requestsPerSecond
    }
  }).pipe(Effect.provide(layer(options), { local: true }))
  const cold = Effect.provide(dial, layer(options), { local: true })
  const coldDials = yield* times(options.coldDials, cold)
  return { ...warm, coldDial: Statistics.latency(coldDials) } satisfies Report
})

/** Milliseconds from the name to the first byte echoed. */
const dial = Effect.scoped(
  Effect.gen(function* () {
    const startMs = performance.now()
    const { duplex } = yield* Pilot.dial(SERVER, ECHO_PORT)
    yield* duplex.write(Uint8Array.of(1))
    yield* duplex.read
    return performance.now() - startMs
  })
)

const times = <E, R>(count: number, measured: Effect.Effect<number, E, R>) => Effect.replicateEffect(measured, count)

const roundTrips = Effect.fnUntraced(function* (rounds: number) {
  const { duplex } = yield* Pilot.dial(SERVER, ECHO_PORT)
  const timesMs: Array<number> = []
  const ping = new Uint8Array(PING_BYTES)
  for (let round = 0; round < rounds; round++) {
    const startMs = performance.now()
    yield* duplex.write(ping)
    for (let bytes = 0; bytes < PING_BYTES; bytes += (yield* duplex.read).length);
    timesMs.push(performance.now() - startMs)
  }
  return Statistics.latency(timesMs.slice(WARM_UP))
}, Effect.scoped)

/** Each answer is followed by the next request; the first half warms up. */
const pipeline = Effect.fnUntraced(function* (forMs: number) {
  const { duplex } = yield* Pilot.dial(SERVER, ECHO_PORT)
  const request = new Uint8Array(PING_BYTES)
  yield* Effect.replicateEffect(duplex.write(request), PIPELINE, { discard: true })
  const startMs = performance.now()
  let [bytes, answers, counted] = [0, 0, 0]
  for (let nowMs = startMs; nowMs < startMs + forMs; nowMs = performance.now()) {
    bytes += (yield* duplex.read).length
    for (; answers < Math.floor(bytes / PING_BYTES); answers++) {
      if (nowMs >= startMs + forMs / 2) counted++
      yield* duplex.write(request)
    }
  }
  return (counted * 1000) / (forMs / 2)
}, Effect.scoped)

/** Writes until the receiver says at which rate it came. */
const transfer = Effect.fnUntraced(function* (forMs: number) {
  const { duplex } = yield* Pilot.dial(SERVER, SINK_PORT)
  yield* duplex.write(double(forMs))
  yield* Effect.forkScoped(Effect.forever(duplex.write(new Uint8Array(CHUNK_BYTES).fill(7))))
  return Buffer.from(yield* duplex.read).readDoubleBE()
}, Effect.scoped)

/** The process is over when its report is on its way: the channel to the parent would keep it alive. */
const sent = (report: Report) =>
  Effect.callback<never>(() => void process.send?.(report, undefined, undefined, () => process.exit()))

const double = (value: number): Uint8Array => {
  const bytes = Buffer.alloc(8)
  bytes.writeDoubleBE(value)
  return bytes
}

const EVERY_100_MS = { times: 100, schedule: Schedule.spaced("100 millis") }
const ECHO_PORT = 5000
const SINK_PORT = 5001
const PING_BYTES = 64
const PIPELINE = 256
const CHUNK_BYTES = 64 * 1024
/** Round trips and dials before the compiler has seen enough of them: an agent runs for days. */
const WARM_UP = 5_000
const WARM_UP_DIALS = 100

if (process.argv[1] === PROGRAM) {
  const options: Options = JSON.parse(process.argv[3] ?? "{}")
  // The parent is gone, and nobody is left to report to.
  process.on("disconnect", () => process.kill(process.pid, "SIGTERM"))
  const program =
    process.argv[2] === "serve" ? Effect.provide(serve, layer(options)) : Effect.flatMap(measure(options), sent)
  NodeRuntime.runMain(Effect.provideService(program, References.MinimumLogLevel, "Warn"))
}

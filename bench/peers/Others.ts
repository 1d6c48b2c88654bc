/** TCP and hyperdht over the loopback, each end a process of its own. */
import { Effect, Schema } from "effect"
import * as Children from "../Children.ts"
import * as Statistics from "../Statistics.ts"
import * as Peer from "./Peer.ts"
import type { Workload } from "./Workload.ts"

/** What hyperdht does, its table on the loopback as well. */
export const hyperdht = Effect.suspend(() => withHyperdht([], everything))

/** What TCP of the kernel does, in clear. */
export const tcp = Effect.suspend(() => withTcp([], everything))

/** Bytes per second of both, run by this command in front of theirs. */
export const bytesPerSecond = (enter: ReadonlyArray<string>) =>
  Effect.all({ hyperdht: withHyperdht(enter, throughput), tcp: withTcp(enter, throughput) })

type Measure = (workload: Workload) => ReturnType<typeof measured>

const everything = Effect.fnUntraced(function* (measure: Measure) {
  const latency = (times: ReadonlyArray<number>) => Statistics.latency(times.slice(times.length / 4))
  return {
    bytesPerSecond: yield* throughput(measure),
    roundTrip: latency(yield* measure({ kind: "requests", parallel: 1, rounds: 20_000, bytes: 64 })),
    requestsPerSecond: (yield* measure({ kind: "pipeline", forMs: 3_000 }))[0] ?? Number.NaN,
    /** From what the client knows of the server to the first byte. */
    dial: latency(yield* measure({ kind: "dial", times: DIALS, isCold: false })),
    /** The same from a client that has not met the server. */
    coldDial: latency(yield* measure({ kind: "dial", times: COLD_DIALS, isCold: true }))
  }
})

const throughput = (measure: Measure) =>
  Effect.map(measure({ kind: "flow", skipMs: 1_000, forMs: 3_000 }), ([rate = Number.NaN]) => rate)

const withHyperdht = <A, E, R>(enter: ReadonlyArray<string>, use: (measure: Measure) => Effect.Effect<A, E, R>) =>
  Effect.flatMap(serve(enter, { kind: "bootstrap", address: LOOPBACK }), (bootstrap) =>
    withSpeaker(enter, { kind: "hyperdht", address: LOOPBACK, bootstrap }, use)
  ).pipe(Effect.scoped)

const withTcp = <A, E, R>(enter: ReadonlyArray<string>, use: (measure: Measure) => Effect.Effect<A, E, R>) =>
  Effect.scoped(withSpeaker(enter, { kind: "tcp", address: LOOPBACK }, use))

const withSpeaker = <A, E, R>(
  enter: ReadonlyArray<string>,
  speaker: Peer.Speaker,
  use: (measure: Measure) => Effect.Effect<A, E, R>
) =>
  Effect.flatMap(serve(enter, speaker), (contact) => use((workload) => measured(enter, { speaker, contact, workload })))

const serve = (enter: ReadonlyArray<string>, speaker: Peer.Speaker) =>
  child(enter, "serve", { speaker }).pipe(
    Effect.flatMap(Children.message),
    Effect.flatMap(Schema.decodeUnknownEffect(Schema.String))
  )

const measured = (enter: ReadonlyArray<string>, options: Peer.Options) =>
  child(enter, "measure", options).pipe(
    Effect.flatMap(Children.message),
    Effect.flatMap(Schema.decodeUnknownEffect(Schema.Array(Schema.Number))),
    Effect.scoped
  )

const child = (enter: ReadonlyArray<string>, role: string, options: Peer.Options) =>
  Children.start([...enter, process.execPath, Peer.PROGRAM, role, JSON.stringify(options)])

const LOOPBACK = "127.0.0.1"
const DIALS = 100
const COLD_DIALS = 16

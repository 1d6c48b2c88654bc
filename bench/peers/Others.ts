/** TCP and hyperdht over the loopback, each end a process of its own. */
import { Effect, Schema } from "effect"
import * as Children from "../Children.ts"
import * as Statistics from "../Statistics.ts"
import * as Peer from "./Peer.ts"
import type { Workload } from "./Workload.ts"

/** What hyperdht does, its table on the loopback as well. */
export const hyperdht = Effect.suspend(() =>
  Effect.scoped(
    Effect.flatMap(serve({ kind: "bootstrap", address: LOOPBACK }), (bootstrap) =>
      measure({ kind: "hyperdht", address: LOOPBACK, bootstrap })
    )
  )
)

/** What TCP of the kernel does, in clear. */
export const tcp = Effect.suspend(() => Effect.scoped(measure({ kind: "tcp", address: LOOPBACK })))

const measure = Effect.fnUntraced(function* (speaker: Peer.Speaker) {
  const contact = yield* serve(speaker)
  const results = (workload: Workload) => measured({ speaker, contact, workload })
  const latency = (times: ReadonlyArray<number>) => Statistics.latency(times.slice(times.length / 4))
  return {
    bytesPerSecond: (yield* results({ kind: "flow", skipMs: 1_000, forMs: 3_000 }))[0] ?? Number.NaN,
    roundTrip: latency(yield* results({ kind: "requests", parallel: 1, rounds: 20_000, bytes: 64 })),
    /** From what the client knows of the server to the first byte. */
    dial: latency(yield* results({ kind: "dial", times: DIALS, isCold: false })),
    /** The same from a client that has not met the server. */
    coldDial: latency(yield* results({ kind: "dial", times: COLD_DIALS, isCold: true }))
  }
})

const serve = (speaker: Peer.Speaker) =>
  child("serve", { speaker }).pipe(
    Effect.flatMap(Children.message),
    Effect.flatMap(Schema.decodeUnknownEffect(Schema.String))
  )

const measured = (options: Peer.Options) =>
  child("measure", options).pipe(
    Effect.flatMap(Children.message),
    Effect.flatMap(Schema.decodeUnknownEffect(Schema.Array(Schema.Number))),
    Effect.scoped
  )

const child = (role: string, options: Peer.Options) =>
  Children.start([process.execPath, Peer.PROGRAM, role, JSON.stringify(options)])

const LOOPBACK = "127.0.0.1"
const DIALS = 100
const COLD_DIALS = 16

/** Streams between two processes of their own, by in-process nodes or through two daemons. */
import { type ChildProcess, fork } from "node:child_process"
import { Effect, Schema, type Scope } from "effect"
import type { Network } from "./Network.ts"
import * as Peers from "./Peers.ts"

/** A process of the measurement ended without a result. */
export class MeasurementFailed extends Schema.TaggedError<MeasurementFailed>()("MeasurementFailed", {
  detail: Schema.String
}) {}

/** Nodes inside the two processes: nothing between them but the tunnel. */
export const inProcess = (network: Network): Effect.Effect<Peers.Report, MeasurementFailed> =>
  measure(
    { ...COUNTS, node: network.server.options, daemonHome: network.server.path },
    { ...COUNTS, node: network.client.options, daemonHome: network.client.path }
  )

/** The two processes ask daemons, which run already. */
export const throughDaemons = (network: Network): Effect.Effect<Peers.Report, MeasurementFailed> =>
  measure(
    { ...COUNTS, node: undefined, daemonHome: network.server.path, coldDials: 0 },
    { ...COUNTS, node: undefined, daemonHome: network.client.path, coldDials: 0 }
  )

const measure = (server: Peers.Options, client: Peers.Options): Effect.Effect<Peers.Report, MeasurementFailed> =>
  Effect.scoped(Effect.andThen(start("serve", server), Effect.flatMap(start("measure", client), report)))

/** A child process that goes with the scope, and has gone when the scope has ended. */
const start = (role: string, options: Peers.Options): Effect.Effect<ChildProcess, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => fork(Peers.PROGRAM, [role, JSON.stringify(options)], { serialization: "advanced" })),
    (child) =>
      Effect.callback<void>((resume) => {
        if (child.exitCode !== null || child.signalCode !== null) return resume(Effect.void)
        child.once("exit", () => resume(Effect.void))
        child.kill()
      })
  )

const report = (child: ChildProcess): Effect.Effect<Peers.Report, MeasurementFailed> =>
  Effect.callback<unknown, MeasurementFailed>((resume) => {
    child.once("message", (message) => resume(Effect.succeed(message)))
    child.once("exit", (code) => resume(new MeasurementFailed({ detail: `the measuring process ended with ${code}` })))
  }).pipe(
    Effect.flatMap((message) =>
      Effect.mapError(decode(message), (error) => new MeasurementFailed({ detail: error.message }))
    )
  )

const Latency = Schema.Struct({ p50Ms: Schema.Number, p99Ms: Schema.Number })
const decode = Schema.decodeUnknownEffect(
  Schema.Struct({ roundTrip: Latency, dial: Latency, coldDial: Latency, bytesPerSecond: Schema.Number })
)

const COUNTS = { rounds: 20_000, dials: 400, coldDials: 12, transferMs: 1_500, transfers: 4 }

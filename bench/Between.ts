/** Runs the two processes of `Peers.ts`, and reads their report. */
import { Effect, Schema } from "effect"
import type { Pilot } from "effect-pilot"
import * as Children from "./Children.ts"
import type * as Network from "./Network.ts"
import * as Peers from "./Peers.ts"

/** How often each thing is done. */
export type Counts = Omit<Peers.Options, "node" | "daemonHome">

/** Where nodes run, if not beside this process, and what is different there. */
export interface Place {
  readonly enter: ReadonlyArray<string>
  readonly options: Pilot.NodeOptions
}

/** Nodes inside the two processes: nothing between them but the tunnel. */
export const nodes = ({ client, server }: Network.Network, counts: Counts, place?: Place) => {
  const options = ({ options, path }: Network.Home) => ({
    ...counts,
    node: { ...options, ...place?.options },
    daemonHome: path
  })
  return between(place?.enter ?? [], options(server), options(client))
}

/** The two processes ask daemons, which run already. */
export const daemons = ({ client, server }: Network.Network, counts: Counts) => {
  const options = ({ path }: Network.Home) => ({ ...counts, node: undefined, daemonHome: path, coldDials: 0 })
  return between([], options(server), options(client))
}

const between = Effect.fnUntraced(function* (
  enter: ReadonlyArray<string>,
  server: Peers.Options,
  client: Peers.Options
) {
  const child = (role: string, options: Peers.Options) =>
    Children.start([...enter, process.execPath, Peers.PROGRAM, role, JSON.stringify(options)])
  yield* child("serve", server)
  return yield* decode(yield* Children.message(yield* child("measure", client)))
}, Effect.scoped)

const Latency = Schema.Struct({ p50Ms: Schema.Number, p99Ms: Schema.Number })
const decode = Schema.decodeUnknownEffect(
  Schema.Struct({
    roundTrip: Latency,
    dial: Latency,
    coldDial: Latency,
    bytesPerSecond: Schema.Number,
    requestsPerSecond: Schema.Number
  })
)

/** Everything that is measured over one `Path`: our nodes, hyperdht and TCP, their servers running all the time. */
import { Effect, type FileSystem, Schema, type Scope } from "effect"
import * as Pilotctl from "../../examples/demo/Pilotctl.ts"
import * as Children from "../Children.ts"
import * as Network from "../Network.ts"
import * as Peer from "../peers/Peer.ts"
import type { Workload } from "../peers/Workload.ts"
import * as Path from "./Path.ts"

/** Who sends. `rival` is another node of ours. */
export type Sender = "ours" | "rival" | "tcp" | "hyperdht"

/** The path and a way to measure over it. */
export interface Stations extends Pick<Path.Path, "shape" | "tcpCongestionControl"> {
  /** A client process of its own; gives its single results. */
  readonly measure: (
    sender: Sender,
    workload: Workload
  ) => Effect.Effect<ReadonlyArray<number>, Children.ChildFailed | Schema.SchemaError>
}

/** The rendezvous and hyperdht's table are on the client's side, as if they were in its city. */
export const make: Effect.Effect<
  Stations,
  Children.ChildFailed | Pilotctl.CommandFailed | Schema.SchemaError | Effect.Error<ReturnType<typeof Network.make>>,
  Scope.Scope | FileSystem.FileSystem
> = Effect.gen(function* () {
  const network = yield* Network.make(SERVER)
  const path = yield* Path.make
  yield* rendezvous(path.client, network.rendezvous)

  const node = ({ options }: Network.Home, { address }: Path.Host): Peer.Speaker => ({
    kind: "ours",
    node: { ...options, registry: REGISTRY, beacon: BEACON, listen: `${address}:0` }
  })
  const bootstrap = yield* serve(path.client, { kind: "bootstrap", address: path.client.address })
  const speakers = (host: Path.Host) => ({
    tcp: { kind: "tcp", address: host.address } as const,
    hyperdht: { kind: "hyperdht", address: host.address, bootstrap } as const
  })
  const servers = { ours: node(network.server, path.server), ...speakers(path.server) }
  const contacts = yield* Effect.all({
    ours: serve(path.server, servers.ours),
    tcp: serve(path.server, servers.tcp),
    hyperdht: serve(path.server, servers.hyperdht)
  })
  const clients = {
    ours: node(network.client, path.client),
    rival: node(network.rival, path.client),
    ...speakers(path.client)
  }
  return {
    shape: path.shape,
    tcpCongestionControl: path.tcpCongestionControl,
    measure: (sender, workload) =>
      measured(path.client, {
        speaker: clients[sender],
        contact: contacts[sender === "rival" ? "ours" : sender],
        workload
      })
  }
})

const serve = (host: Path.Host, speaker: Peer.Speaker) =>
  Path.fork(host, Peer.PROGRAM, ["serve", JSON.stringify({ speaker } satisfies Peer.Options)]).pipe(
    Effect.flatMap(Children.message),
    Effect.flatMap(Schema.decodeUnknownEffect(Schema.String))
  )

const measured = (host: Path.Host, options: Peer.Options) =>
  Path.fork(host, Peer.PROGRAM, ["measure", JSON.stringify(options)]).pipe(
    Effect.flatMap(Children.message),
    Effect.flatMap(Schema.decodeUnknownEffect(Schema.Array(Schema.Number))),
    Effect.scoped
  )

/** The one that knows the nodes already, moved to a host of the path. */
const rendezvous = (host: Path.Host, home: string) =>
  Effect.acquireRelease(
    Effect.suspend(() => {
      Pilotctl.runSync(home, "rendezvous", "stop")
      const flags = ["--registry-addr", REGISTRY, "--beacon-addr", BEACON]
      return Children.run(
        [...host.enter, process.execPath, Pilotctl.PROGRAM, "rendezvous", "start", ...flags],
        Pilotctl.environment(home)
      )
    }),
    () => Effect.sync(() => Pilotctl.runSync(home, "rendezvous", "stop"))
  )

const SERVER = "bench-server"
const REGISTRY = "10.99.0.1:9000"
const BEACON = "10.99.0.1:9001"

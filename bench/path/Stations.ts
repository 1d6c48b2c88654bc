/** Everything that is measured between two hosts: our nodes, hyperdht and TCP, their servers running all the time. */
import { Effect, Schema } from "effect"
import * as Pilotctl from "../../examples/demo/Pilotctl.ts"
import * as Children from "../Children.ts"
import * as Network from "../Network.ts"
import * as Peer from "../peers/Peer.ts"
import type { Workload } from "../peers/Workload.ts"
import * as Path from "./Path.ts"

/** Who sends. `rival` is another node of ours. */
export type Sender = "ours" | "rival" | "tcp" | "hyperdht"

/** Ways to measure. */
export interface Stations {
  /** A client process of its own; gives its single results. */
  readonly measure: (
    sender: Sender,
    workload: Workload
  ) => Effect.Effect<ReadonlyArray<number>, Children.ChildFailed | Schema.SchemaError>
}

/** The rendezvous and hyperdht's table are on the client's side, as if they were in its city. */
export const make = Effect.fnUntraced(function* ({ client, server }: Path.Hosts, profiles?: Profiles) {
  const network = yield* Network.make(SERVER)
  const { beacon, registry } = yield* rendezvous(client, network.rendezvous)
  const node = ({ options }: Network.Home, { address }: Path.Host): Peer.Speaker => ({
    kind: "ours",
    node: { ...options, registry, beacon, listen: `${address}:0` }
  })
  const bootstrap = yield* serve(client, { speaker: { kind: "bootstrap", address: client.address } })
  const others = ({ address }: Path.Host) => ({
    tcp: { kind: "tcp", address } as const,
    hyperdht: { kind: "hyperdht", address, bootstrap } as const
  })
  const servers = { ours: node(network.server, server), ...others(server) }
  const contacts = yield* Effect.all({
    ours: serve(server, { speaker: servers.ours, ...profile(profiles?.server) }),
    tcp: serve(server, { speaker: servers.tcp }),
    hyperdht: serve(server, { speaker: servers.hyperdht })
  })
  const clients = { ours: node(network.client, client), rival: node(network.rival, client), ...others(client) }
  return {
    measure: (sender, workload) =>
      measured(client, {
        speaker: clients[sender],
        contact: contacts[sender === "rival" ? "ours" : sender],
        workload,
        ...profile(profiles?.client)
      })
  } satisfies Stations
})

/** Files to which our two ends write where their processors' time went. */
export interface Profiles {
  readonly client: string
  readonly server?: string
}

const profile = (path: string | undefined) => (path === undefined ? {} : { profile: path })

const serve = (host: Path.Host, options: Peer.Options) =>
  Path.fork(host, Peer.PROGRAM, ["serve", JSON.stringify(options)]).pipe(
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
export const rendezvous = (host: Path.Host, home: string) => {
  const [registry, beacon] = [`${host.address}:9000`, `${host.address}:9001`]
  const start = Effect.suspend(() => {
    Pilotctl.runSync(home, "rendezvous", "stop")
    const flags = ["--registry-addr", registry, "--beacon-addr", beacon]
    return Children.run(
      [...host.enter, process.execPath, Pilotctl.PROGRAM, "rendezvous", "start", ...flags],
      Pilotctl.environment(home)
    )
  })
  return Effect.as(
    Effect.acquireRelease(start, () => Effect.sync(() => Pilotctl.runSync(home, "rendezvous", "stop"))),
    { registry, beacon }
  )
}

const SERVER = "bench-server"

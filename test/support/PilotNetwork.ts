/** A Pilot network of real processes: one rendezvous, and as many daemons as a test starts. */
import { Effect, Schema, type Scope } from "effect"
import * as Pilotctl from "../../examples/demo/Pilotctl.ts"
import * as PilotProcesses from "./PilotProcesses.ts"

/** All of it lives in one temporary directory and ends with the scope. */
export interface PilotNetwork {
  readonly directory: string
  readonly card: Pilotctl.Card
  /** Where the rendezvous keeps its state. */
  readonly rendezvous: string
  /** The state directory of the node of that name, whether it runs or not. */
  readonly home: (name: string) => string
}

/** Starts the rendezvous. */
export const make: Effect.Effect<PilotNetwork, Pilotctl.CommandFailed, Scope.Scope> = Effect.gen(function* () {
  const directory = yield* PilotProcesses.directory
  const rendezvous = `${directory}/rendezvous`
  const card = yield* Pilotctl.startRendezvous(rendezvous, ...ANYWHERE)
  return { directory, card, rendezvous, home: (name) => `${directory}/${name}` }
})

/** Another rendezvous beside that of the network: what is started there ends with the network. */
export const elsewhere = Effect.fnUntraced(function* (
  network: PilotNetwork,
  ...flags: ReadonlyArray<string>
): Effect.fn.Return<PilotNetwork, Pilotctl.CommandFailed> {
  const rendezvous = `${network.directory}/elsewhere`
  return { ...network, rendezvous, card: yield* Pilotctl.startRendezvous(rendezvous, ...ANYWHERE, ...flags) }
})

/** What a daemon was started as. */
export interface Daemon {
  readonly home: string
  readonly name: string
  readonly node: number
  readonly address: string
  readonly fingerprint: string
  readonly pid: number
}

/** Starts a daemon of that name; flags given here win. */
export const startDaemon = Effect.fnUntraced(function* (
  network: PilotNetwork,
  name: string,
  ...flags: ReadonlyArray<string>
): Effect.fn.Return<Daemon, Pilotctl.CommandFailed> {
  const home = network.home(name)
  const started = yield* Pilotctl.run(home, "daemon", "start", ...flagsOf(network, name), ...flags)
  const { address, node_id: node, pid } = yield* decoded(Started, started)
  const { fingerprint } = yield* decoded(Info, yield* Pilotctl.run(home, "info"))
  return { home, name, node, address, pid, fingerprint }
})

/** What a daemon of that name is told about the network. */
export const flagsOf = ({ card }: PilotNetwork, name: string): ReadonlyArray<string> => [
  ...["--hostname", name, "--listen", "127.0.0.1:0"],
  ...["--registry", card.registry, "--registry-fingerprint", card.fingerprint, "--beacon", card.beacon]
]

/** Makes two nodes trust each other: one asks, the other approves, and both know it when this returns. */
export const trust = Effect.fnUntraced(function* (
  asking: Pick<Daemon, "home" | "node" | "fingerprint">,
  approving: Pick<Daemon, "home" | "node">
): Effect.fn.Return<void, Pilotctl.CommandFailed> {
  yield* Pilotctl.run(asking.home, "trust", "add", String(approving.node))
  yield* Pilotctl.awaitPending(approving.home, asking.node)
  yield* Pilotctl.run(approving.home, "approve", String(asking.node), "--fingerprint", asking.fingerprint)
  yield* PilotProcesses.until(
    Effect.map(Effect.flatMap(Pilotctl.run(asking.home, "trust", "list"), decodedAs(Trusted)), ({ trusted }) =>
      trusted.some(({ node_id }) => node_id === approving.node)
    )
  )
})

/** Starts two daemons that trust each other. */
export const startPair = Effect.fnUntraced(function* (network: PilotNetwork, asking: string, approving: string) {
  const [a, b] = yield* Effect.all([startDaemon(network, asking), startDaemon(network, approving)], { concurrency: 2 })
  yield* trust(a, b)
  return [a, b] as const
})

const decoded = <A>(schema: Schema.Codec<A, Schema.Json>, data: unknown): Effect.Effect<A> =>
  Effect.orDie(Schema.decodeUnknownEffect(schema)(data))

const decodedAs =
  <A>(schema: Schema.Codec<A, Schema.Json>) =>
  (data: unknown) =>
    decoded(schema, data)

const ANYWHERE = ["--registry-addr", "127.0.0.1:0", "--beacon-addr", "127.0.0.1:0"]
const Started = Schema.Struct({ address: Schema.String, node_id: Schema.Number, pid: Schema.Number })
const Info = Schema.Struct({ fingerprint: Schema.String })
const Trusted = Schema.Struct({ trusted: Schema.Array(Schema.Struct({ node_id: Schema.Number })) })

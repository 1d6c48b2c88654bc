/** A whole node in a simulation: the real actors, from its state directory to its streams, on simulated surroundings. */
import { Context, Deferred, Effect, Fiber, FileSystem, Layer, Path, Schema, type Scope } from "effect"
import { AddressResolver, Dns } from "effect/net"
import * as NodeConfig from "../actors/layers/NodeConfig.ts"
import type { NodeError } from "../actors/layers/NodeError.ts"
import * as NodeLayer from "../actors/layers/NodeLayer.ts"
import { CannotStart } from "../actors/mcp/server/Child.ts"
import { Memberships } from "../actors/membership/Memberships.ts"
import { Node, type NodeStatus } from "../actors/node/Node.ts"
import { PEERS_MAX } from "../actors/node/Peers.ts"
import { Tasks as NodeTasks } from "../actors/services/tasks/Tasks.ts"
import * as EventsService from "../api/EventsService.ts"
import { Events } from "../api/EventsService.ts"
import * as Files from "../api/Files.ts"
import * as HostInProcess from "../api/HostInProcess.ts"
import * as InProcess from "../api/InProcess.ts"
import { McpHost } from "../api/McpHost.ts"
import * as Messages from "../api/Messages.ts"
import type { NodeOptions } from "../api/Pilot.ts"
import { Pilot } from "../api/PilotService.ts"
import * as RemoteActors from "../api/RemoteActors.ts"
import { Tasks } from "../api/TasksService.ts"
import { Crypto } from "../core/crypto/Crypto.ts"
import { LanDiscovery } from "../core/net/LanDiscovery.ts"
import { TlsClient } from "../core/net/TlsClient.ts"
import { UdpEndpoint } from "../core/net/UdpEndpoint.ts"
import { PostError, WebhookPost } from "../core/net/WebhookPost.ts"
import { WebSocketClient } from "../core/net/WebSocketClient.ts"
import { Databases } from "../core/storage/Databases.ts"
import { DirectoryLock } from "../core/storage/DirectoryLock.ts"
import { defaultLimits } from "../protocol/stream/PortTable.ts"
import type * as Address from "../protocol/wire/Address.ts"
import * as LocalNode from "../protocol/wire/LocalNode.ts"
import type { SimRendezvous } from "./SimRendezvous.ts"
import * as SimWorld from "./SimWorld.ts"
import * as VirtualDatabases from "./VirtualDatabases.ts"
import * as VirtualFileSystem from "./VirtualFileSystem.ts"
import * as VirtualTls from "./VirtualTls.ts"
import * as VirtualUdp from "./VirtualUdp.ts"

/** What a program on a node can use. */
export type Services =
  | RemoteActors.Actors
  | Tasks
  | Events
  | Pilot
  | McpHost
  | Messages.Messages
  | Files.Files
  | NodeLayer.NodeServices
  | Crypto

/** Why a node did not start. */
export type StartError = NodeError | NodeConfig.ConfigError

/** A node, running or not. */
export interface SimNode {
  readonly name: string
  readonly machine: SimWorld.Machine
  /** Whether it has started, and not stopped since. */
  readonly isUp: () => boolean
  /**
   * Runs a program on this node: `Pilot` is the node's, time is its clock, chance is the seed's. When the node stops, the
   * program is interrupted. A node that does not run cannot run programs: a defect.
   */
  readonly run: <A, E, R>(program: Effect.Effect<A, E, R>) => Effect.Effect<A, E, Exclude<R, Services>>
}

/** A node with its parts, for the network that makes it. */
export interface Parts {
  readonly node: SimNode
  /** Fails as a daemon would fail to start. */
  readonly start: Effect.Effect<void, StartError>
}

/** What a node is told. */
export interface Settings {
  /** As `Pilot.layer` takes them. */
  readonly config?: NodeOptions
  /** A program that each start of the node starts, in the background. */
  readonly main?: Effect.Effect<unknown, unknown, Services>
  /**
   * The address families that it uses. By IPv4, which is what translators translate, unless told otherwise; with both it
   * reaches the rendezvous by IPv4.
   */
  readonly family?: "IPv4" | "IPv6" | "both"
  /** Where it registers; the network's first rendezvous unless told otherwise. */
  readonly rendezvous?: SimRendezvous
}

/** A node that is off. */
export const make = (machine: SimWorld.Machine, first: SimRendezvous, settings: Settings): Parts => {
  const { main, rendezvous = first } = settings
  const { world } = machine
  /** Those of one life; while the next one starts there are none. */
  let booted: { readonly life: SimWorld.Life; readonly services: Context.Context<Services> } | undefined
  const current = () => (booted !== undefined && booted.life === machine.life ? booted : undefined)
  const run: SimNode["run"] = (program) =>
    Effect.suspend(() => {
      const up = current()
      if (up === undefined) return Effect.die(world.problem(`${machine.name} does not run`))
      return world.driver.run(inLife(program, up.life), Context.merge(up.services, machine.services))
    })
  const node: SimNode = { name: machine.name, machine, isUp: () => current() !== undefined, run }
  world.addCheck(() => {
    const up = current()
    return up === undefined ? undefined : overLimit(machine.name, Effect.runSync(Context.get(up.services, Node).status))
  })
  const start = SimWorld.start(machine, (life) =>
    Effect.gen(function* () {
      const config = yield* Effect.fromResult(configuration(machine.name, rendezvous, settings))
      const services = yield* boot(machine, life, config)
      booted = { life, services }
      if (main !== undefined) yield* Effect.forkIn(Effect.provideContext(main, services), life.scope)
    }).pipe(Effect.provideContext(machine.services))
  )
  return { node, start: world.driver.run(start, machine.services) }
}

/** A program ends with the node, and with whoever waits for it. Of a node that is killed nobody hears anything more. */
const inLife = <A, E, R>(program: Effect.Effect<A, E, R>, life: SimWorld.Life): Effect.Effect<A, E, R> => {
  const killed = Effect.andThen(Deferred.await(life.killed), Effect.interrupt)
  const end = (fiber: Fiber.Fiber<A, E>) =>
    Effect.suspend(() =>
      Deferred.isDoneUnsafe(life.killed) ? Effect.sync(() => fiber.interruptUnsafe()) : Fiber.interrupt(fiber)
    )
  return Effect.uninterruptibleMask((restore) =>
    Effect.flatMap(Effect.forkIn(restore(program), life.scope, { startImmediately: true }), (fiber) =>
      Effect.onInterrupt(restore(Effect.raceFirst(Fiber.join(fiber), killed)), () => end(fiber))
    )
  )
}

const boot = Effect.fnUntraced(function* (
  machine: SimWorld.Machine,
  life: SimWorld.Life,
  config: NodeConfig.NodeConfig
): Effect.fn.Return<Context.Context<Services>, NodeError, Scope.Scope> {
  const { crypto, world } = machine
  const surroundings = yield* makeSurroundings(machine, life)
  const started = yield* Effect.provide(
    NodeLayer.start(config, (inner, memberships) =>
      world.ledger.watch(inner, namesOf(world, config.registry, inner, memberships))
    ),
    surroundings
  )
  const node = Context.get(started, Node)
  const names = namesOf(world, config.registry, node, Context.get(started, Memberships))
  const services = Context.add(started, Node, world.ledger.watch(node, names)).pipe(Context.add(Crypto, crypto))
  const pilot = yield* Effect.provideContext(InProcess.make, services)
  const start = () => new CannotStart({ detail: "a program exposes only servers of its own in the simulation" })
  const around = Context.merge(surroundings, Context.add(services, Pilot, pilot))
  const cardsPath = `${config.home}/mcp-cards.json`
  const host = yield* Effect.provide(HostInProcess.make({ start, cardsPath }), around)
  const events = yield* EventsService.make(pilot, crypto.randomBytes)
  const messages = yield* Effect.provideContext(Messages.make(config.home), around)
  const files = yield* Effect.provideContext(Files.make(config.home), around)
  const actors = yield* Effect.provideService(RemoteActors.make, Pilot, pilot)
  return Context.add(services, Pilot, pilot).pipe(
    Context.add(RemoteActors.Actors, actors),
    Context.add(McpHost, host),
    Context.add(Events, events),
    Context.add(Messages.Messages, messages),
    Context.add(Files.Files, files),
    Context.add(Tasks, Context.get(started, NodeTasks))
  )
})

/** Both ends as the registry calls them where they meet: several registries give the same ids. */
const namesOf =
  (world: SimWorld.SimWorld, home: string, node: Node["Service"], memberships: Memberships["Service"]) =>
  (remote: Address.Address): Effect.Effect<readonly [string, string]> => {
    const slot = LocalNode.slotOf(remote.node)
    const place = (registry: string, id: number) => `${world.registries.get(registry)}/${id}`
    if (slot === LocalNode.HOME_SLOT)
      return Effect.map(node.address, (self) => [place(home, self.node), place(home, remote.node)])
    return Effect.map(memberships.list, (all) => {
      const { registry = "", registryAddress } = all.find((one) => one.slot === slot) ?? {}
      return [place(registry, registryAddress?.node ?? 0), place(registry, LocalNode.registryIdOf(remote.node))]
    })
  }

const makeSurroundings = Effect.fnUntraced(function* (machine: SimWorld.Machine, life: SimWorld.Life) {
  const { crypto, disk, host, world } = machine
  const isRunning = () => machine.life === life
  const built = yield* Effect.orDie(Layer.build(Layer.merge(Path.layer, resolverLayer)))
  return built.pipe(
    Context.add(Crypto, crypto),
    Context.add(FileSystem.FileSystem, VirtualFileSystem.make(disk, isRunning)),
    Context.add(DirectoryLock, VirtualFileSystem.lock(disk, isRunning)),
    Context.add(Databases, VirtualDatabases.make(machine.databases, isRunning)),
    Context.add(UdpEndpoint, VirtualUdp.make(world.network, host, isRunning)),
    Context.add(WebhookPost, NO_WEBHOOK),
    Context.add(LanDiscovery, world.lan.of(host, isRunning)),
    Context.add(WebSocketClient, world.webSockets.client(host, isRunning)),
    Context.add(TlsClient, VirtualTls.client(world.tcp, host, isRunning))
  )
})

/** A checker: what a node holds must stay within its own limits, whatever the network does. */
export const overLimit = (
  name: string,
  { connections, peers }: Pick<NodeStatus, "connections" | "peers">
): string | undefined => {
  if (connections.length > defaultLimits.connectionsMax) return `${name} has ${connections.length} connections`
  return peers.length > PEERS_MAX ? `${name} has ${peers.length} peers` : undefined
}

/** There is no web in the simulation. */
const NO_WEBHOOK: WebhookPost["Service"] = {
  post: () => Effect.fail(new PostError({ reason: "NotConnected", detail: "the simulation has no web" }))
}

/** Simulated hosts are known by their addresses. */
const resolverLayer = AddressResolver.layer().pipe(Layer.provide(Dns.layerStatic({})))

const configuration = (name: string, rendezvous: SimRendezvous, { config, family = "IPv4" }: Settings) => {
  const isV6 = family === "IPv6"
  const values = Object.fromEntries(
    Object.entries({
      hostname: name,
      registry: rendezvous.registry(isV6),
      registryFingerprint: rendezvous.fingerprint,
      beacon: rendezvous.beacon(isV6),
      listen: LISTEN[family],
      ...config
    }).map(([key, value]) => [Schema.is(Key)(key) ? NodeConfig.flagOf(key) : key, value])
  )
  return NodeConfig.resolve([{ name: "options", values }], { home: HOME, socket: `${HOME}/pilot.sock` })
}

const Key = Schema.Literals(Object.keys(NodeConfig.NodeConfig.fields) as ReadonlyArray<NodeConfig.Key>)

/** The state directory of every simulated node. */
export const HOME = "/var/lib/pilot"
const LISTEN = { IPv4: "0.0.0.0:4000", IPv6: "[::]:4000", both: ":4000" } as const

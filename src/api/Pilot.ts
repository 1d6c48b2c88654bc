/**
 * The network half of an agent: who am I, who is there, open a stream, wait for streams, measure the way.
 *
 * The service is the same for a node in this process (`Pilot.layer`) and for a running daemon (`Pilot.layerDaemon`).
 */
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as NodePath from "@effect/platform-node/NodePath"
import { Effect, FileSystem, Layer, type Scope, Stream } from "effect"
import * as SocketPath from "../actors/ipc/SocketPath.ts"
import * as DaemonLayer from "../actors/layers/DaemonLayer.ts"
import * as NodeConfig from "../actors/layers/NodeConfig.ts"
import type { NodeError } from "../actors/layers/NodeError.ts"
import * as NodeLayer from "../actors/layers/NodeLayer.ts"
import * as StateDirectory from "../actors/layers/StateDirectory.ts"
import type { DialError, PingTimeout, PortInUse } from "../actors/node/Node.ts"
import { Tasks as NodeTasks } from "../actors/services/tasks/Tasks.ts"
import * as Provided from "../core/actor/Provided.ts"
import { Crypto } from "../core/crypto/Crypto.ts"
import * as NativeCrypto from "../core/crypto/NativeCrypto.ts"
import * as NodeLocalSocket from "../core/net/NodeLocalSocket.ts"
import * as FileLock from "../core/storage/FileLock.ts"
import type { Connection, Options as ConnectionOptions } from "./Connection.ts"
import * as Daemon from "./Daemon.ts"
import * as Environment from "./Environment.ts"
import * as EventsService from "./EventsService.ts"
import { Events } from "./EventsService.ts"
import * as Files from "./Files.ts"
import * as HostDaemon from "./HostDaemon.ts"
import * as HostPrograms from "./HostPrograms.ts"
import * as InProcess from "./InProcess.ts"
import { McpHost } from "./McpHost.ts"
import * as McpMounts from "./McpMounts.ts"
import * as Messages from "./Messages.ts"
import { type DialOptions, type Info, type Peer, Pilot, type PilotError, type Ping } from "./PilotService.ts"
import * as RemoteActors from "./RemoteActors.ts"
import { overDaemon, Tasks } from "./TasksService.ts"
import * as TrustOperations from "./TrustOperations.ts"
import * as TrustService from "./TrustService.ts"
import type { Why } from "./Why.ts"

export type { NodeError } from "../actors/layers/NodeError.ts"
export { ConnectionReset, DialError, PingTimeout, PortInUse } from "../actors/node/Node.ts"
export type { Access } from "./Access.ts"
export { NoSuchActor, ProtocolMismatch } from "./ActorsProtocol.ts"
export { Caller, caller } from "./Caller.ts"
export type { Connection, Options as ConnectionOptions } from "./Connection.ts"
export { fetch } from "./Fetch.ts"
export { httpClient, httpServer } from "./Http.ts"
export { type DialOptions, type Info, type Peer, Pilot, PilotError, type Ping } from "./PilotService.ts"
export {
  Actors,
  actor,
  NameTaken,
  PeerUnreachable,
  type RegisterOptions,
  type RemoteError,
  type RemoteRef,
  register
} from "./RemoteActors.ts"
export {
  IdentifiesCaller,
  identifiesCaller,
  type RpcClientOptions,
  type RpcServerOptions,
  rpcClient,
  rpcServer
} from "./Rpc.ts"
export { type ServerError, type ServerOptions, socket, socketServer } from "./VirtualSocket.ts"
export type { Why, WhyCandidate } from "./Why.ts"

/** What a node offers to programs. */
export type Services =
  | Events
  | Pilot
  | McpHost
  | Messages.Messages
  | Files.Files
  | RemoteActors.Actors
  | Tasks
  | TrustService.Trust

/**
 * How a node in this process differs from the defaults; the names and texts are those of `pilotctl daemon start`. Each of
 * `rendezvous` is a further one to be registered with, `[ALIAS=]HOST:PORT[/BEACON-HOST:PORT][#FINGERPRINT]`.
 */
export type NodeOptions = { readonly [Key in Exclude<NodeConfig.Key, "rendezvous">]?: string | boolean } & {
  readonly rendezvous?: string | ReadonlyArray<string>
}

/**
 * A node in this process, with the state directory and the configuration that a daemon would have. It is registered
 * when the layer is built, and leaves when its scope ends. Two nodes never share a state directory.
 */
export const layer = (options: NodeOptions = {}): Layer.Layer<Services, NodeError | NodeConfig.ConfigError> =>
  Layer.unwrap(
    Effect.map(configuration(options), (config) =>
      Layer.mergeAll(
        events,
        RemoteActors.layer,
        Layer.effect(Tasks, NodeTasks),
        Layer.effect(
          TrustService.Trust,
          Effect.gen(function* () {
            const surroundings = yield* Provided.services<DaemonLayer.RendezvousNeeds>()
            const place = Effect.provideContext(DaemonLayer.rendezvousOf(config), surroundings)
            return yield* TrustService.make(yield* TrustOperations.inProcess(place))
          })
        ),
        HostPrograms.layer(config.home),
        McpMounts.layer(config.home).pipe(Layer.provide(NodeLocalSocket.layer)),
        Messages.layer(config.home),
        Files.layer(config.home)
      ).pipe(
        Layer.provideMerge(Layer.effect(Pilot, InProcess.make)),
        Layer.provide(NodeLayer.layer(config)),
        Layer.provide(DaemonLayer.surroundings)
      )
    )
  )

/** A running daemon of this user. Nothing is started. */
export const layerDaemon = (options: Daemon.Options = {}): Layer.Layer<Services, PilotError> =>
  Layer.unwrap(
    Effect.map(Daemon.places(options), ({ home }) =>
      Layer.mergeAll(
        events,
        RemoteActors.layer,
        daemonTasks(options),
        Layer.effect(
          TrustService.Trust,
          Effect.flatMap(Daemon.client(options), (client) => TrustService.make(TrustOperations.overDaemon(client)))
        ),
        Layer.effect(McpHost, HostDaemon.make(options)),
        McpMounts.layer(home),
        Messages.layer(home),
        Files.layer(home)
      )
    )
  ).pipe(
    Layer.provideMerge(Layer.effect(Pilot, Daemon.make(options))),
    Layer.provide(
      Layer.mergeAll(NodeLocalSocket.layer, NodeFileSystem.layer, NodePath.layer, NativeCrypto.layer, FileLock.layer)
    )
  )

const daemonTasks = (options: Daemon.Options) =>
  Layer.effect(
    Tasks,
    Effect.gen(function* () {
      return overDaemon(yield* Daemon.client(options), yield* FileSystem.FileSystem)
    })
  )

/** Events go through streams, whoever runs the node. */
const events = Layer.effect(
  Events,
  Effect.gen(function* () {
    const { randomBytes } = yield* Crypto
    return yield* EventsService.make(yield* Pilot, randomBytes)
  })
)

/** See `Pilot`. */
export const info: Effect.Effect<Info, PilotError, Pilot> = Effect.flatMap(Pilot, (pilot) => pilot.info)

/** See `Pilot`. */
export const resolve = (target: string): Effect.Effect<Peer, DialError | PilotError, Pilot> =>
  Effect.flatMap(Pilot, (pilot) => pilot.resolve(target))

/** See `Pilot`. */
export const dial = (
  target: string,
  port: number,
  options?: DialOptions
): Effect.Effect<Connection, DialError | PilotError, Pilot | Scope.Scope> =>
  Effect.flatMap(Pilot, (pilot) => pilot.dial(target, port, options))

/** See `Pilot`. */
export const listen = (
  port: number,
  options?: ConnectionOptions
): Stream.Stream<Connection, PortInUse | PilotError, Pilot> =>
  Stream.unwrap(Effect.map(Pilot, (pilot) => pilot.listen(port, options)))

/** See `Pilot`. */
export const ping = (
  target: string,
  options?: { readonly timeoutMs?: number }
): Effect.Effect<Ping, DialError | PingTimeout | PilotError, Pilot> =>
  Effect.flatMap(Pilot, (pilot) => pilot.ping(target, options))

/** See `Pilot`. */
export const why = (target: string): Effect.Effect<Why, DialError | PilotError, Pilot> =>
  Effect.flatMap(Pilot, (pilot) => pilot.why(target))

const configuration = Effect.fnUntraced(function* (options: NodeOptions) {
  const variables = yield* Environment.read
  const { home, isExplicit } = StateDirectory.resolve({
    variables: typeof options.home === "string" ? { PILOT_HOME: options.home } : { ...variables },
    homeDirectory: variables.HOME ?? "."
  })
  const values = Object.fromEntries(
    Object.entries(options).map(([key, value]) => [NodeConfig.flagOf(key as NodeConfig.Key), value])
  )
  return yield* Effect.fromResult(
    NodeConfig.resolve([{ name: "options", values }, NodeConfig.environment({ ...variables })], {
      home,
      socket: SocketPath.listening({ variables: {}, home, isHomeExplicit: isExplicit, configured: undefined })
    })
  )
})

/** A node behind its local socket: what `pilotctl daemon start` runs (architecture, decision 8). */
import * as NodeAddressResolver from "@effect/platform-node/NodeAddressResolver"
import * as NodeDns from "@effect/platform-node/NodeDns"
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as NodePath from "@effect/platform-node/NodePath"
import { Context, Effect, Layer, Option, type Scope } from "effect"
import type { Crypto } from "../../core/crypto/Crypto.ts"
import * as NativeCrypto from "../../core/crypto/NativeCrypto.ts"
import type { JsonObject } from "../../core/data/Json.ts"
import { Gateway } from "../../core/net/Gateway.ts"
import { LocalSocket, type LocalSocketError } from "../../core/net/LocalSocket.ts"
import * as NodeGateway from "../../core/net/NodeGateway.ts"
import * as NodeLanDiscovery from "../../core/net/NodeLanDiscovery.ts"
import * as NodeLocalSocket from "../../core/net/NodeLocalSocket.ts"
import * as NodeRouterHttp from "../../core/net/NodeRouterHttp.ts"
import * as NodeTlsClient from "../../core/net/NodeTlsClient.ts"
import * as NodeUdpEndpoint from "../../core/net/NodeUdpEndpoint.ts"
import * as NodeWebhookPost from "../../core/net/NodeWebhookPost.ts"
import * as NodeWebSocketClient from "../../core/net/NodeWebSocketClient.ts"
import { RouterHttp } from "../../core/net/RouterHttp.ts"
import * as Databases from "../../core/storage/Databases.ts"
import * as FileLock from "../../core/storage/FileLock.ts"
import { OwnKeys } from "../identity/OwnKeys.ts"
import * as IpcServerActor from "../ipc/IpcServerActor.ts"
import * as SocketPath from "../ipc/SocketPath.ts"
import { Memberships } from "../membership/Memberships.ts"
import { NatMemory } from "../node/NatMemory.ts"
import * as PolicyCommands from "../policy/PolicyCommands.ts"
import { Broker } from "../pubsub/Broker.ts"
import { Tasks } from "../services/tasks/Tasks.ts"
import { Webhooks } from "../webhook/Webhooks.ts"
import * as NatMemoryFile from "./NatMemoryFile.ts"
import type { NodeConfig } from "./NodeConfig.ts"
import { NodeError } from "./NodeError.ts"
import * as NodeLayer from "./NodeLayer.ts"
import { NodeRules } from "./PolicyLayer.ts"
import * as RegistryPinsFile from "./RegistryPinsFile.ts"

/** What a running daemon gives to its process. */
export type DaemonServices = NodeLayer.NodeServices | Crypto

/** What a node needs of the operating system. */
export const surroundings: Layer.Layer<NodeLayer.Surroundings> = Layer.mergeAll(
  NativeCrypto.layer,
  NodeFileSystem.layer,
  NodePath.layer,
  Databases.layer,
  FileLock.layer,
  NodeUdpEndpoint.layer,
  NodeLanDiscovery.layer,
  NodeTlsClient.layer,
  NodeWebhookPost.layer,
  NodeWebSocketClient.layer,
  NodeAddressResolver.layer.pipe(Layer.provide(NodeDns.layer))
)

/**
 * Starts a daemon in the surrounding scope; its socket answers when this returns. Ending the scope ends its streams with
 * FIN, leaves the registry, and removes the socket.
 */
export const start = Effect.fn("DaemonLayer.start")(function* (
  config: NodeConfig,
  version: string
): Effect.fn.Return<Context.Context<DaemonServices>, NodeError, Scope.Scope> {
  const needs = yield* Layer.build(Layer.merge(surroundings, NodeLocalSocket.layer))
  const paths = config.compatSocket ? [config.socket, SocketPath.COMPATIBLE] : [config.socket]
  // Before the node registers anywhere: one whose door cannot be opened would be of no use.
  const local = Context.get(needs, LocalSocket)
  const servers = yield* Effect.mapError(Effect.forEach(paths, local.listen), socketUnusable)
  const memory = yield* Effect.provide(NatMemoryFile.make(`${config.home}/nat.json`), needs)
  const node = yield* NodeLayer.start(config).pipe(
    Effect.provideService(NatMemory, memory),
    Effect.provideService(Gateway, Effect.provide(NodeGateway.find, needs)),
    Effect.provideService(RouterHttp, NodeRouterHttp.ask),
    Effect.provide(needs)
  )
  const services = Context.merge(node, needs)
  yield* Effect.forEach(
    servers,
    (server) =>
      IpcServerActor.serve(server, {
        version,
        beacon: config.beacon,
        rendezvous: Effect.provide(rendezvousOf(config), needs),
        ...facesOf(node)
      }).pipe(Effect.provide(services)),
    { discard: true }
  )
  return services
})

/** Where a node is registered, for its invitations. A pin from the first use is in the file by the time anybody asks. */
export const rendezvousOf = Effect.fnUntraced(function* (config: NodeConfig) {
  const { beacon, registry } = config
  if (config.registryPlaintext) return { registry, beacon, fingerprint: "" }
  if (config.registryFingerprint !== undefined) return { registry, beacon, fingerprint: config.registryFingerprint }
  const pins = yield* Effect.option(RegistryPinsFile.make(`${config.home}/registry-pins.json`))
  const fingerprint = Option.isNone(pins) ? undefined : yield* pins.value.read(registry)
  return { registry, beacon, fingerprint }
})

/** What `rendezvousOf` stands on. */
export type RendezvousNeeds = Effect.Services<ReturnType<typeof rendezvousOf>>

const facesOf = (node: Context.Context<NodeLayer.NodeServices>) => ({
  broker: Context.get(node, Broker),
  tasks: Context.get(node, Tasks),
  ownKeys: Context.get(node, OwnKeys),
  webhooks: Context.get(node, Webhooks),
  memberships: Context.get(node, Memberships),
  rules: (op: string, value: JsonObject) => PolicyCommands.perform(Context.get(node, NodeRules), op, value)
})

const socketUnusable = (error: LocalSocketError): NodeError => {
  const detail = `socket ${error.path}: ${error.detail}`
  switch (error.reason) {
    case "AlreadyServed":
      return new NodeError({
        reason: "AlreadyRunning",
        detail: `daemon is already running (socket ${error.path} is active)`,
        hint: "stop it first with: pilotctl daemon stop"
      })
    case "PathTooLong":
      return new NodeError({
        reason: "SocketUnusable",
        detail,
        hint: "choose a shorter path with --socket or PILOT_HOME"
      })
    case "DirectoryUnusable":
    case "PermissionDenied":
    case "WrongOwner":
      return new NodeError({
        reason: "SocketUnusable",
        detail,
        hint: "its directory must be writable and yours alone; choose another path with --socket or PILOT_HOME"
      })
    default:
      return new NodeError({ reason: "SocketUnusable", detail, hint: "choose another path with --socket" })
  }
}

/**
 * Wires one node from its configuration: state directory, identity, pins, registry, sockets, trust, echo. The only place
 * that knows all of them. Whatever keeps it from starting is a `NodeError` that says what to do.
 */
import { Context, Effect, type FileSystem, Layer, type Path, type Scope } from "effect"
import type { AddressResolver } from "effect/net"
import type { Crypto } from "../../core/crypto/Crypto.ts"
import type { LanDiscovery } from "../../core/net/LanDiscovery.ts"
import type { TlsClient } from "../../core/net/TlsClient.ts"
import type { UdpEndpoint } from "../../core/net/UdpEndpoint.ts"
import type { WebhookPost } from "../../core/net/WebhookPost.ts"
import type { WebSocketClient } from "../../core/net/WebSocketClient.ts"
import type { Databases } from "../../core/storage/Databases.ts"
import { DirectoryLock } from "../../core/storage/DirectoryLock.ts"
import * as PrivateDirectory from "../../core/storage/PrivateDirectory.ts"
import type { ProtocolEvent } from "../../protocol/ProtocolEvent.ts"
import { AuditTrail } from "../audit/AuditTrail.ts"
import { OwnKeys } from "../identity/OwnKeys.ts"
import * as MemberKeys from "../membership/MemberKeys.ts"
import * as MemberNodes from "../membership/MemberNodes.ts"
import * as MemberRegistries from "../membership/MemberRegistries.ts"
import { Memberships } from "../membership/Memberships.ts"
import * as MemberTrusts from "../membership/MemberTrusts.ts"
import { Node } from "../node/Node.ts"
import { PolicyGuard } from "../policy/PolicyGuard.ts"
import type { Broker } from "../pubsub/Broker.ts"
import { RegistryClient } from "../registry/RegistryClient.ts"
import * as DataExchange from "../services/DataExchange.ts"
import * as Echo from "../services/Echo.ts"
import { Tasks } from "../services/tasks/Tasks.ts"
import { PeerKeys } from "../trust/PeerKeys.ts"
import { Trust } from "../trust/Trust.ts"
import { Webhooks } from "../webhook/Webhooks.ts"
import * as BrokerLayer from "./BrokerLayer.ts"
import * as EventLog from "./EventLog.ts"
import * as IdentityLayer from "./IdentityLayer.ts"
import * as MembershipLayer from "./MembershipLayer.ts"
import type { NodeConfig } from "./NodeConfig.ts"
import { NodeError } from "./NodeError.ts"
import * as NodeFailure from "./NodeFailure.ts"
import * as NodeStatusAbsent from "./NodeStatusAbsent.ts"
import * as PolicyLayer from "./PolicyLayer.ts"
import { NodeRules } from "./PolicyLayer.ts"
import * as TaskLayer from "./TaskLayer.ts"
import * as WebhookLayer from "./WebhookLayer.ts"

/** What a running node offers to whoever wired it. */
export type NodeServices =
  | Broker
  | Memberships
  | Node
  | NodeRules
  | OwnKeys
  | Tasks
  | Trust
  | PeerKeys
  | RegistryClient
  | Webhooks

/** What the surroundings must bring: real ones in a daemon, virtual ones in the simulator. */
export type Surroundings =
  | Crypto
  | Databases
  | DirectoryLock
  | FileSystem.FileSystem
  | LanDiscovery
  | AddressResolver.AddressResolver
  | Path.Path
  | TlsClient
  | UdpEndpoint
  | WebhookPost
  | WebSocketClient

/** A node for as long as the layer lives. */
export const layer = (config: NodeConfig): Layer.Layer<NodeServices, NodeError, Surroundings> =>
  Layer.effectContext(start(config))

/** Starts a node in the surrounding scope. `watch` stands between the node and the services that carry what users write: a simulation's checker. */
export const start = Effect.fn("NodeLayer.start")(function* (
  config: NodeConfig,
  watch: (node: Node["Service"], memberships: Memberships["Service"]) => Node["Service"] = (node) => node
): Effect.fn.Return<Context.Context<NodeServices>, NodeError, Scope.Scope | Surroundings> {
  yield* prepareHome(config.home)
  const own = yield* IdentityLayer.load(config.identity)
  const logged = yield* EventLog.make
  const webhook = yield* WebhookLayer.start(config)
  let keys: PeerKeys["Service"] | undefined
  const rules = yield* PolicyLayer.start(
    config.home,
    own.key,
    PolicyLayer.late(() => keys),
    (event) => {
      logged(event)
      webhook.report(event)
    }
  )
  const { report } = rules
  return yield* Effect.gen(function* () {
    const { doors, memberships, roster } = yield* MembershipLayer.start(config, own, report)
    keys = MemberKeys.make(roster)
    const absent = () => NodeStatusAbsent.make(config, own.key.publicKey)
    const node = MemberNodes.make(roster, doors, absent)
    const trust = MemberTrusts.make(roster)
    const ownKeys = yield* IdentityLayer.start(own, roster, report)
    const services = Context.make(PeerKeys, keys).pipe(
      Context.add(RegistryClient, MemberRegistries.make(roster)),
      Context.add(Trust, trust),
      Context.add(Memberships, memberships),
      Context.add(Node, node),
      Context.add(OwnKeys, ownKeys),
      Context.add(NodeRules, rules),
      Context.add(PolicyGuard, rules.policy.guard)
    )
    yield* PolicyLayer.enforce(rules, trust, node)
    const carrying = Context.add(services, Node, watch(node, memberships))
    if (!config.noEcho) yield* Echo.spawn.pipe(Effect.provide(services), Effect.mapError(NodeFailure.portTaken))
    if (!config.noDataexchange) yield* startExchange(config, report).pipe(Effect.provide(carrying))
    const broker = yield* BrokerLayer.start(config, report).pipe(Effect.provide(carrying))
    const tasks = yield* TaskLayer.start(config).pipe(Effect.provide(carrying))
    return Context.merge(services, broker).pipe(Context.add(Tasks, tasks), Context.add(Webhooks, webhook.webhooks))
  }).pipe(Effect.provideService(PolicyGuard, rules.policy.guard), Effect.provideService(AuditTrail, rules.audit))
})

/** The directory is ours alone, and this process is the only one to use it. */
const prepareHome = Effect.fnUntraced(function* (home: string) {
  const unusable = (detail: string) => NodeFailure.stateUnusable(home, detail)
  yield* Effect.mapError(PrivateDirectory.make(home), (error) => unusable(error.message))
  const { acquire } = yield* DirectoryLock
  yield* Effect.mapError(acquire(home), (error) =>
    error.reason === "Held"
      ? new NodeError({
          reason: "AlreadyRunning",
          detail: `a daemon already uses ${home}${error.holder === undefined ? "" : ` (pid ${error.holder})`}`,
          hint: "stop it first with: pilotctl daemon stop"
        })
      : unusable(error.detail)
  )
})

const startExchange = (config: NodeConfig, report: Report) =>
  DataExchange.spawn({ home: config.home, receivedBytesMax: config.receivedQuota * BYTES_PER_MIB, report }).pipe(
    Effect.mapError((error) =>
      error._tag === "PortInUse" ? NodeFailure.portTaken(error) : NodeFailure.stateUnusable(config.home, error.message)
    )
  )

const BYTES_PER_MIB = 1_048_576

type Report = (event: ProtocolEvent) => void

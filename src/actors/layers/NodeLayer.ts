/**
 * Wires one node from its configuration: state directory, identity, pins, registry, sockets, trust, echo. The only place
 * that knows all of them. Whatever keeps it from starting is a `NodeError` that says what to do.
 */
import { Context, Duration, Effect, type FileSystem, Layer, type Path, PubSub, type Scope } from "effect"
import type { AddressResolver } from "effect/net"
import * as MonotonicTime from "../../core/actor/MonotonicTime.ts"
import { Crypto, type SigningKey } from "../../core/crypto/Crypto.ts"
import * as IdentityFile from "../../core/crypto/IdentityFile.ts"
import * as Bytes from "../../core/data/Bytes.ts"
import type { TlsClient } from "../../core/net/TlsClient.ts"
import type { UdpEndpoint } from "../../core/net/UdpEndpoint.ts"
import type { WebhookPost } from "../../core/net/WebhookPost.ts"
import type { Databases } from "../../core/storage/Databases.ts"
import { DirectoryLock } from "../../core/storage/DirectoryLock.ts"
import * as PrivateDirectory from "../../core/storage/PrivateDirectory.ts"
import type { ProtocolEvent } from "../../protocol/ProtocolEvent.ts"
import { defaultLimits, PortTable } from "../../protocol/stream/PortTable.ts"
import * as StreamConfig from "../../protocol/stream/StreamConfig.ts"
import * as Identity from "../../protocol/trust/Identity.ts"
import * as TunnelConfig from "../../protocol/tunnel/TunnelConfig.ts"
import { Node } from "../node/Node.ts"
import type { NodeEvent } from "../node/NodeEvent.ts"
import * as NodeSupervisor from "../node/NodeSupervisor.ts"
import type { Broker } from "../pubsub/Broker.ts"
import { RegistryClient, type RegistryError } from "../registry/RegistryClient.ts"
import * as RegistryClientActor from "../registry/RegistryClientActor.ts"
import * as DataExchange from "../services/DataExchange.ts"
import * as Echo from "../services/Echo.ts"
import { PeerKeys } from "../trust/PeerKeys.ts"
import * as PeerKeysStore from "../trust/PeerKeysStore.ts"
import { Trust } from "../trust/Trust.ts"
import * as TrustStoreFile from "../trust/TrustStoreFile.ts"
import * as TrustSupervisor from "../trust/TrustSupervisor.ts"
import { Webhooks } from "../webhook/Webhooks.ts"
import * as BrokerLayer from "./BrokerLayer.ts"
import * as EventLog from "./EventLog.ts"
import * as HostAddress from "./HostAddress.ts"
import type { NodeConfig } from "./NodeConfig.ts"
import { NodeError } from "./NodeError.ts"
import * as RegistryPinsFile from "./RegistryPinsFile.ts"
import * as WebhookLayer from "./WebhookLayer.ts"

/** What a running node offers to whoever wired it. */
export type NodeServices = Broker | Node | Trust | PeerKeys | RegistryClient | Webhooks

/** What the surroundings must bring: real ones in a daemon, virtual ones in the simulator. */
export type Surroundings =
  | Crypto
  | Databases
  | DirectoryLock
  | FileSystem.FileSystem
  | AddressResolver.AddressResolver
  | Path.Path
  | TlsClient
  | UdpEndpoint
  | WebhookPost

/** A node for as long as the layer lives. */
export const layer = (config: NodeConfig): Layer.Layer<NodeServices, NodeError, Surroundings> =>
  Layer.effectContext(start(config))

/** Starts a node in the surrounding scope. `watch` stands between the node and the services that carry what users write: a simulation's checker. */
export const start = Effect.fn("NodeLayer.start")(function* (
  config: NodeConfig,
  watch: (node: Node["Service"]) => Node["Service"] = (node) => node
): Effect.fn.Return<Context.Context<NodeServices>, NodeError, Scope.Scope | Surroundings> {
  yield* prepareHome(config.home)
  const identity = yield* loadIdentity(config)
  const keys = yield* buildKeys(config)
  const registry = yield* buildRegistry(config, identity)
  const dependencies = Context.make(PeerKeys, keys).pipe(Context.add(RegistryClient, registry))
  const logged = yield* EventLog.make
  const webhook = yield* WebhookLayer.start(config)
  const report: Report = (event) => {
    logged(event)
    webhook.report(event)
  }
  const running = yield* startNode(config, identity, report).pipe(Effect.provide(dependencies))
  const services = Context.add(dependencies, Node, running.node)
  const trust = yield* startTrust(config, identity, report).pipe(Effect.provide(services))
  yield* follow(running.events, trust)
  if (!config.noEcho) yield* Echo.spawn.pipe(Effect.provide(services), Effect.mapError(portTaken))
  if (!config.noDataexchange)
    yield* startExchange(config, report).pipe(Effect.provide(Context.add(services, Node, watch(running.node))))
  const broker = yield* BrokerLayer.start(config, report).pipe(
    Effect.provide(Context.add(services, Node, watch(running.node)))
  )
  return Context.add(services, Trust, trust.trust).pipe(Context.merge(broker), Context.add(Webhooks, webhook.webhooks))
})

/** The directory is ours alone, and this process is the only one to use it. */
const prepareHome = Effect.fnUntraced(function* (home: string) {
  const unusable = (detail: string) => stateUnusable(home, detail)
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

const stateUnusable = (home: string, detail: string) =>
  new NodeError({
    reason: "StateUnusable",
    detail: `cannot use the state directory ${home}: ${detail}`,
    hint: "choose another one with PILOT_HOME, or make this one writable"
  })

const loadIdentity = (config: NodeConfig) =>
  Effect.mapError(
    Effect.map(IdentityFile.loadOrCreate(config.identity, Identity), (loaded) => loaded.key),
    (error) =>
      new NodeError({
        reason:
          error.reason === "PassphraseNeeded" || error.reason === "WrongPassphrase"
            ? "IdentityLocked"
            : "IdentityUnusable",
        detail: `cannot use ${config.identity}: ${error.detail}`,
        hint:
          IDENTITY_HINTS[error.reason]?.(config.identity) ??
          `restore ${config.identity} from a backup, or move it away to start as a new node`
      })
  )

const buildKeys = (config: NodeConfig) =>
  Effect.map(Layer.build(PeerKeysStore.layer(`${config.home}/pins.json`)), Context.get(PeerKeys)).pipe(
    Effect.mapError((error) => trustUnusable(error.path, error.detail))
  )

const buildRegistry = Effect.fnUntraced(function* (config: NodeConfig, key: SigningKey) {
  const { host, port } = HostAddress.split(config.registry)
  const security = config.registryPlaintext
    ? { _tag: "Plaintext" as const }
    : config.registryFingerprint !== undefined
      ? { _tag: "Pinned" as const, fingerprint: config.registryFingerprint }
      : { _tag: "FirstUse" as const, pins: yield* RegistryPinsFile.make(`${config.home}/registry-pins.json`) }
  return yield* RegistryClientActor.make({ host, port, security, key })
})

const startNode = Effect.fnUntraced(function* (config: NodeConfig, identity: SigningKey, report: Report) {
  const nowMs = yield* MonotonicTime.nowMs
  const crypto = yield* Crypto
  const beacon = yield* HostAddress.resolve(config.beacon)
  const listen = yield* HostAddress.resolve(config.listen.startsWith(":") ? `0.0.0.0${config.listen}` : config.listen)
  const endpoint = config.endpoint === undefined ? undefined : yield* HostAddress.resolve(config.endpoint)
  return yield* NodeSupervisor.start({
    identity,
    identityPersisted: true,
    encrypt: config.encrypt,
    listen,
    beacon,
    endpoint,
    owner: config.owner,
    hostname: config.hostname,
    isPublic: config.public,
    keepaliveMs: Duration.toMillis(config.keepalive),
    stream: StreamConfig.make({
      // What is written within one turn travels together anyway, and a request must not wait for an acknowledgement.
      noDelay: true,
      keepaliveMs: Duration.toMillis(config.keepalive),
      idleMs: Duration.toMillis(config.idleTimeout),
      timeWaitMs: Duration.toMillis(config.timeWait)
    }),
    tunnel: TunnelConfig.defaultConfig,
    ports: new PortTable(
      {
        ...defaultLimits,
        connectionsMax: config.maxConnsTotal,
        connectionsPerPortMax: config.maxConnsPerPort,
        synRate: config.synRateLimit
      },
      nowMs,
      Bytes.readU16(crypto.randomBytes(2), 0)
    ),
    report
  }).pipe(
    Effect.mapError((error) => (error._tag === "BindError" ? listenFailed(error) : registryFailed(config, error)))
  )
})

const startTrust = Effect.fnUntraced(function* (config: NodeConfig, identity: SigningKey, report: Report) {
  const path = `${config.identity.slice(0, config.identity.lastIndexOf("/"))}/trust.json`
  const store = yield* TrustStoreFile.make(path)
  return yield* TrustSupervisor.start({ identity, store, report }).pipe(
    Effect.mapError((error) => (error._tag === "PortInUse" ? portTaken(error) : trustUnusable(path, error.detail)))
  )
})

const startExchange = (config: NodeConfig, report: Report) =>
  DataExchange.spawn({ home: config.home, receivedBytesMax: config.receivedQuota * BYTES_PER_MIB, report }).pipe(
    Effect.mapError((error) =>
      error._tag === "PortInUse" ? portTaken(error) : stateUnusable(config.home, error.message)
    )
  )

/** A heartbeat is the occasion to poll; a new registration may have lost what was reported (rendezvous §9.2–9.3). */
const follow = Effect.fnUntraced(function* (events: PubSub.PubSub<NodeEvent>, trust: TrustSupervisor.Running) {
  const subscription = yield* PubSub.subscribe(events)
  yield* PubSub.take(subscription).pipe(
    Effect.flatMap((event) => (event._tag === "HeartbeatAnswered" ? trust.trust.poll : trust.reregistered)),
    Effect.forever,
    Effect.forkScoped
  )
})

const listenFailed = (error: {
  readonly reason: string
  readonly host: string
  readonly port: number
  readonly detail: string
}) =>
  new NodeError({
    reason: error.reason === "PortInUse" ? "PortInUse" : "ListenFailed",
    detail: `cannot listen on UDP ${error.host}:${error.port}: ${error.detail}`,
    hint: "choose another address with --listen, or :0 for a free port"
  })

const registryFailed = ({ registry }: NodeConfig, error: RegistryError): NodeError => {
  const detail = `registry ${registry}: ${error.detail}`
  switch (error.reason) {
    case "PinMismatch":
      return new NodeError({
        reason: "RegistryPinMismatch",
        detail,
        hint: "this is not the registry you pinned; compare with what `pilotctl rendezvous status` prints on its host"
      })
    case "NoTls":
      return new NodeError({
        reason: "RegistryNoTls",
        detail,
        hint: "a registry of the reference speaks plain TCP only; if it is one, say so with --registry-plaintext"
      })
    case "Unavailable":
    case "Timeout":
      return new NodeError({
        reason: "RegistryUnavailable",
        detail: `cannot reach registry at ${registry}: ${error.detail}`,
        hint: "start one with: pilotctl rendezvous start, or name another with --registry HOST:PORT"
      })
    default:
      return new NodeError({ reason: "RegistryRefused", detail, hint: "the registry's log says why" })
  }
}

const trustUnusable = (path: string, detail: string) =>
  new NodeError({
    reason: "TrustUnusable",
    detail: `cannot use ${path}: ${detail}`,
    hint: "restore it from a backup; moving it away forgets whom this node trusts"
  })

const portTaken = (error: { readonly port: number }) =>
  new NodeError({
    reason: "PortInUse",
    detail: `virtual port ${error.port} is taken`,
    hint: "this is a bug: report it"
  })

const BYTES_PER_MIB = 1_048_576

type Report = (event: ProtocolEvent) => void

/** Where the key itself is as good as it was. */
const IDENTITY_HINTS: Readonly<Partial<Record<IdentityFile.IdentityError["reason"], (path: string) => string>>> = {
  TooOpen: (path) => `if nobody has copied it: chmod 600 ${path}`,
  PassphraseNeeded: () =>
    "give it by --passphrase-file FILE, PILOT_PASSPHRASE, a systemd credential pilot-passphrase, or on a terminal",
  WrongPassphrase: () => "the passphrase is the one that `pilotctl identity encrypt` was given",
  Unreadable: (path) => `make ${path} a file that this user can read`,
  NotWritable: () => "make room on the disk, or choose another state directory with PILOT_HOME"
}

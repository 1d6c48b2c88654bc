/**
 * A whole rendezvous in one process: registry, beacon and status page, wired to real sockets and a SQLite file. The
 * beacon serves only nodes that the registry knows (rendezvous §8, better 8).
 */
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Context, Effect, Layer, Redacted, Schema, type Scope } from "effect"
import type * as Actor from "../../core/actor/Actor.ts"
import * as NativeCrypto from "../../core/crypto/NativeCrypto.ts"
import * as SelfSignedCertificate from "../../core/crypto/SelfSignedCertificate.ts"
import type { Endpoint } from "../../core/data/Endpoint.ts"
import * as NodeHttpListener from "../../core/net/NodeHttpListener.ts"
import * as NodeTlsSniffServer from "../../core/net/NodeTlsSniffServer.ts"
import * as NodeUdpEndpoint from "../../core/net/NodeUdpEndpoint.ts"
import * as NodeWebSocketListener from "../../core/net/NodeWebSocketListener.ts"
import type { BindError } from "../../core/net/UdpEndpoint.ts"
import * as SqliteClient from "../../core/storage/SqliteClient.ts"
import type { DatabaseError } from "../../core/storage/SqliteDatabase.ts"
import * as BeaconDirectory from "../../nat/BeaconDirectory.ts"
import * as RegistryPolicy from "../../protocol/registry/RegistryPolicy.ts"
import * as BeaconServerActor from "../beacon/BeaconServerActor.ts"
import * as RegistryServerActor from "../registry/RegistryServerActor.ts"
import { layerMemory, type RegistryStore, type RegistryStoreError } from "../registry/RegistryStore.ts"
import * as SqlRegistryStore from "../registry/SqlRegistryStore.ts"
import * as StatusServer from "../registry/StatusServer.ts"
import * as CertificateFile from "./CertificateFile.ts"
import type { RendezvousConfig } from "./RendezvousConfig.ts"
import * as WebSocketDoor from "./WebSocketDoor.ts"

/** The configuration contradicts itself. */
export class RendezvousConfigError extends Schema.TaggedError<RendezvousConfigError>()("RendezvousConfigError", {
  detail: Schema.String
}) {}

/** Why a rendezvous did not start. */
export type RendezvousError =
  | BindError
  | CertificateFile.CertificateError
  | DatabaseError
  | RegistryStoreError
  | RendezvousConfigError

/** A running rendezvous. */
export interface Running {
  readonly registry: Endpoint
  readonly beacon: Endpoint
  /** Where WebSockets are taken. */
  readonly wss: Endpoint | undefined
  readonly http: Endpoint | undefined
  /** What nodes pin: SHA-256 of the certificate in lower-case hexadecimal. */
  readonly fingerprint: string
  /** Completes only when the registry has given up, for example because its disk is full. */
  readonly exit: Effect.Effect<Actor.ActorExit>
}

/** A rendezvous for those who compose layers. */
export class Rendezvous extends Context.Service<Rendezvous, Running>()("effect-pilot/actors/layers/Rendezvous") {}

/** A rendezvous as a layer. */
export const layer = (config: RendezvousConfig): Layer.Layer<Rendezvous, RendezvousError> =>
  Layer.effect(Rendezvous, start(config))

/** Starts everything in the surrounding scope, whose end stops it. The directory of the store must exist. */
export const start = (config: RendezvousConfig): Effect.Effect<Running, RendezvousError, Scope.Scope> =>
  Effect.flatMap(Layer.build(services(config)), (context) => Effect.provideContext(startIn(config), context))

const startIn = Effect.fnUntraced(function* (config: RendezvousConfig) {
  const tls = yield* certificate(config)
  const fingerprint = SelfSignedCertificate.fingerprint(tls.certificatePem) ?? ""
  const registry = yield* RegistryServerActor.spawn({
    ...config.registryAddr,
    tls,
    policy: policy(config),
    limits: RegistryServerActor.defaultLimits
  })
  const beacon = yield* BeaconServerActor.spawn({
    ...config.beaconAddr,
    registration: registry.registration,
    config: BeaconDirectory.defaults,
    probes: { port: config.beaconProbePort ?? 0, other: otherOf(config.beaconOtherAddr) }
  })
  const wss =
    config.wssAddr === undefined
      ? undefined
      : yield* WebSocketDoor.open({ ...config.wssAddr, tls, proxies: config.wssProxies, registry, beacon })
  const http = config.http === undefined ? undefined : yield* NodeHttpListener.listen(config.http)
  if (http !== undefined) yield* StatusServer.spawn(http.server, registry)
  return { registry: registry.local, beacon: beacon.local, wss, http: http?.local, fingerprint, exit: registry.exit }
})

/** One of every address would be the same host. */
const otherOf = (address: RendezvousConfig["beaconOtherAddr"]): Endpoint | undefined =>
  address?.host === undefined ? undefined : { host: address.host, port: address.port }

const services = (config: RendezvousConfig) =>
  Layer.mergeAll(
    NodeTlsSniffServer.layer,
    NodeUdpEndpoint.layer,
    NodeWebSocketListener.layer,
    NativeCrypto.layer,
    NodeServices.layer,
    storeLayer(config.store)
  )

const storeLayer = (path: string | undefined): Layer.Layer<RegistryStore, RendezvousError> =>
  path === undefined ? layerMemory : SqlRegistryStore.layer.pipe(Layer.provide(SqliteClient.layer({ path })))

const certificate = ({ store, tlsCert, tlsKey }: RendezvousConfig) => {
  if ((tlsCert === undefined) !== (tlsKey === undefined)) {
    return Effect.fail(
      new RendezvousConfigError({
        detail: "a certificate (tls-cert) needs its key (tls-key), and a key its certificate"
      })
    )
  }
  if (tlsCert !== undefined && tlsKey !== undefined) return CertificateFile.load(tlsCert, tlsKey)
  return store === undefined ? CertificateFile.make : CertificateFile.loadOrMake(`${store}.tls.pem`)
}

const policy = (config: RendezvousConfig): RegistryPolicy.RegistryPolicy => ({
  ...RegistryPolicy.defaults,
  allowUnsignedRegister: config.compatUnsignedRegister,
  allowOwnerTakeover: config.compatOwnerTakeover,
  allowUnboundRotation: config.compatUnboundRotation,
  allowOpenPolo: config.compatOpenPolo,
  adminToken: config.adminToken === undefined ? undefined : Redacted.value(config.adminToken)
})

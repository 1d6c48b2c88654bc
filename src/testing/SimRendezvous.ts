/** The rendezvous of a simulation: the real registry over real SQL, and the real beacon, on a machine of their own. */
import { Context, Effect, Layer, type Scope } from "effect"
import * as BeaconServerActor from "../actors/beacon/BeaconServerActor.ts"
import * as WebSocketDoor from "../actors/layers/WebSocketDoor.ts"
import * as RegistryServerActor from "../actors/registry/RegistryServerActor.ts"
import type { RegistryStore } from "../actors/registry/RegistryStore.ts"
import * as SqlRegistryStore from "../actors/registry/SqlRegistryStore.ts"
import { Crypto } from "../core/crypto/Crypto.ts"
import { format } from "../core/data/Endpoint.ts"
import { TlsSniffServer } from "../core/net/TlsSniffServer.ts"
import { UdpEndpoint } from "../core/net/UdpEndpoint.ts"
import { WebSocketListener } from "../core/net/WebSocketListener.ts"
import * as SqliteClient from "../core/storage/SqliteClient.ts"
import * as SqliteDatabase from "../core/storage/SqliteDatabase.ts"
import * as BeaconDirectory from "../nat/BeaconDirectory.ts"
import * as RegistryPolicy from "../protocol/registry/RegistryPolicy.ts"
import * as SimWorld from "./SimWorld.ts"
import * as VirtualTls from "./VirtualTls.ts"
import * as VirtualUdp from "./VirtualUdp.ts"

/** A rendezvous in its place. */
export interface SimRendezvous {
  readonly machine: SimWorld.Machine
  /** `host:port` in either family, for configurations. */
  readonly registry: (isV6: boolean) => string
  readonly beacon: (isV6: boolean) => string
  readonly fingerprint: string
  /** What a node that joins it besides its own is told: `rendezvous` of its configuration. */
  readonly word: (alias: string, isV6?: boolean) => string
  readonly start: Effect.Effect<void>
  /** Its power goes; `start` brings it back with what it knew. */
  readonly crash: Effect.Effect<void>
}

/** A rendezvous that is off; its database lives in the surrounding scope and survives every crash, being synced. */
export const make = Effect.fnUntraced(function* (
  machine: SimWorld.Machine
): Effect.fn.Return<SimRendezvous, never, Scope.Scope> {
  const { host, world } = machine
  const store = yield* Effect.orDie(Layer.build(storeLayer))
  const at = (port: number) => (isV6: boolean) => format({ host: isV6 ? host.address6 : host.address, port })
  const certificate = certificateOf(machine.name)
  const fingerprint = world.tcp.fingerprint(certificate.certificatePem)
  for (const isV6 of [false, true]) world.registries.set(at(REGISTRY_PORT)(isV6), machine.name)
  const start = SimWorld.start(machine, (life) =>
    serve(certificate).pipe(Effect.provide(surroundings(machine, life)), Effect.provide(store))
  )
  return {
    machine,
    registry: at(REGISTRY_PORT),
    beacon: at(BEACON_PORT),
    fingerprint,
    word: (alias, isV6 = false) => `${alias}=${at(REGISTRY_PORT)(isV6)}/${at(BEACON_PORT)(isV6)}#${fingerprint}`,
    start: Effect.orDie(start),
    crash: SimWorld.crash(machine)
  }
})

const storeLayer: Layer.Layer<RegistryStore, unknown> = SqlRegistryStore.layer.pipe(
  Layer.provide(SqliteClient.layer({ path: SqliteDatabase.IN_MEMORY }))
)

const surroundings = (machine: SimWorld.Machine, life: SimWorld.Life) => {
  const { crypto, host, world } = machine
  const isRunning = () => machine.life === life
  return Context.make(Crypto, crypto).pipe(
    Context.add(TlsSniffServer, VirtualTls.server(world.tcp, host, isRunning)),
    Context.add(UdpEndpoint, VirtualUdp.make(world.network, host, isRunning)),
    Context.add(WebSocketListener, world.webSockets.listener(host, isRunning)),
    Context.merge(machine.services)
  )
}

const serve = Effect.fnUntraced(function* (tls: ReturnType<typeof certificateOf>) {
  const registry = yield* RegistryServerActor.spawn({
    host: undefined,
    port: REGISTRY_PORT,
    tls,
    policy: RegistryPolicy.defaults,
    limits: RegistryServerActor.defaultLimits
  })
  const beacon = yield* BeaconServerActor.spawn({
    host: undefined,
    port: BEACON_PORT,
    registration: registry.registration,
    config: BeaconDirectory.defaults
  })
  yield* WebSocketDoor.open({ host: undefined, port: WSS_PORT, tls, proxies: "", registry, beacon })
})

const REGISTRY_PORT = 9000
const BEACON_PORT = 9001
const WSS_PORT = 443
/** Simulated TLS recognises any text. */
const certificateOf = (name: string) => ({
  certificatePem: `the certificate of the simulated ${name}`,
  privateKeyPem: ""
})

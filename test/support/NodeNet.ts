/**
 * Whole nodes on a network in memory and virtual time: the real actors, the real cryptography, a registry that is a table
 * and a beacon that relays.
 */
import { Context, Effect, Layer, Result, type Scope } from "effect"
import { TestClock } from "effect/testing"
import type { Node } from "../../src/actors/node/Node.ts"
import type * as NodeCore from "../../src/actors/node/NodeCore.ts"
import * as NodeSupervisor from "../../src/actors/node/NodeSupervisor.ts"
import { RegistryClient, RegistryError } from "../../src/actors/registry/RegistryClient.ts"
import { PeerKeys } from "../../src/actors/trust/PeerKeys.ts"
import * as PeerKeysStore from "../../src/actors/trust/PeerKeysStore.ts"
import { Crypto, type SigningKey } from "../../src/core/crypto/Crypto.ts"
import * as NativeCrypto from "../../src/core/crypto/NativeCrypto.ts"
import type { Endpoint } from "../../src/core/data/Endpoint.ts"
import { UdpEndpoint } from "../../src/core/net/UdpEndpoint.ts"
import type { ProtocolEvent } from "../../src/protocol/ProtocolEvent.ts"
import { defaultLimits, PortTable } from "../../src/protocol/stream/PortTable.ts"
import * as StreamConfig from "../../src/protocol/stream/StreamConfig.ts"
import * as TunnelConfig from "../../src/protocol/tunnel/TunnelConfig.ts"
import * as Address from "../../src/protocol/wire/Address.ts"
import * as BeaconMessage from "../../src/protocol/wire/BeaconMessage.ts"
import * as MemoryNetwork from "../../src/testing/MemoryNetwork.ts"
import { NO_CARDS, noKeyChains } from "./NoCards.ts"

/** What the registry knows of one node. */
export interface Record {
  readonly address: Address.Address
  readonly publicKey: Uint8Array
  endpoint: Endpoint
  isPublic: boolean
}

/** What is otherwise than usual about a node. */
export interface Settings extends Partial<NodeCore.Options> {
  /** Of its host's interfaces, which are never looked at without. */
  readonly addresses?: () => ReadonlyArray<string>
}

/** The world the nodes live in. */
export interface NodeNet {
  readonly network: MemoryNetwork.MemoryNetwork
  readonly records: Map<Address.NodeId, Record>
  /** Starts a node at an IP address; it lives as long as the scope. */
  readonly node: (ip: string, options?: Settings) => Effect.Effect<Running, never, Scope.Scope>
}

/** A node and what it believes. */
export interface Running {
  readonly node: Node["Service"]
  readonly keys: PeerKeys["Service"]
  readonly address: Address.Address
  readonly identity: SigningKey
  readonly events: Array<ProtocolEvent>
}

/** An empty world. With a beacon, everybody can reach everybody through it. */
export const make = Effect.fnUntraced(function* (
  options: {
    readonly seed?: number
    readonly beacon?: boolean
    readonly link?: Parameters<MemoryNetwork.MemoryNetwork["setLink"]>[2]
    /** Of every host's interface. */
    readonly mtuBytes?: number
  } = {}
) {
  const { link, mtuBytes, seed = 1 } = options
  const network = yield* MemoryNetwork.make({ seed, ...(link && { link }), ...(mtuBytes && { mtuBytes }) })
  const records = new Map<Address.NodeId, Record>()
  const beacon = options.beacon === true ? yield* startBeacon(network) : undefined
  const node: NodeNet["node"] = Effect.fnUntraced(function* (ip, settings) {
    const crypto = NativeCrypto.crypto
    const identity = settings?.identity ?? crypto.signingKey()
    const registry = registryOf(records, ip, identity)
    const keys = Context.get(
      yield* Layer.build(Layer.provide(PeerKeysStore.layerMemory(), NativeCrypto.layer)),
      PeerKeys
    )
    const events: Array<ProtocolEvent> = []
    const context = Context.make(RegistryClient, registry).pipe(
      Context.add(PeerKeys, keys),
      Context.add(Crypto, crypto),
      Context.add(UdpEndpoint, {
        ...Context.get(yield* Layer.build(network.host(ip)), UdpEndpoint),
        addresses: settings?.addresses ?? (() => [])
      })
    )
    const running = yield* NodeSupervisor.start({
      identity,
      identityPersisted: false,
      encrypt: true,
      listen: { host: ip, port: 4000 },
      beacon,
      endpoint: beacon === undefined ? { host: ip, port: 4000 } : undefined,
      owner: "",
      hostname: "",
      isPublic: true,
      keepaliveMs: 30_000,
      stream: StreamConfig.make({ noDelay: true }),
      tunnel: TunnelConfig.defaultConfig,
      ports: new PortTable(defaultLimits, 0),
      report: (event) => void events.push(event),
      ...settings
    }).pipe(Effect.provide(context), Effect.orDie)
    return { node: running.node, keys, address: yield* running.node.address, identity, events }
  })
  return { network, records, node } satisfies NodeNet
})

/** Each trusts the other under its true key. */
export const trustEachOther = (a: Running, b: Running): void => {
  a.keys.setTrusted(new Map([[b.address.node, b.identity.publicKey]]))
  b.keys.setTrusted(new Map([[a.address.node, a.identity.publicKey]]))
}

/** Pins, as the trust handshake does. */
export const pinEachOther = Effect.fnUntraced(function* (a: Running, b: Running) {
  yield* Effect.orDie(a.keys.pinNode(b.address.node, b.identity.publicKey))
  yield* Effect.orDie(b.keys.pinNode(a.address.node, a.identity.publicKey))
  trustEachOther(a, b)
})

/** Runs a test to its end, its finalizers included, while virtual time passes; at most so much of it. */
export const run = <A, E, R>(
  effect: Effect.Effect<A, E, R>,
  forMs = 60_000
): Effect.Effect<A, E, Exclude<R, Scope.Scope>> =>
  Effect.raceFirst(
    Effect.scoped(effect),
    Effect.andThen(
      Effect.repeat(Effect.andThen(TestClock.adjust(STEP_MS), Effect.yieldNow), { times: forMs / STEP_MS }),
      Effect.die(new Error(`not done after ${forMs} virtual milliseconds`))
    )
  )

/** A registry that is a table of its own: knows whom the table names. */
export const registryOf = (
  records: Map<Address.NodeId, Record>,
  ip: string,
  key: SigningKey
): RegistryClient["Service"] => {
  const find = (node: Address.NodeId): Effect.Effect<Record, RegistryError> => {
    const record = records.get(node)
    return record === undefined
      ? Effect.fail(new RegistryError({ reason: "NotFound", operation: "lookup", detail: "no such node" }))
      : Effect.succeed(record)
  }
  const nothing = Effect.succeed({})
  return {
    register: ({ listenAddress }) =>
      Effect.sync(() => {
        const known = [...records.values()].find((record) => record.publicKey === key.publicKey)
        const address = known?.address ?? Address.make(0, records.size + 1)
        const endpoint = { host: ip, port: Number(listenAddress.split(":").at(-1)) }
        records.set(address.node, { address, publicKey: key.publicKey, endpoint, isPublic: true })
        return { node: address.node, address }
      }),
    heartbeat: Effect.succeed({ timeSeconds: 0 }),
    deregister: nothing,
    lookup: (node) =>
      Effect.map(find(node), (record) => ({
        node,
        address: record.address,
        publicKey: record.publicKey,
        hostname: "",
        isPublic: record.isPublic,
        endpoint: record.endpoint,
        raw: {}
      })),
    resolve: (node) => Effect.map(find(node), (record) => record.endpoint),
    resolveHostname: () => Effect.fail(new RegistryError({ reason: "NotFound", operation: "resolve", detail: "" })),
    setHostname: () => nothing,
    setVisibility: () => nothing,
    setTags: () => nothing,
    setTaskExec: () => nothing,
    score: () => Effect.succeed(0),
    addScore: () => nothing,
    reportTrust: () => Effect.void,
    revokeTrust: () => Effect.void,
    requestHandshake: () => Effect.void,
    respondHandshake: () => Effect.void,
    pollHandshakes: Effect.succeed({ requests: [], responses: [] }),
    publishKeyChain: noKeyChains,
    cards: NO_CARDS
  }
}

/** Answers discovers and relays between whom it has heard. */
const startBeacon = Effect.fnUntraced(function* (network: MemoryNetwork.MemoryNetwork) {
  const udp = Context.get(yield* Layer.build(network.host(BEACON.host)), UdpEndpoint)
  const socket = yield* Effect.orDie(udp.bind(BEACON))
  const known = new Map<Address.NodeId, Endpoint>()
  socket.onBatch((batch) => {
    for (const { bytes, from } of batch) {
      const message = Result.getOrUndefined(BeaconMessage.decode(bytes))
      if (message?._tag === "Discover") {
        if (message.node !== 0) known.set(message.node, from)
        socket.send(BeaconMessage.encode({ _tag: "DiscoverReply", endpoint: from }), from)
      } else if (message?._tag === "Relay") {
        const to = known.get(message.destination)
        const deliver = { _tag: "RelayDeliver" as const, sender: message.sender, frame: message.frame }
        if (to !== undefined) socket.send(BeaconMessage.encode(deliver), to)
      }
    }
  })
  return BEACON
})

const BEACON = { host: "192.0.2.254", port: 9001 }
const STEP_MS = 5

/** A host of somebody else: sends any bytes, keeps what comes back. */
export const attacker = Effect.fnUntraced(function* (network: MemoryNetwork.MemoryNetwork, ip: string) {
  const udp = Context.get(yield* Layer.build(network.host(ip)), UdpEndpoint)
  const socket = yield* Effect.orDie(udp.bind({ host: ip, port: 4000 }))
  const received: Array<Uint8Array> = []
  socket.onBatch((batch) => received.push(...batch.map((datagram) => datagram.bytes)))
  return { received, send: (bytes: Uint8Array, to: string) => socket.send(bytes, { host: to, port: 4000 }) }
})

/**
 * A node of its own process, in whatever network namespace it was started: `serve` reads what comes, `send` sends until
 * its datagrams have the size given, then a megabyte more, and prints the sizes of all datagrams it sent.
 *
 * `node test/netns/SizeNode.ts serve | send OWN_IP PEER_IP [SIZE]`
 */
import { NodeRuntime } from "@effect/platform-node"
import { Console, Effect, Layer, References } from "effect"
import * as NodeSupervisor from "../../src/actors/node/NodeSupervisor.ts"
import { RegistryClient } from "../../src/actors/registry/RegistryClient.ts"
import { PeerKeys } from "../../src/actors/trust/PeerKeys.ts"
import * as PeerKeysStore from "../../src/actors/trust/PeerKeysStore.ts"
import * as NativeCrypto from "../../src/core/crypto/NativeCrypto.ts"
import * as Bytes from "../../src/core/data/Bytes.ts"
import * as NodeUdpEndpoint from "../../src/core/net/NodeUdpEndpoint.ts"
import { UdpEndpoint } from "../../src/core/net/UdpEndpoint.ts"
import { defaultLimits, PortTable } from "../../src/protocol/stream/PortTable.ts"
import * as StreamConfig from "../../src/protocol/stream/StreamConfig.ts"
import * as TunnelConfig from "../../src/protocol/tunnel/TunnelConfig.ts"
import * as Address from "../../src/protocol/wire/Address.ts"
import * as NodeNet from "../support/NodeNet.ts"

const [role, ownIp = "", peerIp = "", size = "0"] = process.argv.slice(2)
const PORT = Address.Port(1000)
const UDP_PORT = { serve: 4002, send: 4001 }
/** Datagrams sent, by size. */
const sizes = new Map<number, number>()

const counted = Layer.effect(
  UdpEndpoint,
  Effect.map(UdpEndpoint, ({ bind }) => ({
    bind: (options) =>
      Effect.map(bind(options), (socket) => ({
        ...socket,
        send: (bytes, to) => {
          const sizeBytes = Bytes.lengthOf(bytes)
          sizes.set(sizeBytes, (sizes.get(sizeBytes) ?? 0) + 1)
          socket.send(bytes, to)
        }
      }))
  }))
).pipe(Layer.provide(NodeUdpEndpoint.layer))

/** Both know each other from the start. */
const start = Effect.gen(function* () {
  const { crypto } = NativeCrypto
  const [own, peer] = role === "serve" ? [2, 1] : [1, 2]
  const identity = crypto.signingKey(new Uint8Array(32).fill(own))
  const peerKey = crypto.signingKey(new Uint8Array(32).fill(peer)).publicKey
  const ports = role === "serve" ? [UDP_PORT.serve, UDP_PORT.send] : [UDP_PORT.send, UDP_PORT.serve]
  const record = (node: number, publicKey: Uint8Array, host: string, port = 0): [Address.NodeId, NodeNet.Record] => {
    const address = Address.make(0, node)
    return [address.node, { address, publicKey, endpoint: { host, port }, isPublic: true }]
  }
  const records = new Map([record(own, identity.publicKey, ownIp, ports[0]), record(peer, peerKey, peerIp, ports[1])])
  const keys = yield* PeerKeys
  yield* keys.pinNode(Address.NodeId(peer), peerKey)
  keys.setTrusted(new Map([[Address.NodeId(peer), peerKey]]))
  const listen = { host: ownIp, port: ports[0] ?? 0 }
  const { node } = yield* NodeSupervisor.start({
    ...{ identity, identityPersisted: false, encrypt: true, owner: "", hostname: "", isPublic: true },
    ...{ listen, endpoint: listen, beacon: undefined, keepaliveMs: 30_000 },
    stream: StreamConfig.make({ noDelay: true }),
    tunnel: TunnelConfig.defaultConfig,
    ports: new PortTable(defaultLimits, 0),
    report: () => {}
  }).pipe(Effect.provideService(RegistryClient, NodeNet.registryOf(records, ownIp, identity)))
  return { node, peer: Address.make(0, peer) }
})

const serve = Effect.gen(function* () {
  const { node } = yield* start
  const listener = yield* node.listen(PORT)
  yield* Console.log("ready")
  while (true) {
    const connection = yield* listener.accept
    yield* Effect.forkScoped(
      Effect.ignore(Effect.forever(Effect.flatMap(connection.read, () => connection.write(ONE))))
    )
  }
})

const send = Effect.gen(function* () {
  const { node, peer } = yield* start
  const connection = yield* node.dial(peer, PORT)
  const exchange = (bytes: Uint8Array) => Effect.andThen(connection.write(bytes), connection.read)
  while ((sizes.get(Number(size)) ?? 0) < SEGMENTS_MIN) yield* exchange(new Uint8Array(200_000))
  yield* exchange(new Uint8Array(1_000_000))
  yield* Console.log(JSON.stringify([...sizes].sort(([a], [b]) => a - b)))
})

const ONE = Uint8Array.of(1)
/** Enough to be data, not a probe. */
const SEGMENTS_MIN = 20

NodeRuntime.runMain(
  Effect.suspend(
    (): Effect.Effect<void, unknown, Effect.Services<typeof serve> | Effect.Services<typeof send>> =>
      role === "serve" ? serve : send
  ).pipe(
    Effect.scoped,
    Effect.provide(Layer.mergeAll(counted, PeerKeysStore.layerMemory()).pipe(Layer.provideMerge(NativeCrypto.layer))),
    Effect.provideService(References.MinimumLogLevel, "Error")
  )
)

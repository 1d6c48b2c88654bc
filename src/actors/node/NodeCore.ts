/**
 * What the parts of one node share: its socket, its tables, what it is called now. Made once by `NodeSupervisor`, which
 * alone changes the table of peers.
 */
import { Clock, Effect, PubSub, Scheduler, Scope } from "effect"
import * as MonotonicTime from "../../core/actor/MonotonicTime.ts"
import { Turns } from "../../core/actor/Turns.ts"
import { Crypto } from "../../core/crypto/Crypto.ts"
import * as Bytes from "../../core/data/Bytes.ts"
import * as Endpoint from "../../core/data/Endpoint.ts"
import { type BindError, UdpEndpoint, type UdpSocket } from "../../core/net/UdpEndpoint.ts"
import * as PathReport from "../../nat/PathReport.ts"
import type { PortMapping } from "../../nat/PortMapClient.ts"
import { PUNCHES, PunchLimit } from "../../nat/PunchLimit.ts"
import type { ProtocolEvent } from "../../protocol/ProtocolEvent.ts"
import type { PortTable } from "../../protocol/stream/PortTable.ts"
import type { StreamConfig } from "../../protocol/stream/StreamConfig.ts"
import type { TunnelConfig } from "../../protocol/tunnel/TunnelConfig.ts"
import type { Address, NodeId } from "../../protocol/wire/Address.ts"
import * as AddressOf from "../../protocol/wire/Address.ts"
import { Capability } from "../../protocol/wire/Announcement.ts"
import * as TunnelFrame from "../../protocol/wire/TunnelFrame.ts"
import { type Guard, PolicyGuard } from "../policy/PolicyGuard.ts"
import type { RegistryClient } from "../registry/RegistryClient.ts"
import { PeerKeys } from "../trust/PeerKeys.ts"
import type * as BeaconSocket from "./BeaconSocket.ts"
import { BirthdayStation } from "./BirthdayStation.ts"
import { Doors } from "./Doors.ts"
import * as KeyDirectory from "./KeyDirectory.ts"
import { KeyRefusals } from "./KeyRefusals.ts"
import { Listeners, type Outside } from "./Listeners.ts"
import { Mapping } from "./Mapping.ts"
import * as NatObserver from "./NatObserver.ts"
import type { NodeStatus, PeerStatus } from "./Node.ts"
import type { NodeContext } from "./NodeContext.ts"
import type { NodeEvent } from "./NodeEvent.ts"
import * as NodeSocket from "./NodeSocket.ts"
import { OwnPlaces } from "./OwnPlaces.ts"
import type * as PeerMessage from "./PeerMessage.ts"
import { type Ending, Peers } from "./Peers.ts"
import type { SideSockets } from "./SideSockets.ts"
import { SocketRouter } from "./SocketRouter.ts"
import * as SpareKey from "./SpareKey.ts"
import { StreamObserver } from "./StreamObserver.ts"

/** What a node is made of. */
export interface Options extends NodeSocket.Settings {
  readonly identityPersisted: boolean
  readonly encrypt: boolean
  /** How it looks at its translator: further beacons to ask, what was measured before; measured in the background if said so. */
  readonly nat?: NatObserver.Surroundings | undefined
  /** The address that the registry gave last: the node begins with it when the registry is away. */
  readonly lastAddress?: Address | undefined
  /** A fixed public endpoint; the beacon is not asked then. */
  readonly endpoint: Endpoint.Endpoint | undefined
  readonly owner: string
  readonly hostname: string
  readonly isPublic: boolean
  readonly keepaliveMs: number
  readonly stream: StreamConfig
  readonly tunnel: TunnelConfig
  /** Whether routers are asked for a port; they are if absent. */
  readonly mapsPorts?: boolean
  readonly ports: PortTable
  /** Shared by the memberships of one node; its own if absent. */
  readonly doors?: Doors
  /** How what belongs to this registry reads at the doors; as it is if absent. */
  readonly outside?: Outside
  /** A tunnel has opened under this key. Called on the packet path; must not wait. */
  readonly opened?: (node: NodeId, publicKey: Uint8Array) => void
  /** Called on the packet path; must not wait. */
  readonly report: (event: ProtocolEvent) => void
}

/** Whom the core tells of what only the supervisor may do. */
export interface Sinks {
  readonly stranger: (node: NodeId, frames: ReadonlyArray<PeerMessage.Inbound>) => void
  readonly ended: (ending: Ending, isIdle: boolean) => void
}

/** Binds the socket of a node in the surrounding scope. */
export const make = Effect.fnUntraced(function* (
  options: Options,
  sinks: Sinks
): Effect.fn.Return<NodeCore, BindError, Scope.Scope | Crypto | UdpEndpoint | RegistryClient | PeerKeys> {
  const udp = yield* UdpEndpoint
  const crypto = yield* Crypto
  const { beacon } = options
  const { beaconSocket, bound, sides, socket } = yield* NodeSocket.make(udp, {
    ...options,
    node: () => core.address.node,
    changed: () => core.parts.mapping.wake()
  })
  const core: NodeCore = new NodeCore(options, {
    // Peers that come later end after whatever the node still has to say through them.
    scope: yield* Scope.fork(yield* Effect.scope),
    clock: yield* Clock.Clock,
    crypto,
    agreementKeys: yield* SpareKey.make(crypto, options.identity),
    trust: yield* PeerKeys,
    keys: yield* KeyDirectory.make,
    events: yield* PubSub.sliding<NodeEvent>(EVENTS_MAX),
    observer: yield* StreamObserver,
    guard: yield* PolicyGuard,
    socket,
    beaconSocket,
    sides,
    mapping: new Mapping(socket, beacon),
    // By UDP alone: another way to the beacon has no translator to look at.
    nat: yield* NatObserver.make({
      ...options.nat,
      socket: bound,
      udp,
      crypto,
      beacons: () => (beacon === undefined ? [] : [beacon, ...(options.nat?.beacons ?? [])])
    }),
    addresses: udp.addresses ?? (() => []),
    sinks
  })
  yield* core.doors.attach(options.ports)
  const turns = Turns.of(yield* Scheduler.Scheduler)
  socket.onBatch((batch) => {
    core.router.receive(batch)
    turns.run()
  })
  return core
})

interface Parts {
  readonly scope: Scope.Scope
  readonly clock: Clock.Clock
  readonly crypto: Crypto["Service"]
  readonly agreementKeys: SpareKey.SpareKey
  readonly trust: PeerKeys["Service"]
  readonly keys: KeyDirectory.KeyDirectory
  readonly events: PubSub.PubSub<NodeEvent>
  readonly observer: NodeContext["observer"]
  readonly guard: Guard
  readonly socket: UdpSocket
  /** The same socket, if it knows another way to the beacon. */
  readonly beaconSocket: BeaconSocket.BeaconSocket | undefined
  readonly mapping: Mapping
  readonly nat: NatObserver.NatObserver
  readonly sides: SideSockets
  /** Of this host's interfaces. */
  readonly addresses: () => ReadonlyArray<string>
  readonly sinks: Sinks
}

/** The shared state of one node. */
export class NodeCore {
  #address: Address = AddressOf.make(0, 0)
  hostname: string
  isPublic: boolean
  readonly options: Options
  readonly parts: Parts
  readonly peers: Peers
  readonly router: SocketRouter
  readonly places: OwnPlaces
  readonly doors: Doors
  readonly listeners: Listeners
  readonly birthday: BirthdayStation
  readonly #outside: Outside
  readonly #refusals = new KeyRefusals()
  readonly #startedAtMs: number
  readonly #punches = new PunchLimit()
  readonly #stream: StreamConfig

  constructor(options: Options, parts: Parts) {
    this.options = options
    this.doors = options.doors ?? new Doors(() => Bytes.readU16(parts.crypto.randomBytes(2), 0))
    this.#outside = options.outside ?? { address: (address) => address, connection: (connection) => connection }
    this.#stream = { ...options.stream, receiveBudget: this.doors.receiveBudget }
    this.listeners = new Listeners(options.ports, this.doors, this.#outside)
    this.parts = parts
    this.hostname = options.hostname
    this.isPublic = options.isPublic
    this.#startedAtMs = MonotonicTime.nowMsUnsafe(parts.clock)
    this.peers = new Peers(parts.scope, (...ending) => Effect.sync(() => parts.sinks.ended(...ending)))
    this.birthday = new BirthdayStation({ ...parts, desk: this.doors.birthdays, beacon: options.beacon })
    this.places = new OwnPlaces({ ...parts, socket: parts.socket, endpoint: options.endpoint })
    this.router = new SocketRouter({
      self: () => this.address.node,
      beacon: options.beacon,
      encrypt: options.encrypt,
      deliver: (node, frames) => this.#deliver(node, frames),
      stranger: parts.sinks.stranger,
      mapped: (from, endpoint) => parts.mapping.answered(from, endpoint, this.nowMs()),
      probed: (bytes, from) => parts.nat.received(bytes, from),
      punch: (endpoint) => {
        this.birthday.placed.punched(endpoint, this.nowMs())
        if (!this.#punches.take(endpoint, options.beacon, this.nowMs())) return
        for (let sent = 0; sent < PUNCHES; sent++) parts.socket.send(TunnelFrame.encode({ _tag: "Punch" }), endpoint)
      },
      nowMs: () => this.nowMs()
    })
  }

  /** Unspecified until the registry has given one. */
  get address(): Address {
    return this.#address
  }

  set address(address: Address) {
    this.#address = address
    if (this.options.encrypt) this.parts.agreementKeys.named(address.node)
    this.parts.beaconSocket?.named()
  }

  /** What registering needs to know, for this moment. */
  get registration() {
    const { options, parts } = this
    return {
      mapping: parts.mapping,
      local: parts.socket.local,
      endpoint: options.endpoint,
      portMapped: () => this.places.portMapped,
      owner: options.owner,
      intervalMs: options.keepaliveMs,
      node: () => this.address.node,
      isPublic: () => this.isPublic,
      hostname: () => this.hostname
    }
  }

  /** The router gave a port, or took it back. */
  portMappingChanged(mapping: PortMapping | undefined, detail: string | undefined): void {
    this.places.portMapping = mapping
    this.places.portMapDetail = detail
    this.parts.mapping.wake()
  }

  nowMs(): number {
    return MonotonicTime.nowMsUnsafe(this.parts.clock)
  }

  publish(event: NodeEvent): Effect.Effect<void> {
    return Effect.asVoid(PubSub.publish(this.parts.events, event))
  }

  /** What the actors of this node share, for actors that start now. */
  context(): NodeContext {
    const { options, parts } = this
    return {
      address: this.address,
      identity: options.identity,
      crypto: parts.crypto,
      agreementKey: parts.agreementKeys.take,
      encrypt: options.encrypt,
      keys: parts.keys,
      isTrusted: parts.trust.isTrusted,
      follows: parts.trust.chains.follows,
      isLaterOnly: parts.trust.isLaterOnly,
      laterOpened: parts.trust.laterOpened,
      opened: options.opened ?? (() => {}),
      isPublic: () => this.isPublic,
      guard: parts.guard,
      socket: parts.socket,
      beacon: options.beacon,
      places: () => this.places.all,
      keepaliveMs: () => this.parts.nat.keepaliveMs,
      birthday: this.birthday,
      listeners: this.listeners,
      ports: options.ports,
      stream: this.#stream,
      observer: parts.observer,
      tunnel: options.tunnel,
      nextConnectionId: this.doors.nextConnectionId,
      datagramReceived: (datagram) => {
        const source = this.#outside.address(datagram.source)
        if (source !== undefined) this.doors.datagrams.received({ ...datagram, source })
      },
      report: (event) => {
        if (event._tag === "KeyRefused") this.#refusals.note(event.peer, event.reason)
        options.report(event)
      }
    }
  }

  status(): NodeStatus {
    const { options, parts, peers } = this
    const { counters, local } = parts.socket
    const remote = peers.all().filter((peer) => peer.node !== this.address.node)
    return {
      address: this.address,
      publicKey: options.identity.publicKey,
      hostname: this.hostname,
      owner: options.owner,
      isPublic: this.isPublic,
      encrypt: options.encrypt,
      identityPersisted: options.identityPersisted,
      startedAtMs: this.#startedAtMs,
      local,
      // Port 0 is no place: that of a node without UDP.
      mapped: options.endpoint ?? (parts.mapping.endpoint?.port === 0 ? undefined : parts.mapping.endpoint),
      beaconRoute: parts.beaconSocket?.route(),
      sentBytes: counters.sentBytes,
      receivedBytes: counters.receivedBytes,
      sentDatagrams: counters.sentDatagrams,
      receivedDatagrams: counters.receivedDatagrams,
      boundPorts: options.ports.bound,
      refusedKeys: this.#refusals.rows,
      nat: parts.nat.knowledge,
      birthdays: { ...this.doors.birthdays.counters },
      turnedOff: turnedOff(options),
      portMapping: this.places.portMapping,
      portMapDetail: this.places.portMapDetail,
      peers: remote.filter((peer) => peer.hasOpened()).map(this.#reached()),
      connections: peers.all().flatMap((peer) => peer.connections())
    }
  }

  /** One peer, in whatever state. */
  peer(node: NodeId): PeerStatus | undefined {
    const peer = this.peers.find(node)
    return peer === undefined ? undefined : this.#reached()(peer)
  }

  /** Says of any number of peers how they are reached from where this host is now. */
  #reached() {
    const { beaconSocket, mapping, nat } = this.parts
    const isTranslated = (host: string) => {
      const { endpoint } = mapping
      return endpoint !== undefined && Endpoint.isSameFamily(endpoint.host, host) && nat.isTranslated(endpoint)
    }
    const surroundings = { isTranslated, isBridged: beaconSocket?.route().by === "websocket" }
    return (peer: Pick<PeerMessage.Running, "status">): PeerStatus => {
      const status = peer.status()
      return { ...status, kind: PathReport.kindOf(status, surroundings) }
    }
  }

  /** Frames of a known peer go straight to it. */
  #deliver(node: NodeId, frames: ReadonlyArray<PeerMessage.Inbound>): boolean {
    const peer = this.peers.find(node)
    peer?.ref.tellUnsafe({ _tag: "Frames", frames })
    return peer !== undefined
  }
}

const turnedOff = ({ mapsPorts, tunnel }: Options): NonNullable<NodeStatus["turnedOff"]> => [
  ...((tunnel.capabilities & Capability.Birthday) === 0 ? (["port guessing"] as const) : []),
  ...(mapsPorts === false ? (["port mapping"] as const) : [])
]

/** Registrations and heartbeats a slow subscriber may fall behind. */
const EVENTS_MAX = 64

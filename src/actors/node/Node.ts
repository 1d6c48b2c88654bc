/**
 * The face of a node towards its services (trust, IPC, echo, API): open streams, listen, send datagrams, ping, look.
 * `NodeSupervisor` implements it.
 */
import { type Cause, Context, type Effect, type Queue, type Scope } from "effect"
import type { Signal } from "../../core/actor/Signal.ts"
import type { Endpoint } from "../../core/data/Endpoint.ts"
import type * as Birthday from "../../nat/Birthday.ts"
import type { NatKnowledge } from "../../nat/NatReport.ts"
import type * as PathReport from "../../nat/PathReport.ts"
import type { PortMapping } from "../../nat/PortMapClient.ts"
import type { ConnectionStats } from "../../protocol/stream/ConnectionStats.ts"
import type { Scheme } from "../../protocol/tunnel/KeyDerivation.ts"
import type { Address, NodeId, Port } from "../../protocol/wire/Address.ts"
import type { BirthdayCounters } from "./BirthdayDesk.ts"
import type { RefusedKey } from "./KeyRefusals.ts"
import type { ConnectionReset, DialError, PingTimeout, PortInUse } from "./StreamErrors.ts"

export { ConnectionReset, DialError, PingTimeout, PortInUse, type ResetCause, resetCauses } from "./StreamErrors.ts"

/** An open stream. Whoever dialled or accepted it owns it: it must be closed or reset. */
export interface Connection {
  /** Unique while the node runs; starts at 1. */
  readonly id: number
  readonly localPort: Port
  readonly remote: Address
  readonly remotePort: Port
  /** The next delivered segment's payload, never empty; `Cause.Done` at the end of the stream. */
  readonly read: Effect.Effect<Uint8Array, ConnectionReset | Cause.Done>
  /** Waits while the send buffer is full. */
  readonly write: (bytes: Uint8Array) => Effect.Effect<void, ConnectionReset>
  /**
   * On, as it is at first: every write leaves at once, together with what else was written in the same turn. Off: a short
   * segment waits for the acknowledgement of earlier ones, at most 40 ms (Nagle), so that many small writes share one.
   */
  readonly setNoDelay: (isOn: boolean) => Effect.Effect<void>
  /**
   * No more writes: everything written is delivered, then the peer reads its end; resolves at once. Reading goes on until
   * the peer's own end, which a peer without half-close (wire §17) sends in answer. Idempotent.
   */
  readonly end: Effect.Effect<void>
  /**
   * `end`, and no more reads: what still arrives is dropped, and a peer that goes on sending is told that nobody reads.
   * Resolves at once. Idempotent.
   */
  readonly close: Effect.Effect<void>
  /** RST now; unsent data is lost. Idempotent. */
  readonly reset: Effect.Effect<void>
  /** Completes when the connection is gone, in whatever way. */
  readonly closed: Effect.Effect<void>
  /** The same stream without a fiber in between, where its owner runs on this thread. */
  readonly direct?: DirectStream
}

/** Reading and writing that answer at once: for whoever moves the bytes of many streams. */
export interface DirectStream {
  /** Raised when `isReadable` may have become true. */
  readonly readable: Signal
  /** `read` has an answer. */
  readonly isReadable: boolean
  /** The next bytes or the end; `undefined` if they have not come yet. */
  readonly read: () => Uint8Array | Effect.Effect<never, ConnectionReset | Cause.Done> | undefined
  /** How many of the bytes were taken: none, too, when nothing may be written any more. */
  readonly writeSome: (bytes: Uint8Array) => number
}

/** A bound port. Closing its scope unbinds it and resets what nobody accepted. */
export interface Listener {
  readonly port: Port
  readonly accept: Effect.Effect<Connection, Cause.Done>
}

/** One received datagram (wire §11). */
export interface DatagramReceived {
  readonly source: Address
  readonly sourcePort: Port
  readonly destinationPort: Port
  readonly payload: Uint8Array
}

/** A datagram port that is held: what is sent by it leaves from it, and what comes to it is heard here. */
export interface HeldDatagrams {
  readonly port: Port
  readonly send: (target: Address, port: Port, payload: Uint8Array) => Effect.Effect<void, DialError>
  /** Ends with the scope it was held in; the newest are dropped when nobody takes them. */
  readonly received: Queue.Dequeue<DatagramReceived>
}

/** How a peer is reached now. */
export interface PeerStatus {
  readonly node: NodeId
  readonly endpoint: Endpoint | undefined
  readonly path: "direct" | "relay" | "none"
  /** The same in more words, as its node knows it. */
  readonly kind?: PathReport.Kind
  /** All ways to it that are known. */
  readonly candidates?: ReadonlyArray<PathReport.Candidate>
  /** The last try to guess ports, or the one under way. */
  readonly birthday?: Birthday.Report | undefined
  readonly encrypted: boolean
  readonly authenticated: boolean
  readonly rttMs: number | undefined
  /** The peer's Ed25519 key that opened the tunnel. */
  readonly publicKey: Uint8Array | undefined
  /** The generation of keys that the peer has shown (wire §15.1). */
  readonly scheme?: Scheme | undefined
  /** The peer has announced that its streams end one direction at a time (wire §17). */
  readonly halfCloses?: boolean
}

/** One row of `conn_list` (node §1.7). */
export interface ConnectionStatus extends ConnectionStats {
  readonly id: number
  readonly localPort: Port
  readonly remote: Address
  readonly remotePort: Port
}

/** The way to the beacon now. */
export interface BeaconRoute {
  readonly by: "udp" | "websocket"
  /** Where the WebSocket leads, or would. */
  readonly url: string
  /** Why the last attempt at a WebSocket failed; empty if it did not. */
  readonly detail: string
}

/** A node that says on the local network that it is there. */
export interface Neighbour {
  readonly node: NodeId
  readonly publicKey: Uint8Array
  /** As it calls itself; nobody has checked it. */
  readonly name: string
  readonly endpoints: ReadonlyArray<Endpoint>
  /** Its key is the one pinned for its id. */
  readonly isKnown: boolean
  /** Its id is of the same registry as this node's. */
  readonly isSameRendezvous: boolean
  /** When it said so, by its clock. */
  readonly unixSeconds: number
}

/** What this node is. */
export interface NodeStatus {
  readonly address: Address
  readonly publicKey: Uint8Array
  readonly hostname: string
  readonly owner: string
  readonly isPublic: boolean
  readonly encrypt: boolean
  readonly identityPersisted: boolean
  readonly startedAtMs: number
  readonly local: Endpoint
  /** The address and port the world sees, as the beacon reported it. */
  readonly mapped: Endpoint | undefined
  /** How datagrams to and from the beacon travel, the relayed ones of peers among them. */
  readonly beaconRoute?: BeaconRoute | undefined
  /** Who else is on the local network; only of home. */
  readonly neighbours?: ReadonlyArray<Neighbour>
  /** The translator in between, as far as it was looked at. */
  readonly nat?: NatKnowledge
  /** Tries to guess ports, of all memberships together. */
  readonly birthdays?: BirthdayCounters
  /** What its operator does not want of it. */
  readonly turnedOff?: ReadonlyArray<"port guessing" | "port mapping">
  /** A port that the router has given to this node. */
  readonly portMapping?: PortMapping | undefined
  /** Why a router that speaks UPnP has given none. */
  readonly portMapDetail?: string | undefined
  readonly sentBytes: number
  readonly receivedBytes: number
  readonly sentDatagrams: number
  readonly receivedDatagrams: number
  readonly boundPorts: ReadonlyArray<Port>
  /** Key exchanges that were not believed, since the start; the most recent last. */
  readonly refusedKeys: ReadonlyArray<RefusedKey>
  readonly peers: ReadonlyArray<PeerStatus>
  readonly connections: ReadonlyArray<ConnectionStatus>
}

/** A node, whoever runs it. */
export class Node extends Context.Service<
  Node,
  {
    /** Current; changes when the registry gives another id. */
    readonly address: Effect.Effect<Address>
    readonly status: Effect.Effect<NodeStatus>
    /** One peer, also one of which nothing has opened yet; `undefined` if nothing goes on with it. */
    readonly peer: (node: NodeId) => Effect.Effect<PeerStatus | undefined>
    /** Looks anew at the translator between this node and the world: a second or two. */
    readonly nat: Effect.Effect<NatKnowledge>
    /** Closing the scope closes the connection (after delivering what was written). */
    readonly dial: (
      target: Address,
      port: Port,
      options?: { readonly timeoutMs?: number }
    ) => Effect.Effect<Connection, DialError, Scope.Scope>
    readonly listen: (port: Port) => Effect.Effect<Listener, PortInUse, Scope.Scope>
    /** A free ephemeral port is the source, or `from`, which whoever sends holds. Lost like any datagram. */
    readonly sendDatagram: (
      target: Address,
      port: Port,
      payload: Uint8Array,
      from?: Port
    ) => Effect.Effect<void, DialError>
    /** Every datagram for this node, for as long as the scope lives; full means the newest are dropped. */
    readonly datagrams: (capacity: number) => Effect.Effect<Queue.Dequeue<DatagramReceived>, never, Scope.Scope>
    /** Holds a port for datagrams, or a free one; `PortInUse` if somebody else does. */
    readonly holdDatagrams: (
      port: Port | undefined,
      capacity: number
    ) => Effect.Effect<HeldDatagrams, PortInUse, Scope.Scope>
    /** Control ping inside the tunnel (wire §12); milliseconds. */
    readonly ping: (target: Address, timeoutMs: number) => Effect.Effect<number, DialError | PingTimeout>
    /** Closes any connection by id; unknown ids are ignored. */
    readonly closeConnection: (id: number) => Effect.Effect<void>
    /** Forgets keys and path of a peer and resets its connections. */
    readonly dropPeer: (node: NodeId) => Effect.Effect<void>
    readonly setHostname: (name: string) => Effect.Effect<void>
    readonly setPublic: (isPublic: boolean) => Effect.Effect<void>
  }
>()("effect-pilot/actors/node/Node") {}

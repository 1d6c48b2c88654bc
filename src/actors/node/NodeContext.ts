/** What the actors of one node share: its identity, its socket, its tables. Built once by `NodeSupervisor`. */

import type { Crypto, SigningKey } from "../../core/crypto/Crypto.ts"
import type { Endpoint } from "../../core/data/Endpoint.ts"
import type { UdpSocket } from "../../core/net/UdpEndpoint.ts"
import type { ProtocolEvent } from "../../protocol/ProtocolEvent.ts"
import type { PortTable } from "../../protocol/stream/PortTable.ts"
import type { StreamConfig } from "../../protocol/stream/StreamConfig.ts"
import type { Observer } from "../../protocol/stream/StreamSample.ts"
import type { TunnelConfig } from "../../protocol/tunnel/TunnelConfig.ts"
import type { Address, NodeId, Port } from "../../protocol/wire/Address.ts"
import type { Place } from "../../protocol/wire/PathOffer.ts"
import { type Answer, FREE, type Guard } from "../policy/PolicyGuard.ts"
import type { BirthdayStation } from "./BirthdayStation.ts"
import type { KeyDirectory } from "./KeyDirectory.ts"
import type { Listeners } from "./Listeners.ts"
import type { DatagramReceived } from "./Node.ts"
import type { OwnKey } from "./OwnKey.ts"
import type { Opened } from "./StreamObserver.ts"

/** Shared by reference; the functions answer for this moment. */
export interface NodeContext {
  /** The address as it was when this node's actors started; a new one starts new actors. */
  readonly address: Address
  readonly identity: SigningKey
  readonly crypto: Crypto["Service"]
  /** A new X25519 key, which nobody else is given. */
  readonly agreementKey: () => OwnKey
  /** False only by the operator's word: then everything is in clear, and nothing encrypted is understood. */
  readonly encrypt: boolean
  readonly keys: KeyDirectory
  readonly isTrusted: (node: NodeId) => boolean
  /** The pinned key of a peer follows from that one by its chain (security rule 9). */
  readonly follows: (node: NodeId, former: Uint8Array) => boolean
  /** The later key scheme has once opened for this Ed25519 key, so the earlier one is refused (security rule 5). */
  readonly isLaterOnly: (publicKey: Uint8Array) => boolean
  readonly laterOpened: (publicKey: Uint8Array) => void
  /** A tunnel to the node has opened under this key. */
  readonly opened: (node: NodeId, publicKey: Uint8Array) => void
  readonly isPublic: () => boolean
  /** What the policy says of what was exposed. */
  readonly guard: Guard
  readonly socket: UdpSocket
  /** The beacon in use: relays our frames, and the only source of beacon messages we heed. */
  readonly beacon: Endpoint | undefined
  /** Where this node may be reached, as far as it knows. */
  readonly places: () => ReadonlyArray<Place>
  /** How often a path has to be used, lest a translator forgets it. */
  readonly keepaliveMs: () => number
  readonly birthday: BirthdayStation
  readonly listeners: Listeners
  readonly ports: PortTable
  readonly stream: StreamConfig
  /** Who takes samples of a stream that opens. */
  readonly observer: (opened: Opened) => Observer | undefined
  readonly tunnel: TunnelConfig
  readonly nextConnectionId: () => number
  readonly datagramReceived: (datagram: DatagramReceived) => void
  readonly report: (event: ProtocolEvent) => void
}

/**
 * Whether a port is exposed to a peer (security rule 3): a stranger reaches the trust handshake, and echo on a public node;
 * every other port is silent to it.
 */
export const exposes = (self: NodeContext, peer: NodeId, port: Port): boolean =>
  port === HANDSHAKE_PORT || self.isTrusted(peer) || (port === ECHO_PORT && self.isPublic())

/** Whether a peer may reach a port: it is exposed to it, and the policy lets it. */
export const admits = (self: NodeContext, peer: NodeId, port: Port): boolean =>
  port === HANDSHAKE_PORT || self.guard.reaches(peer, port, exposes(self, peer, port))

/** The same for a stream that opens now, which counts: the trust handshake is nobody's to forbid. */
export const admission = (self: NodeContext, peer: NodeId, port: Port): Answer =>
  port === HANDSHAKE_PORT ? FREE : self.guard.stream(peer, port, exposes(self, peer, port))

/** wire §2. */
export const HANDSHAKE_PORT = 444 as Port
/** wire §13. */
export const ECHO_PORT = 7 as Port

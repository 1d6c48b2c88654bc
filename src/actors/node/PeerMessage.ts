/** What the actor of one peer may be told, and what its node sees of it; the same for every kind of peer. */
import { Data, type Deferred } from "effect"
import type { ActorRef } from "../../core/actor/ActorRef.ts"
import type { Pieces } from "../../core/data/Bytes.ts"
import type { Endpoint } from "../../core/data/Endpoint.ts"
import type * as Path from "../../nat/Path.ts"
import type { NodeId, Port, SocketAddress } from "../../protocol/wire/Address.ts"
import type * as TunnelFrame from "../../protocol/wire/TunnelFrame.ts"
import type * as ConnectionActor from "./ConnectionActor.ts"
import type { ConnectionStatus, PeerStatus } from "./Node.ts"
import type { Group } from "./SideSockets.ts"

/** A frame as it came from the socket. */
export interface Inbound {
  readonly frame: TunnelFrame.TunnelFrame
  readonly path: Path.Path
  /** The whole UDP payload, for the amplification budget. */
  readonly sizeBytes: number
  /** The side socket that it came by, if any. */
  readonly by?: number | undefined
}

/** What a peer's actor may be told. */
export type Message = Data.TaggedEnum<{
  Frames: { readonly frames: ReadonlyArray<Inbound> }
  /** Whole packets, ready to be sealed. */
  Send: { readonly packets: ReadonlyArray<Pieces> }
  /** Opens a connection; its handshake may still fail. */
  Dial: {
    readonly localPort: Port
    readonly remote: SocketAddress
    readonly reply: Deferred.Deferred<ConnectionActor.Running>
  }
  /** A place the registry says the peer is at. */
  LearnPath: { readonly path: Path.Path }
  /** This host is in another network now, or was asleep; told again when the beacon knows where it is. */
  NetworkChanged: { readonly isAnnounced: boolean }
  /** Agrees on keys now, since something is about to be sent. */
  Connect: {}
  /** New keys for the tunnel, under the identity of this node as it is now; streams go on. */
  RenewKeys: {}
  /** Control ping; the reply is the round-trip time in milliseconds. */
  Ping: { readonly target: SocketAddress["address"]; readonly reply: Deferred.Deferred<number> }
  /** The key this peer must show became known, for the frame that asked. */
  KeyKnown: { readonly inbound: Inbound; readonly key: Uint8Array | undefined }
  /** Asks for the MTU of the interface that leads to a path, and the answer in bytes of an IP packet. */
  FindMtu: { readonly path: Path.Path }
  MtuKnown: { readonly path: Path.Path; readonly mtuBytes: number }
  /** Segments of this size vanish while smaller ones arrive. */
  SizeVanished: { readonly segmentBytes: number }
  /** What takes time in birthday probing, and its results. */
  Birthday: {
    readonly step:
      | { readonly _tag: "Look" | "Looked" | "Refused" }
      | { readonly _tag: "Open"; readonly to: Endpoint }
      | { readonly _tag: "Opened"; readonly group: Group }
  }
  /** Connections have nothing left to do; which, they say themselves. */
  ConnectionsGone: {}
  ResetConnections: { readonly reason: "TrustRevoked" | "NodeStopped" }
  /** FIN on all of them, or on the one with this id. */
  CloseConnections: {}
  CloseConnection: { readonly id: number }
}>
/** Those that every kind of peer leaves to its `Connections`. */
export type ConnectionMessage = Extract<
  Message,
  { readonly _tag: "Dial" | "ConnectionsGone" | "ResetConnections" | "CloseConnections" | "CloseConnection" }
>
/** Those about the size of datagrams; of use only in a tunnel. */
export type SizeMessage = Extract<Message, { readonly _tag: "FindMtu" | "MtuKnown" | "SizeVanished" }>
/** The one about birthday probing. */
export type BirthdayStep = Extract<Message, { readonly _tag: "Birthday" }>
/** Constructors of `Message`. */
export const Message = Data.taggedEnum<Message>()

/** A running peer. */
export interface Running {
  readonly node: NodeId
  readonly ref: ActorRef<Message>
  readonly status: () => PeerStatus
  readonly connections: () => ReadonlyArray<ConnectionStatus>
  /** True once any frame of the peer has opened. */
  readonly hasOpened: () => boolean
  /** True while nothing comes back from the peer. */
  readonly isAway: () => boolean
  /** Streams are open; cheap. */
  readonly isBusy: () => boolean
  /** By relay, for want of something better; cheap, unlike `status`, which looks at every connection. */
  readonly isRelayed: () => boolean
}

/**
 * What a node reports of itself, declared once: logs, metrics, webhooks and test snapshots derive from it. Data only,
 * never payloads or secrets; instants are added by whoever records.
 */
import type { Endpoint } from "../core/data/Endpoint.ts"
import type { Address, NodeId, Port } from "./wire/Address.ts"

/** How a peer is reached. */
export type PathKind = "direct" | "relay"

/**
 * What became of a try to guess ports. `hit`: a path was found. `missed`: all was tried in vain. `declined`: the peer does not guess.
 * `silent`: it does not answer. `refused`: this host has no more sockets. `needless`: a direct path came up otherwise. `broken off`: the
 * streams ended, this host moved, or the peer said nothing more.
 */
export type BirthdayOutcome = "hit" | "missed" | "declined" | "silent" | "refused" | "needless" | "broken off"

/** Why a packet or frame went no further. */
export type DropReason =
  | "Malformed"
  | "Plaintext"
  | "ReplayedNonce"
  | "TagMismatch"
  | "NoSession"
  | "WrongSource"
  | "WrongDestination"
  | "Untrusted"
  | "RateLimited"
  | "QueueFull"
  | "TooLarge"
  | "Unreachable"

/** Why a key exchange was not believed. */
export type KeyRefusal =
  | "KeyChanged"
  | "RegistryMismatch"
  | "BadSignature"
  | "LowOrderKey"
  | "UnknownIdentity"
  | "Downgrade"

/** What can become of what a person allows beforehand (security rule 2). `network.revised`: it has revoked members. */
export type AdmissionChange =
  | "invitation.made"
  | "invitation.redeemed"
  | "invitation.revoked"
  | "key.listed"
  | "key.unlisted"
  | "network.joined"
  | "network.left"
  | "network.revised"

/** One event of one node. */
export type ProtocolEvent =
  /** The registry gave or confirmed the address. */
  | { readonly _tag: "NodeRegistered"; readonly address: Address; readonly endpoint: Endpoint | undefined }
  | { readonly _tag: "NodeReregistered"; readonly address: Address }
  | { readonly _tag: "NodeDeregistered"; readonly address: Address }
  /** The address the world sees has changed. */
  | { readonly _tag: "MappedAddressChanged"; readonly endpoint: Endpoint }
  /** A first frame of the peer has opened. */
  | { readonly _tag: "PeerEstablished"; readonly peer: NodeId; readonly path: PathKind; readonly scheme: "L" | "H" }
  | { readonly _tag: "PeerRekeyed"; readonly peer: NodeId }
  /** The peer began a new life: whatever it had of the old one, streams included, is gone. */
  | { readonly _tag: "PeerRestarted"; readonly peer: NodeId }
  | { readonly _tag: "PeerLost"; readonly peer: NodeId }
  | {
      readonly _tag: "PathChanged"
      readonly peer: NodeId
      readonly path: PathKind
      readonly endpoint: Endpoint | undefined
    }
  /** Ports were guessed to come to a direct path. `probes` were sent by this node; `sockets` are the peer's where it guessed itself. */
  | {
      readonly _tag: "BirthdayEnded"
      readonly peer: NodeId
      readonly role: "opener" | "guesser"
      readonly outcome: BirthdayOutcome
      readonly sockets: number
      readonly probes: number
    }
  | { readonly _tag: "KeyRefused"; readonly peer: NodeId; readonly reason: KeyRefusal }
  | {
      readonly _tag: "PacketDropped"
      readonly reason: DropReason
      readonly peer?: NodeId | undefined
      /** Where a stream came from that was turned away for coming too often. */
      readonly source?: { readonly address: Address; readonly port: Port }
      /** Of the nonce that came again. */
      readonly counter?: number
    }
  /** A peer wants a stream; `ConnectionOpened` follows. */
  | {
      readonly _tag: "SynReceived"
      readonly connection: number
      readonly peer: Address
      readonly port: Port
      readonly remotePort: Port
    }
  | {
      readonly _tag: "ConnectionOpened"
      readonly connection: number
      readonly peer: Address
      /** Of the service: the one that was dialled. */
      readonly port: Port
      readonly localPort: Port
      readonly remotePort: Port
      readonly direction: "dialled" | "accepted"
    }
  | {
      readonly _tag: "ConnectionClosed"
      readonly connection: number
      readonly peer: Address
      readonly localPort: Port
      readonly remotePort: Port
      readonly reset: boolean
      /** It was given up because nothing was heard from the peer. */
      readonly timedOut?: boolean
      /** Payload, repeats not counted on the way in. */
      readonly bytesSent: number
      readonly bytesReceived: number
    }
  | {
      readonly _tag: "DatagramReceived"
      readonly peer: Address
      readonly port: Port
      readonly sourcePort: Port
      readonly sizeBytes: number
    }
  | {
      readonly _tag: "HandshakeReceived"
      readonly peer: NodeId
      readonly kind: string
      /** Of a request; else empty. */
      readonly justification: string
    }
  | { readonly _tag: "HandshakePending"; readonly peer: NodeId; readonly justification: string }
  | { readonly _tag: "HandshakeRejected"; readonly peer: NodeId; readonly reason: string }
  | { readonly _tag: "PeerTrusted"; readonly peer: NodeId; readonly mutual: boolean }
  /** A message is in the inbox, on disk. */
  | { readonly _tag: "MessageReceived"; readonly peer: Address; readonly kind: string; readonly sizeBytes: number }
  /** A file or a directory is among the received ones, on disk. `name` is what the peer called it. */
  | {
      readonly _tag: "FileReceived"
      readonly peer: Address
      readonly name: string
      readonly path: string
      readonly sizeBytes: number
    }
  /** What a peer sent was turned away, because there is no more room for it. At most once a minute of each store. */
  | {
      readonly _tag: "StoreFull"
      readonly store: "inbox" | "received"
      readonly peer: Address
      readonly sizeBytes: number
    }
  /** Somebody here has changed who comes in unattended, or somebody has come in so. */
  | {
      readonly _tag: "AdmissionChanged"
      readonly change: AdmissionChange
      /** The id of an invitation, the fingerprint of a listed key, the name of a network. */
      readonly subject: string
      /** Who came in by it. */
      readonly peer?: NodeId
    }
  | { readonly _tag: "TrustRevoked"; readonly peer: NodeId; readonly by: "here" | "peer" }
  /** Keys of a peer (security rule 9), by their fingerprints. A new one counts from `fromSeconds`, Unix time. */
  | { readonly _tag: "KeyAnnounced"; readonly peer: NodeId; readonly key: string; readonly fromSeconds: number }
  | { readonly _tag: "KeyCancelled"; readonly peer: NodeId; readonly key: string }
  | { readonly _tag: "KeyMoved"; readonly peer: NodeId; readonly from: string; readonly to: string }
  /** A person here has decided for a key; `from` is empty where none was pinned. */
  | { readonly _tag: "KeyAccepted"; readonly peer: NodeId; readonly from: string; readonly to: string }
  /** Two keys follow one: the peer is frozen until a person decides, or its recovery key. */
  | { readonly _tag: "KeyForked"; readonly peer: NodeId; readonly keys: string }
  | { readonly _tag: "RecoveryKeyEnrolled"; readonly peer: NodeId; readonly key: string; readonly fromSeconds: number }
  | { readonly _tag: "RecoveryKeyContested"; readonly peer: NodeId }
  /** The registry knows of a new key for this very node that was not made here: its key is in other hands. */
  | { readonly _tag: "OwnKeyContested"; readonly key: string }
  /** This node has another key from now on. */
  | { readonly _tag: "OwnKeyMoved"; readonly key: string }
  /** Another policy is in force. */
  | { readonly _tag: "PolicyLoaded"; readonly rules: number }
  /** The policy's file is wrong there, and the one before stays in force. */
  | { readonly _tag: "PolicyRefused"; readonly line: number; readonly column: number; readonly detail: string }
  /** Of the broker (node §5). `remote` and `from` are socket addresses as text; a publication of this node has port 0. */
  | { readonly _tag: "EventSubscribed"; readonly topic: string; readonly remote: string }
  | { readonly _tag: "EventUnsubscribed"; readonly topic: string; readonly remote: string }
  | { readonly _tag: "EventPublished"; readonly topic: string; readonly sizeBytes: number; readonly from: string }
  | { readonly _tag: "EventsRateLimited"; readonly topic: string; readonly remote: string }

/** Any of the tags. */
export type Tag = ProtocolEvent["_tag"]

/** What of a node's events belongs into its audit log. */

import type { Entry } from "../../protocol/audit/AuditLine.ts"
import type { ProtocolEvent } from "../../protocol/ProtocolEvent.ts"
import * as Address from "../../protocol/wire/Address.ts"

/** The entry for an event; undefined for what is not kept. */
export const entryOf = (event: ProtocolEvent): Entry | undefined => {
  switch (event._tag) {
    case "HandshakePending":
      return { kind: "trust.pending", node: event.peer, facts: { justification: event.justification } }
    case "PeerTrusted":
      return { kind: "trust.added", node: event.peer, facts: { mutual: event.mutual } }
    case "HandshakeRejected":
      return { kind: "trust.rejected", node: event.peer, facts: { reason: event.reason } }
    case "TrustRevoked":
      return { kind: "trust.revoked", node: event.peer, facts: { by: event.by } }
    case "AdmissionChanged":
      return { kind: event.change, node: event.peer, facts: { subject: event.subject } }
    case "KeyAnnounced":
      return { kind: "key.announced", node: event.peer, facts: { fingerprint: event.key, from: event.fromSeconds } }
    case "KeyCancelled":
      return { kind: "key.cancelled", node: event.peer, facts: { fingerprint: event.key } }
    case "KeyMoved":
      return { kind: "key.moved", node: event.peer, facts: { from: event.from, to: event.to } }
    case "KeyAccepted":
      return { kind: "key.accepted", node: event.peer, facts: { from: event.from, to: event.to } }
    case "KeyForked":
      return { kind: "key.forked", node: event.peer, facts: { fingerprints: event.keys } }
    case "RecoveryKeyEnrolled": {
      const facts = { fingerprint: event.key, from: event.fromSeconds }
      return { kind: "key.recovery_enrolled", node: event.peer, facts }
    }
    case "RecoveryKeyContested":
      return { kind: "key.recovery_contested", node: event.peer }
    case "OwnKeyContested":
      return { kind: "key.own_contested", facts: { fingerprint: event.key } }
    case "KeyRefused":
      return { kind: "key.refused", node: event.peer, facts: { reason: event.reason } }
    case "OwnKeyMoved":
      return { kind: "key.moved", facts: { to: event.key } }
    case "PacketDropped":
      return event.reason === "ReplayedNonce" && event.peer !== undefined
        ? { kind: "security.nonce_replay", node: event.peer, facts: { counter: event.counter ?? null } }
        : undefined
    case "ConnectionOpened": {
      const { connection, direction, peer, port } = event
      return { kind: "connection.opened", node: peer.node, facts: { connection, direction, port } }
    }
    case "ConnectionClosed": {
      const { bytesReceived, bytesSent, connection, localPort, peer, remotePort, reset } = event
      const facts = { connection, localPort, remotePort, bytesSent, bytesReceived, reset }
      return { kind: "connection.closed", node: peer.node, facts }
    }
    case "MessageReceived":
      return { kind: "message.stored", node: event.peer.node, facts: { type: event.kind, bytes: event.sizeBytes } }
    case "FileReceived":
      return { kind: "file.stored", node: event.peer.node, facts: { name: event.name, bytes: event.sizeBytes } }
    case "EventSubscribed": {
      const remote = Address.parseSocket(event.remote)
      const node = remote._tag === "Success" ? remote.success.address.node : undefined
      return { kind: "events.subscribed", node, facts: { topic: event.topic } }
    }
    default:
      return undefined
  }
}

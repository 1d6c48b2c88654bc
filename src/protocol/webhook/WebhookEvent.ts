/** What a node tells its operator's webhook (node §8): which of its events, under which names, with which members. */

import * as Endpoint from "../../core/data/Endpoint.ts"
import * as GoJson from "../../core/data/GoJson.ts"
import type { JsonObject } from "../../core/data/Json.ts"
import type { ProtocolEvent } from "../ProtocolEvent.ts"
import * as Address from "../wire/Address.ts"

/** One event to be told. */
export interface WebhookEvent {
  /** `conn.fin` and the like. */
  readonly event: string
  /** Absent when there is nothing to say. */
  readonly data?: JsonObject
}

/** The event of the webhook for one of the node; `undefined` for what is not told. */
export const of = (event: ProtocolEvent): WebhookEvent | undefined => {
  switch (event._tag) {
    case "NodeRegistered":
      return made("node.registered", { address: text(event.address), endpoint: endpoint(event.endpoint) })
    case "NodeReregistered":
      return made("node.reregistered", { address: text(event.address) })
    case "NodeDeregistered":
      return { event: "node.deregistered" }
    case "PeerEstablished":
      return made("tunnel.established", {
        ...{ authenticated: true, peer_node_id: event.peer, rekeyed: false, relay: event.path === "relay" }
      })
    case "PeerRekeyed":
      return made("tunnel.established", { authenticated: true, peer_node_id: event.peer, rekeyed: true, relay: false })
    case "PathChanged":
      return event.path === "relay"
        ? made("tunnel.relay_activated", { peer_node_id: event.peer })
        : made("tunnel.peer_added", { endpoint: endpoint(event.endpoint), peer_node_id: event.peer })
    case "SynReceived":
      return made("conn.syn_received", {
        ...{ conn_id: event.connection, dst_port: event.port },
        ...{ src_addr: text(event.peer), src_port: event.remotePort }
      })
    case "ConnectionOpened":
      // The reference tells of incoming ones only.
      return event.direction === "dialled"
        ? undefined
        : made("conn.established", {
            ...{ conn_id: event.connection, dst_port: event.port },
            ...{ src_addr: text(event.peer), src_port: event.remotePort }
          })
    case "ConnectionClosed":
      return made(event.timedOut === true ? "conn.idle_timeout" : event.reset ? "conn.rst" : "conn.fin", {
        ...{ conn_id: event.connection, local_port: event.localPort },
        ...{ remote_addr: text(event.peer), remote_port: event.remotePort }
      })
    case "DatagramReceived":
      return made("data.datagram", {
        ...{ dst_port: event.port, size: event.sizeBytes },
        ...{ src_addr: text(event.peer), src_port: event.sourcePort }
      })
    case "MessageReceived":
      return made("message.received", { from: text(event.peer), size: event.sizeBytes, type: event.kind })
    case "FileReceived":
      return made("file.received", { filename: event.name, path: event.path, size: event.sizeBytes })
    case "StoreFull":
      return made(`${event.store}.full`, { from: text(event.peer), size: event.sizeBytes })
    case "EventSubscribed":
      return made("pubsub.subscribed", { remote: event.remote, topic: event.topic })
    case "EventUnsubscribed":
      return event.topic === "" ? undefined : made("pubsub.unsubscribed", { remote: event.remote, topic: event.topic })
    case "EventPublished":
      return made("pubsub.published", { from: event.from, size: event.sizeBytes, topic: event.topic })
    case "EventsRateLimited":
      return made("pubsub.rate_limited", { remote: event.remote, topic: event.topic })
    case "HandshakeReceived":
      return event.kind === "request"
        ? made("handshake.received", { justification: event.justification, peer_node_id: event.peer })
        : undefined
    case "HandshakePending":
      return made("handshake.pending", { justification: event.justification, peer_node_id: event.peer })
    case "HandshakeRejected":
      return made("handshake.rejected", { peer_node_id: event.peer, reason: event.reason })
    case "PeerTrusted":
      return event.mutual
        ? made("handshake.auto_approved", { peer_node_id: event.peer, reason: "mutual" })
        : made("handshake.approved", { peer_node_id: event.peer })
    case "TrustRevoked":
      return made(event.by === "here" ? "trust.revoked" : "trust.revoked_by_peer", { peer_node_id: event.peer })
    case "KeyAnnounced":
      return made("key.announced", { fingerprint: event.key, from: event.fromSeconds, peer_node_id: event.peer })
    case "KeyCancelled":
      return made("key.cancelled", { fingerprint: event.key, peer_node_id: event.peer })
    case "KeyMoved":
      return made("key.moved", { from: event.from, peer_node_id: event.peer, to: event.to })
    case "KeyAccepted":
      return made("key.accepted", { from: event.from, peer_node_id: event.peer, to: event.to })
    case "KeyForked":
      return made("key.forked", { fingerprints: event.keys, peer_node_id: event.peer })
    case "RecoveryKeyEnrolled":
      return made("key.recovery_enrolled", {
        fingerprint: event.key,
        from: event.fromSeconds,
        peer_node_id: event.peer
      })
    case "RecoveryKeyContested":
      return made("key.recovery_contested", { peer_node_id: event.peer })
    case "OwnKeyContested":
      return made("key.own_contested", { fingerprint: event.key })
    case "OwnKeyMoved":
      return made("key.own_moved", { fingerprint: event.key })
    case "PacketDropped":
      if (event.reason === "RateLimited" && event.source !== undefined) {
        const { address, port } = event.source
        return made("security.syn_rate_limited", { src_addr: text(address), src_port: port })
      }
      return event.reason === "ReplayedNonce" && event.peer !== undefined
        ? made("security.nonce_replay", {
            ...(event.counter === undefined ? {} : { counter: event.counter }),
            peer_node_id: event.peer
          })
        : undefined
    default:
      return undefined
  }
}

/** The request's body; `data` is left out when there is none. The time is RFC 3339 in UTC. */
export const body = ({ data, event }: WebhookEvent, node: Address.NodeId, timestamp: string): string => {
  const head = GoJson.encodeOrdered({ event, node_id: node, timestamp })
  return data === undefined ? head : `${head.slice(0, -1)},"data":${GoJson.encode(data)}}`
}

const made = (event: string, data: JsonObject): WebhookEvent => ({ event, data })

const text = (address: Address.Address): string => Address.format(address)

const endpoint = (value: Endpoint.Endpoint | undefined): string => (value === undefined ? "" : Endpoint.format(value))

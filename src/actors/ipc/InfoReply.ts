/**
 * The reply to Info and Health (node §1.7, §1.9): every key the reference's programs dereference, with its type, and
 * our own after them. Pure.
 */
import * as Bytes from "../../core/data/Bytes.ts"
import * as Endpoint from "../../core/data/Endpoint.ts"
import * as GoJson from "../../core/data/GoJson.ts"
import type { Json, JsonObject } from "../../core/data/Json.ts"
import * as Address from "../../protocol/wire/Address.ts"
import type { ConnectionStatus, NodeStatus, PeerStatus } from "../node/Node.ts"

/** What the node itself does not know. */
export interface Surroundings {
  readonly nowMs: number
  readonly version: string
  readonly beacon: string
  readonly pendingHandshakes: number
  /** As `IpcRendezvous` shows them. */
  readonly memberships: ReadonlyArray<JsonObject>
  readonly isTrusted: (node: Address.NodeId) => boolean
  /** Text of a key's fingerprint, as people compare it. */
  readonly fingerprint: (publicKey: Uint8Array) => string
}

/** Everything about this node. */
export const info = (status: NodeStatus, surroundings: Surroundings): JsonObject => ({
  ...counters(status),
  address: Address.format(status.address),
  node_id: status.address.node,
  hostname: status.hostname,
  owner: status.owner,
  email: status.owner,
  public: status.isPublic,
  uptime_secs: uptimeSeconds(status, surroundings),
  ports: status.boundPorts.length,
  encrypt: status.encrypt,
  identity: status.identityPersisted,
  public_key: Bytes.toBase64(status.publicKey),
  fingerprint: surroundings.fingerprint(status.publicKey),
  endpoint: status.mapped === undefined ? "" : Endpoint.format(status.mapped),
  listen: Endpoint.format(status.local),
  beacon_addr: surroundings.beacon,
  // How datagrams to it travel, those that it relays among them.
  beacon_route: status.beaconRoute?.by ?? "udp",
  ...(status.beaconRoute === undefined
    ? {}
    : { beacon_websocket: status.beaconRoute.url, beacon_websocket_detail: status.beaconRoute.detail }),
  version: surroundings.version,
  features: FEATURES,
  handshake_pending_count: surroundings.pendingHandshakes,
  relay_peer_count: relayed(status),
  memberships: surroundings.memberships,
  neighbours: (status.neighbours ?? []).map((row) => ({
    node_id: row.node,
    name: row.name,
    endpoint: row.endpoints[0] === undefined ? "" : Endpoint.format(row.endpoints[0]),
    fingerprint: surroundings.fingerprint(row.publicKey),
    known: row.isKnown,
    same_rendezvous: row.isSameRendezvous,
    heard_at: row.unixSeconds
  })),
  refused_keys: status.refusedKeys.map(({ count, node, reason }) => ({ node_id: node, reason, count })),
  peer_list: status.peers.map((peer) => peerRow(peer, surroundings)),
  conn_list: status.connections.map(connectionRow)
})

/** The short reply for probes; touches nothing but memory. */
export const health = (status: NodeStatus, surroundings: Surroundings): JsonObject => {
  const { connections, peers, bytes_sent, bytes_recv, encrypted_peers, authenticated_peers } = counters(status)
  return {
    ...{ connections, peers, bytes_sent, bytes_recv, encrypted_peers, authenticated_peers },
    status: "ok",
    uptime_seconds: uptimeSeconds(status, surroundings),
    handshake_pending_count: surroundings.pendingHandshakes,
    relay_peer_count: relayed(status),
    accept_queue_drops: 0,
    webhook_queue_dropped: 0,
    webhook_circuit_skips: 0,
    beacon_addr: surroundings.beacon
  }
}

/** One row of `peer_list`. */
export const peerRow = (peer: PeerStatus, { fingerprint, isTrusted }: Surroundings): JsonObject => ({
  node_id: peer.node,
  endpoint: peer.endpoint === undefined ? "" : Endpoint.format(peer.endpoint),
  encrypted: peer.encrypted,
  authenticated: peer.authenticated,
  relay: peer.path === "relay",
  path: peer.path,
  ...(peer.kind === undefined ? {} : { kind: peer.kind }),
  trusted: isTrusted(peer.node),
  ...(peer.rttMs === undefined ? {} : { rtt_ms: Math.round(peer.rttMs * 1000) / 1000 }),
  ...(peer.scheme === undefined ? {} : { key_scheme: peer.scheme }),
  ...(peer.halfCloses === undefined ? {} : { half_close: peer.halfCloses }),
  ...(peer.publicKey === undefined ? {} : { fingerprint: fingerprint(peer.publicKey) })
})

/**
 * Cuts lists until the frame fits (node §1.7): leading rows stay, and `<key>_truncated` says that there were more. The
 * lists are cut in the order given.
 */
export const fit = (value: JsonObject, lists: ReadonlyArray<string>, maxBytes: number): JsonObject => {
  let fitting = value
  for (const key of lists) {
    const excess = sizeBytes(fitting) - maxBytes
    if (excess <= 0) return fitting
    const rows = fitting[key]
    if (Array.isArray(rows)) fitting = { ...fitting, [key]: cut(rows, excess), [`${key}_truncated`]: true }
  }
  return fitting
}

const cut = (rows: ReadonlyArray<Json>, excessBytes: number): ReadonlyArray<Json> => {
  let left = excessBytes + TRUNCATED_BYTES
  let count = rows.length
  while (count > 0 && left > 0) left -= sizeBytes(rows[--count]!) + 1
  return rows.slice(0, count)
}

const sizeBytes = (value: Json): number => Bytes.fromUtf8(GoJson.encode(value)).length

const counters = (status: NodeStatus) => ({
  bytes_sent: status.sentBytes,
  bytes_recv: status.receivedBytes,
  pkts_sent: status.sentDatagrams,
  pkts_recv: status.receivedDatagrams,
  connections: status.connections.filter(({ state }) => OPEN_STATES.has(state)).length,
  peers: status.peers.length,
  encrypted_peers: status.peers.filter((peer) => peer.encrypted).length,
  authenticated_peers: status.peers.filter((peer) => peer.authenticated).length
})

const connectionRow = (row: ConnectionStatus): JsonObject => ({
  id: row.id,
  local_port: row.localPort,
  remote_addr: Address.format(row.remote),
  remote_port: row.remotePort,
  state: row.state,
  bytes_sent: row.bytesSent,
  bytes_recv: row.bytesReceived,
  segs_sent: row.segmentsSent,
  segs_recv: row.segmentsReceived,
  cong_win: row.congestionWindowBytes,
  ssthresh: finite(row.slowStartThresholdBytes),
  in_flight: row.bytesInFlight,
  srtt_ms: row.smoothedRttMs,
  rttvar_ms: row.rttVarMs,
  retransmits: row.retransmits,
  fast_retx: row.fastRetransmits,
  dup_acks: row.duplicateAcks,
  sack_sent: row.sackSent,
  sack_recv: row.sackReceived,
  unacked: row.unackedSegments,
  ooo_buf: row.outOfOrderSegments,
  peer_recv_win: row.peerWindowSegments,
  recv_win: row.windowSegments,
  in_recovery: row.inRecovery
})

/** JSON has no infinity, and the reference's program reads every one of these as a number. */
const finite = (value: number): number => (Number.isFinite(value) ? value : Number.MAX_SAFE_INTEGER)

const relayed = (status: NodeStatus): number => status.peers.filter((peer) => peer.path === "relay").length

const uptimeSeconds = (status: NodeStatus, { nowMs }: Surroundings): number =>
  Math.max(0, Math.floor((nowMs - status.startedAtMs) / 1000))

const OPEN_STATES: ReadonlySet<string> = new Set(["SYN_SENT", "SYN_RECV", "ESTABLISHED"])
const FEATURES = ["effect_pilot"]
/** What `"<key>_truncated":true` itself adds, generously. */
const TRUNCATED_BYTES = 64

/**
 * Sorts one batch of datagrams by peer, so that each `TunnelActor` gets its share as one message. Runs inside the socket
 * callback and touches nothing but header bytes: strangers cost a bounded lookup and a token, no cryptography.
 */
import { Result } from "effect"
import * as Bytes from "../../core/data/Bytes.ts"
import * as Endpoint from "../../core/data/Endpoint.ts"
import { ExpiringMap } from "../../core/data/ExpiringMap.ts"
import * as TokenBucket from "../../core/data/TokenBucket.ts"
import type { Datagram } from "../../core/net/UdpEndpoint.ts"
import * as Path from "../../nat/Path.ts"
import { NodeId } from "../../protocol/wire/Address.ts"
import * as BeaconMessage from "../../protocol/wire/BeaconMessage.ts"
import * as TunnelFrame from "../../protocol/wire/TunnelFrame.ts"
import type { Inbound } from "./PeerMessage.ts"

/** Where the sorted frames go. */
export interface Sinks {
  readonly self: () => NodeId | undefined
  /** The only source of beacon messages that is heeded (security rule 7). */
  readonly beacon: Endpoint.Endpoint | undefined
  /** Decides which kind of frame is understood at all (security rule 6). */
  readonly encrypt: boolean
  /** A peer's share of the batch; false when there is no such peer yet. */
  readonly deliver: (peer: NodeId, frames: ReadonlyArray<Inbound>) => boolean
  /** Frames of a node that is no peer yet and whose source still has tokens. */
  readonly stranger: (peer: NodeId, frames: ReadonlyArray<Inbound>) => void
  /** The beacon says where this node's datagrams come from. */
  readonly mapped: (beacon: Endpoint.Endpoint, endpoint: Endpoint.Endpoint) => void
  /** A datagram in the form of a beacon's, of whomever; true if it answers a question about the translator in between. */
  readonly probed: (bytes: Uint8Array, from: Endpoint.Endpoint) => boolean
  /** The beacon asks to open the way for somebody who dials this node. */
  readonly punch: (endpoint: Endpoint.Endpoint) => void
  readonly nowMs: () => number
}

/** Datagrams that were not delivered, by reason. */
export interface RouterCounters {
  malformed: number
  foreignBeacon: number
  /** Frames in clear while encryption is on, or sealed ones while it is off. */
  plaintext: number
  strangersLimited: number
}

/** One per socket. */
export class SocketRouter {
  readonly counters: RouterCounters = { malformed: 0, foreignBeacon: 0, plaintext: 0, strangersLimited: 0 }
  readonly #sinks: Sinks
  readonly #sources = new ExpiringMap<string, TokenBucket.TokenBucket>({
    entriesMax: SOURCES_MAX,
    lifeMs: SOURCE_LIFE_MS
  })

  constructor(sinks: Sinks) {
    this.#sinks = sinks
  }

  /** The receiver of the socket. */
  readonly receive = (batch: ReadonlyArray<Datagram>): void => {
    const byPeer = new Map<NodeId, Array<Inbound>>()
    for (const datagram of batch) this.#sort(datagram, byPeer)
    for (const [peer, frames] of byPeer) {
      if (this.#sinks.deliver(peer, frames)) continue
      const admitted = frames.filter((inbound) => this.#mayIntroduceItself(inbound, peer))
      if (admitted.length > 0) this.#sinks.stranger(peer, admitted)
    }
  }

  #sort(datagram: Datagram, byPeer: Map<NodeId, Array<Inbound>>): void {
    const { bytes, by, from } = datagram
    switch (TunnelFrame.classify(bytes)) {
      case "Tunnel":
        return this.#collect(bytes, Path.direct(from), byPeer, { by })
      case "Beacon":
        return this.#receiveBeacon(bytes, from, byPeer)
      case "Unknown":
        this.counters.malformed += 1
    }
  }

  #receiveBeacon(bytes: Uint8Array, from: Endpoint.Endpoint, byPeer: Map<NodeId, Array<Inbound>>): void {
    const { beacon } = this.#sinks
    if (this.#sinks.probed(bytes, from)) return
    if (beacon === undefined || !Endpoint.equals(beacon, from)) {
      this.counters.foreignBeacon += 1
      return
    }
    const decoded = BeaconMessage.decode(bytes)
    if (Result.isFailure(decoded)) {
      this.counters.malformed += 1
      return
    }
    const message = decoded.success
    if (message._tag === "DiscoverReply") this.#sinks.mapped(from, message.endpoint)
    else if (message._tag === "PunchCommand") this.#sinks.punch(message.endpoint)
    else if (message._tag === "RelayDeliver")
      this.#collect(message.frame, Path.relay, byPeer, { relayedBy: message.sender })
  }

  /** A relayed frame must come from whom the beacon says it does. */
  #collect(
    bytes: Uint8Array,
    path: Path.Path,
    byPeer: Map<NodeId, Array<Inbound>>,
    { by, relayedBy }: { readonly by?: number | undefined; readonly relayedBy?: NodeId }
  ): void {
    const decoded = TunnelFrame.decode(bytes)
    if (Result.isFailure(decoded)) {
      this.counters.malformed += 1
      return
    }
    const frame = decoded.success
    if (frame._tag === "Punch") return
    if ((frame._tag === "Plain") === this.#sinks.encrypt) {
      this.counters.plaintext += 1
      return
    }
    const sender = frame._tag === "Plain" ? sourceOf(frame.packet) : frame.sender
    if (sender === this.#sinks.self() || (relayedBy !== undefined && relayedBy !== sender)) {
      this.counters.malformed += 1
      return
    }
    const inbound: Inbound = { frame, path, sizeBytes: bytes.length, by }
    const share = byPeer.get(sender)
    if (share === undefined) byPeer.set(sender, [inbound])
    else share.push(inbound)
  }

  /** At most 5 a second per source address, or per node id behind the relay (wire §6.4 d). */
  #mayIntroduceItself(inbound: Inbound, peer: NodeId): boolean {
    const nowMs = this.#sinks.nowMs()
    const source = inbound.path.endpoint?.host ?? `relay/${peer}`
    let bucket = this.#sources.get(source, nowMs)
    if (bucket === undefined) {
      bucket = new TokenBucket.TokenBucket({ capacity: STRANGERS_PER_SECOND, perSecond: STRANGERS_PER_SECOND }, nowMs)
      this.#sources.set(source, bucket, nowMs)
    }
    if (bucket.take(nowMs)) return true
    this.counters.strangersLimited += 1
    return false
  }
}

/** The node id of a packet's source address (wire §3). */
const sourceOf = (packet: Uint8Array): NodeId => NodeId(Bytes.readU32(packet, 6))

/** wire §6.4 (d). */
const STRANGERS_PER_SECOND = 5
/** Sources tracked; the oldest is forgotten first. */
const SOURCES_MAX = 4096
const SOURCE_LIFE_MS = 10_000

/**
 * The server's half of NAT traversal (rendezvous §8): which node was seen at which address, who may be told to punch
 * whom, and whose frames are passed on. It decides; the beacon actor sends.
 *
 * The reference believes every datagram. Here an address counts once its node has proved to receive there or the
 * former one fell silent; frames are relayed only between announced nodes and only from the sender's own address; and
 * commands go only to announced nodes, in small numbers (architecture, security rule 7).
 */
import type * as Endpoint from "../core/data/Endpoint.ts"
import { ExpiringMap } from "../core/data/ExpiringMap.ts"
import * as SourceGroup from "../core/data/SourceGroup.ts"
import { type Config as BucketConfig, TokenBucket } from "../core/data/TokenBucket.ts"
import type { NodeId } from "../protocol/wire/Address.ts"
import type { BeaconMessage } from "../protocol/wire/BeaconMessage.ts"
import * as BeaconEntry from "./BeaconEntry.ts"

/** Bounds and times. */
export interface Config {
  /** A node that was silent for longer is forgotten. */
  readonly nodeLifeMs: number
  readonly nodesMax: number
  /** Sources whose budgets are remembered. */
  readonly sourcesMax: number
  /** Punch requests per source. */
  readonly punch: BucketConfig
  /** Relayed frames per source. */
  readonly relay: BucketConfig
  /** Discover messages per source; each is answered with a few bytes more than it has. */
  readonly discover: BucketConfig
}

/** The limits of rendezvous §8 and of the newer beacons (§14.5). */
export const defaults: Config = {
  nodeLifeMs: 600_000,
  nodesMax: 500_000,
  sourcesMax: 100_000,
  punch: { capacity: 5, perSecond: 1 },
  relay: { capacity: 4000, perSecond: 4000 },
  discover: { capacity: 200, perSecond: 100 }
}

/** What the registry knows of a node: from where it registered, and when, on the clock of `nowMs`. */
export interface Registration {
  readonly host: string
  readonly atMs: number
}

/** One datagram to send. */
export interface Sending {
  readonly to: Endpoint.Endpoint
  readonly message: BeaconMessage
}

/** Why datagrams were dropped, as plain counts since the start. */
export interface BeaconCounters {
  relayed: number
  /** The sender is not announced, or not from where the frame came. */
  relayForeignSender: number
  relayUnknownDestination: number
  punchForeignSender: number
  punchUnknownTarget: number
  /** A discover for an id that no node is registered under. */
  unregistered: number
  rateLimited: number
  /** Kinds of message that a beacon of one process does not serve. */
  ignored: number
}

/** Mutable, with one owner: the beacon actor. */
export class BeaconDirectory {
  readonly counters: BeaconCounters = {
    relayed: 0,
    relayForeignSender: 0,
    relayUnknownDestination: 0,
    punchForeignSender: 0,
    punchUnknownTarget: 0,
    unregistered: 0,
    rateLimited: 0,
    ignored: 0
  }
  readonly #config: Config
  readonly #registration: (node: NodeId) => Registration | undefined
  readonly #entries: ExpiringMap<NodeId, BeaconEntry.BeaconEntry>
  readonly #budgets: { readonly [B in Budget]: ExpiringMap<string, TokenBucket> }

  /** `registration` asks the registry of the same process; nodes that it does not know are not served. */
  constructor(config: Config, registration: (node: NodeId) => Registration | undefined) {
    this.#config = config
    this.#registration = registration
    this.#entries = new ExpiringMap({ entriesMax: config.nodesMax, lifeMs: config.nodeLifeMs })
    const buckets = () =>
      new ExpiringMap<string, TokenBucket>({ entriesMax: config.sourcesMax, lifeMs: BUCKET_IDLE_MS })
    this.#budgets = { punch: buckets(), relay: buckets(), discover: buckets() }
  }

  /** What one datagram leads to. Total: anything unexpected is dropped and counted. */
  receive(message: BeaconMessage, from: Endpoint.Endpoint, nowMs: number): ReadonlyArray<Sending> {
    switch (message._tag) {
      case "Discover":
        return this.#discover(message.node, false, from, nowMs)
      case "DiscoverExtended":
        return this.#discover(message.node, true, from, nowMs)
      case "PunchRequest":
        return this.#punch(message.requester, message.target, from, nowMs)
      case "Relay":
        return this.#relay(message.sender, message.destination, message.frame, from, nowMs)
      default:
        // Gossip comes only from peers that an operator configured (rendezvous §8, better 3), and there are none.
        this.counters.ignored++
        return []
    }
  }

  /** Nodes remembered now. */
  size(nowMs: number): number {
    return this.#entries.size(nowMs)
  }

  /** Where frames for a node go now. */
  addresses(node: NodeId, nowMs: number): ReadonlyArray<Endpoint.Endpoint> {
    const entry = this.#entries.get(node, nowMs)
    return entry === undefined ? [] : BeaconEntry.addresses(entry, nowMs)
  }

  #discover(node: NodeId, isExtended: boolean, from: Endpoint.Endpoint, nowMs: number): ReadonlyArray<Sending> {
    if (!this.#spend("discover", from, nowMs)) return []
    // Id 0 only asks for its address; it names no node (rendezvous §8, better 7).
    if (node !== 0) this.#announce(node, isExtended, from, nowMs)
    return [{ to: from, message: { _tag: "DiscoverReply", endpoint: from } }]
  }

  #announce(node: NodeId, isExtended: boolean, from: Endpoint.Endpoint, nowMs: number): void {
    const registration = this.#registration(node)
    if (registration === undefined) {
      this.counters.unregistered++
      return
    }
    const announcement = { from, isExtended, registration }
    const before = this.#entries.get(node, nowMs)
    const entry =
      before === undefined ? BeaconEntry.make(announcement, nowMs) : BeaconEntry.announced(before, announcement, nowMs)
    this.#entries.set(node, entry, nowMs)
  }

  #punch(requester: NodeId, target: NodeId, from: Endpoint.Endpoint, nowMs: number): ReadonlyArray<Sending> {
    const requesterEntry = this.#entries.get(requester, nowMs)
    if (requesterEntry === undefined || !BeaconEntry.isCurrent(requesterEntry, from, nowMs)) {
      this.counters.punchForeignSender++
      return []
    }
    const targetEntry = this.#entries.get(target, nowMs)
    if (targetEntry === undefined || this.#registration(target) === undefined || target === requester) {
      this.counters.punchUnknownTarget++
      return []
    }
    if (!this.#spend("punch", from, nowMs)) return []
    return [
      { to: from, message: { _tag: "PunchCommand", endpoint: targetEntry.address } },
      { to: targetEntry.address, message: { _tag: "PunchCommand", endpoint: from } }
    ]
  }

  #relay(
    sender: NodeId,
    destination: NodeId,
    frame: Uint8Array,
    from: Endpoint.Endpoint,
    nowMs: number
  ): ReadonlyArray<Sending> {
    const senderEntry = this.#entries.get(sender, nowMs)
    if (senderEntry === undefined || !BeaconEntry.isCurrent(senderEntry, from, nowMs)) {
      this.counters.relayForeignSender++
      return []
    }
    const target = this.#entries.get(destination, nowMs)
    if (target === undefined || this.#registration(destination) === undefined) {
      this.counters.relayUnknownDestination++
      return []
    }
    if (!this.#spend("relay", from, nowMs)) return []
    this.counters.relayed++
    const message: BeaconMessage = target.isExtended
      ? { _tag: "RelayDeliverTo", sender, destination, frame }
      : { _tag: "RelayDeliver", sender, frame }
    return BeaconEntry.addresses(target, nowMs).map((to) => ({ to, message }))
  }

  #spend(budget: Budget, from: Endpoint.Endpoint, nowMs: number): boolean {
    const key = SourceGroup.of(from.host)
    const buckets = this.#budgets[budget]
    let bucket = buckets.get(key, nowMs)
    if (bucket === undefined) {
      bucket = new TokenBucket(this.#config[budget], nowMs)
      buckets.set(key, bucket, nowMs)
    }
    if (bucket.take(nowMs)) return true
    this.counters.rateLimited++
    return false
  }
}

type Budget = "punch" | "relay" | "discover"

/** A bucket is recreated full after this long, which is longer than any takes to refill. */
const BUCKET_IDLE_MS = 60_000

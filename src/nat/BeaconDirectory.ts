/**
 * The server's half of NAT traversal (rendezvous §8): which node was seen at which address, who may be told to punch
 * whom, and whose frames are passed on. It decides; the beacon actor sends.
 *
 * The reference believes every datagram. Here an address counts once its node has proved to receive there or the
 * former one fell silent; frames are relayed only between announced nodes and only from the sender's own address; and
 * commands go only to announced nodes, in small numbers (architecture, security rule 7).
 */
import * as Endpoint from "../core/data/Endpoint.ts"
import { ExpiringMap } from "../core/data/ExpiringMap.ts"
import * as SourceGroup from "../core/data/SourceGroup.ts"
import { type Config as BucketConfig, TokenBucket } from "../core/data/TokenBucket.ts"
import type { NodeId } from "../protocol/wire/Address.ts"
import type { BeaconMessage } from "../protocol/wire/BeaconMessage.ts"
import * as BeaconEntry from "./BeaconEntry.ts"
import * as BridgeAddress from "./BridgeAddress.ts"

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
  /** Answers nobody asked for, per host they go to. */
  readonly wake: BucketConfig
}

/** The limits of rendezvous §8 and of the newer beacons (§14.5). */
export const defaults: Config = {
  nodeLifeMs: 600_000,
  nodesMax: 500_000,
  sourcesMax: 100_000,
  punch: { capacity: 5, perSecond: 1 },
  relay: { capacity: 4000, perSecond: 4000 },
  discover: { capacity: 200, perSecond: 100 },
  wake: { capacity: 20, perSecond: 10 }
}

/** What the registry knows of a node: from where it registered, and when, on the clock of `nowMs`. */
export interface Registration {
  readonly host: string
  /** `host` with the port that it says it is reached at, as text; its connection has proved the host only. */
  readonly endpoint: string
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
  /** One of the two has no UDP, so nothing can be punched. */
  punchBridged: number
  /** A discover for an id that no node is registered under. */
  unregistered: number
  /** Nodes told to announce themselves. */
  woken: number
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
    punchBridged: 0,
    unregistered: 0,
    woken: 0,
    rateLimited: 0,
    ignored: 0
  }
  readonly #config: Config
  readonly #registration: (node: NodeId) => Registration | undefined
  readonly #entries: ExpiringMap<NodeId, BeaconEntry.BeaconEntry>
  readonly #budgets: { readonly [B in Budget]: ExpiringMap<string, TokenBucket> }
  /** Addresses told within the last second. */
  readonly #woken: ExpiringMap<string, true>

  /** `registration` asks the registry of the same process; nodes that it does not know are not served. */
  constructor(config: Config, registration: (node: NodeId) => Registration | undefined) {
    this.#config = config
    this.#registration = registration
    this.#entries = new ExpiringMap({ entriesMax: config.nodesMax, lifeMs: config.nodeLifeMs })
    const buckets = () =>
      new ExpiringMap<string, TokenBucket>({ entriesMax: config.sourcesMax, lifeMs: BUCKET_IDLE_MS })
    this.#budgets = { punch: buckets(), relay: buckets(), discover: buckets(), wake: buckets() }
    this.#woken = new ExpiringMap({ entriesMax: config.sourcesMax, lifeMs: WAKE_MS })
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

  /**
   * The WebSocket at `bridge` has said something: it asks to go on at `to`, or it has ended. False when the node is not
   * served there, or has not been announced from `to`.
   */
  bridged(node: NodeId, bridge: Endpoint.Endpoint, to: Endpoint.Endpoint | undefined, nowMs: number): boolean {
    const entry = this.#entries.get(node, nowMs)
    if (entry === undefined || (to !== undefined && !Endpoint.equals(entry.address, bridge))) return false
    const next =
      to === undefined ? BeaconEntry.disconnected(entry, bridge, nowMs) : BeaconEntry.moving(entry, to, nowMs)
    if (next !== undefined) this.#entries.set(node, next, nowMs)
    else if (to === undefined) this.#entries.delete(node, nowMs)
    return next !== undefined
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
    return [{ to: from, message: { _tag: "DiscoverReply", endpoint: BridgeAddress.seen(from) } }]
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
      return this.#wake(requester, from, nowMs)
    }
    const targetEntry = this.#entries.get(target, nowMs)
    if (targetEntry === undefined || this.#registration(target) === undefined || target === requester) {
      this.counters.punchUnknownTarget++
      return targetEntry === undefined ? this.#wakeRegistered(target, nowMs) : []
    }
    if (BridgeAddress.is(from) || BridgeAddress.is(targetEntry.address)) {
      this.counters.punchBridged++
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
      return this.#wake(sender, from, nowMs)
    }
    const target = this.#entries.get(destination, nowMs)
    if (target === undefined || this.#registration(destination) === undefined) {
      this.counters.relayUnknownDestination++
      return target === undefined ? this.#wakeRegistered(destination, nowMs) : []
    }
    if (!this.#spend("relay", from, nowMs)) return []
    this.counters.relayed++
    const message: BeaconMessage = target.isExtended
      ? { _tag: "RelayDeliverTo", sender, destination, frame }
      : { _tag: "RelayDeliver", sender, frame }
    return BeaconEntry.addresses(target, nowMs).map((to) => ({ to, message }))
  }

  /**
   * A node that is not known here, after a restart of the beacon or of its translator: an answer to no question makes it
   * announce itself, while old nodes only log it. It is smaller than what brought it about.
   */
  #wake(node: NodeId, to: Endpoint.Endpoint, nowMs: number): ReadonlyArray<Sending> {
    const place = Endpoint.format(to)
    if (this.#registration(node) === undefined || this.#woken.get(place, nowMs) !== undefined) return []
    if (!this.#spend("wake", to, nowMs)) return []
    this.#woken.set(place, true, nowMs)
    this.counters.woken++
    return [{ to, message: { _tag: "DiscoverReply", endpoint: BridgeAddress.seen(to) } }]
  }

  /** The same for whom somebody wants to reach: where it registered, at a host that its connection has proved. */
  #wakeRegistered(node: NodeId, nowMs: number): ReadonlyArray<Sending> {
    const registered = this.#registration(node)
    const to = registered === undefined ? undefined : Endpoint.parse(registered.endpoint)
    // A node without UDP registers port 0.
    return to === undefined || to.port === 0 ? [] : this.#wake(node, to, nowMs)
  }

  #spend(budget: Budget, from: Endpoint.Endpoint, nowMs: number): boolean {
    const key = SourceGroup.of(BridgeAddress.remoteHost(from))
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

type Budget = "punch" | "relay" | "discover" | "wake"

/** A bucket is recreated full after this long, which is longer than any takes to refill. */
const BUCKET_IDLE_MS = 60_000
/** An address hears no more often that it should announce itself. */
const WAKE_MS = 1_000

/**
 * How much birthday probing may send to a host (security rule 7). The peer names the other end, and it may lie: a node must not become
 * somebody's way to send datagrams to a third party. So only a host where the beacon has just placed the peer is probed, none inside
 * a network, none of this node's own, and all tries together send so many bytes to one host, and to all hosts, in an hour.
 *
 * Mutable, one per node.
 */
import * as AddressScope from "../core/data/AddressScope.ts"
import type { Endpoint } from "../core/data/Endpoint.ts"
import * as EndpointOf from "../core/data/Endpoint.ts"
import { ExpiringMap } from "../core/data/ExpiringMap.ts"
import * as SourceGroup from "../core/data/SourceGroup.ts"
import * as TokenBucket from "../core/data/TokenBucket.ts"

/** Bytes, with IP and UDP headers: two whole tries towards one host at once, and one an hour after them. */
export const defaults = {
  perHost: { capacity: 262_144, perSecond: 36 },
  all: { capacity: 1_048_576, perSecond: 144 }
}

/** Counts what was sent. */
export class GuessLimit {
  #all: TokenBucket.TokenBucket | undefined
  readonly #hosts = new ExpiringMap<string, TokenBucket.TokenBucket>({ entriesMax: HOSTS_MAX, lifeMs: HOST_LIFE_MS })

  /** Whether so many bytes may still go there. */
  hasRoom(host: string, bytes: number, nowMs: number): boolean {
    const [own, all] = this.#buckets(host, nowMs)
    return own.available(nowMs) >= bytes && all.available(nowMs) >= bytes
  }

  /** Whether to send so many bytes there; takes them into account if so. */
  take(host: string, bytes: number, nowMs: number): boolean {
    if (!this.hasRoom(host, bytes, nowMs)) return false
    const [own, all] = this.#buckets(host, nowMs)
    this.#hosts.set(SourceGroup.of(host), own, nowMs)
    return own.takeMany(bytes, nowMs) && all.takeMany(bytes, nowMs)
  }

  #buckets(host: string, nowMs: number): readonly [TokenBucket.TokenBucket, TokenBucket.TokenBucket] {
    this.#all ??= new TokenBucket.TokenBucket(defaults.all, nowMs)
    const known = this.#hosts.get(SourceGroup.of(host), nowMs)
    return [known ?? new TokenBucket.TokenBucket(defaults.perHost, nowMs), this.#all]
  }
}

/** Where the beacon said that somebody is, when it told this node to punch. Mutable, one for each beacon. */
export class PlacedHosts {
  readonly #endpoints = new ExpiringMap<string, Endpoint>({ entriesMax: PLACES_MAX, lifeMs: PLACE_LIFE_MS })

  /** A punch command of the beacon in use. */
  punched(endpoint: Endpoint, nowMs: number): void {
    this.#endpoints.set(EndpointOf.format(endpoint), endpoint, nowMs)
  }

  /** It named exactly this endpoint, lately. */
  has(endpoint: Endpoint, nowMs: number): boolean {
    return this.#endpoints.has(EndpointOf.format(endpoint), nowMs)
  }

  /** It named any port of this host. */
  hasHost(host: string, nowMs: number): boolean {
    return this.#endpoints.entries(nowMs).some(([, endpoint]) => endpoint.host === host)
  }
}

/** Whether a host may be probed at all: beyond every translator, and neither this node's nor the beacon's. */
export const isTarget = (host: string, own: ReadonlyArray<string>, beacon: Endpoint | undefined): boolean =>
  AddressScope.isUsable(host) && !AddressScope.isInside(host) && !own.includes(host) && host !== beacon?.host

/** By then a bucket is full again. */
const HOST_LIFE_MS = 7_300_000
const HOSTS_MAX = 1_024
/** A punch command is as old as the question that it answers. */
const PLACE_LIFE_MS = 60_000
const PLACES_MAX = 64

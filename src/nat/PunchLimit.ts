/**
 * Which punch commands of the beacon are followed (security rule 7). Its address can be forged, and it may lie: a node must not
 * become somebody's way to send datagrams to a third party, so commands are few, fewer for each host, and never lead to a group, to
 * nobody or back to this host.
 *
 * Mutable, one per node.
 */
import * as AddressScope from "../core/data/AddressScope.ts"
import type { Endpoint } from "../core/data/Endpoint.ts"
import { ExpiringMap } from "../core/data/ExpiringMap.ts"
import * as TokenBucket from "../core/data/TokenBucket.ts"

/** As often as a beacon passes requests of one source on (rendezvous §8), and for all peers together. */
export const defaults = { perHost: { capacity: 5, perSecond: 1 }, all: { capacity: 32, perSecond: 16 } }

/** Counts what was followed. */
export class PunchLimit {
  readonly #all = new TokenBucket.TokenBucket(defaults.all, 0)
  readonly #hosts = new ExpiringMap<string, TokenBucket.TokenBucket>({ entriesMax: HOSTS_MAX, lifeMs: HOST_LIFE_MS })

  /** Whether to follow this one; takes it into account if so. A beacon on this host speaks of nodes on this host. */
  take({ host, port }: Endpoint, beacon: Endpoint | undefined, nowMs: number): boolean {
    const isLocal = beacon !== undefined && !AddressScope.isUsable(beacon.host)
    if (port === 0 || !(isLocal || AddressScope.isUsable(host))) return false
    const own = this.#hosts.get(host, nowMs) ?? new TokenBucket.TokenBucket(defaults.perHost, nowMs)
    this.#hosts.set(host, own, nowMs)
    return own.take(nowMs) && this.#all.take(nowMs)
  }
}

/** Frames for each command (wire §4). */
export const PUNCHES = 3
/** A host that is forgotten has a full bucket again by then. */
const HOST_LIFE_MS = 10_000
/** More hosts than may be punched in that time. */
const HOSTS_MAX = 256

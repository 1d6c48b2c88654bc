/**
 * Where one node was seen by its beacon (rendezvous §8, better 1). Anybody can announce anybody's id, so an address that
 * differs from a recently used one is only a candidate: it counts after a second announcement from it, or when the
 * former address has been silent for a while. For a few seconds after a change frames go to both.
 *
 * Registrations are signed and their connection proves a host, so they decide where announcements alone would not: an
 * address on the registered host is not displaced by one elsewhere while it is in use, and a node that has registered
 * since it was last seen (it was restarted) is believed at once.
 *
 * A WebSocket (`BridgeAddress`) is opened with the node's signature, so it counts at once, and while it carries the node it
 * alone says which announced address is to take its place.
 */
import * as Endpoint from "../core/data/Endpoint.ts"
import * as BridgeAddress from "./BridgeAddress.ts"

/** One announced node. */
export interface BeaconEntry {
  readonly address: Endpoint.Endpoint
  /** When `address` was last announced. */
  readonly seenAtMs: number
  /** Wants deliveries that name their destination (rendezvous §14.5). */
  readonly isExtended: boolean
  readonly candidate: Candidate | undefined
  readonly former: Former | undefined
}

/** One announcement of a node, with what the registry knows of it. */
export interface Announcement {
  readonly from: Endpoint.Endpoint
  readonly isExtended: boolean
  readonly registration: { readonly host: string; readonly atMs: number }
}

/** Another address that announced the node once. */
interface Candidate {
  readonly address: Endpoint.Endpoint
  readonly sinceMs: number
}

/** The address before the last change. */
interface Former {
  readonly address: Endpoint.Endpoint
  readonly untilMs: number
}

/** A node announced for the first time. */
export const make = ({ from, isExtended }: Announcement, nowMs: number): BeaconEntry => ({
  address: from,
  seenAtMs: nowMs,
  isExtended,
  candidate: undefined,
  former: undefined
})

/** The node was announced again. */
export const announced = (self: BeaconEntry, announcement: Announcement, nowMs: number): BeaconEntry => {
  const { from, isExtended, registration } = announcement
  if (Endpoint.equals(self.address, from)) {
    // What announces itself by UDP beside a WebSocket is no rival of it.
    const candidate = BridgeAddress.is(from) ? self.candidate : undefined
    return { ...self, seenAtMs: nowMs, isExtended, candidate }
  }
  if (nowMs - self.seenAtMs >= SILENT_MS) return make(announcement, nowMs)
  if (BridgeAddress.is(from)) return moved(self, announcement, nowMs)
  if (BridgeAddress.is(self.address)) return { ...self, candidate: { address: from, sinceMs: nowMs } }
  const isHome = from.host === registration.host
  if (isHome && registration.atMs > self.seenAtMs) return moved(self, announcement, nowMs)
  if (!isHome && self.address.host === registration.host) return self
  const { candidate } = self
  if (candidate === undefined || !Endpoint.equals(candidate.address, from)) {
    return { ...self, candidate: { address: from, sinceMs: nowMs } }
  }
  // Two datagrams sent in one go prove no more than one: the second must leave time for the answer to the first.
  return nowMs - candidate.sinceMs < CONFIRM_MS ? self : moved(self, announcement, nowMs)
}

/** The node's WebSocket names the address to go on at; nothing when that has not announced the node since. */
export const moving = (self: BeaconEntry, to: Endpoint.Endpoint, nowMs: number): BeaconEntry | undefined => {
  const { candidate } = self
  return candidate === undefined || !Endpoint.equals(candidate.address, to) ? undefined : proceeded(self, to, nowMs)
}

/** A WebSocket of the node has ended; nothing stays when there is nowhere else to reach it. */
export const disconnected = (self: BeaconEntry, bridge: Endpoint.Endpoint, nowMs: number): BeaconEntry | undefined => {
  const former = self.former !== undefined && Endpoint.equals(self.former.address, bridge) ? undefined : self.former
  if (!Endpoint.equals(self.address, bridge)) return { ...self, former }
  const { candidate } = self
  if (candidate === undefined || nowMs - candidate.sinceMs >= SILENT_MS) return undefined
  return { ...proceeded(self, candidate.address, nowMs), former }
}

/** Where frames for the node go: its address, and the one before for a few seconds after a change. */
export const addresses = (self: BeaconEntry, nowMs: number): ReadonlyArray<Endpoint.Endpoint> =>
  self.former !== undefined && nowMs < self.former.untilMs ? [self.address, self.former.address] : [self.address]

/** True when the node may send from there. */
export const isCurrent = (self: BeaconEntry, from: Endpoint.Endpoint, nowMs: number): boolean =>
  addresses(self, nowMs).some((address) => Endpoint.equals(address, from))

const moved = (self: BeaconEntry, announcement: Announcement, nowMs: number): BeaconEntry => ({
  ...make(announcement, nowMs),
  former: { address: self.address, untilMs: nowMs + BOTH_MS }
})

const proceeded = (self: BeaconEntry, address: Endpoint.Endpoint, nowMs: number): BeaconEntry => ({
  address,
  seenAtMs: nowMs,
  isExtended: self.isExtended,
  candidate: undefined,
  former: { address: self.address, untilMs: nowMs + BOTH_MS }
})

/** An address unused for this long gives way to a new one at once. */
const SILENT_MS = 60_000
/** Least time between the two announcements of a candidate. */
const CONFIRM_MS = 500
/** How long both addresses are served after a change. */
const BOTH_MS = 5000

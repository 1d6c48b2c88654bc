/**
 * Liveness (rendezvous §3.1): a node is present while something it signed arrived within the stale limit. Kept apart
 * from the records because it changes with every heartbeat and is never stored: after a restart everybody present has
 * one full limit to report again.
 */
import type { NodeId } from "../wire/Address.ts"

/** Monotonic milliseconds by present node. Mutable; owned by `Registry`. */
export interface Leases {
  /** When it was last heard. */
  readonly lastSeenAtMs: Map<NodeId, number>
  /** When it last registered. */
  readonly registeredAtMs: Map<NodeId, number>
}

/** Nobody is present. */
export const make = (): Leases => ({ lastSeenAtMs: new Map(), registeredAtMs: new Map() })

/** The node registered now. */
export const begin = (self: Leases, node: NodeId, nowMs: number): void => {
  self.registeredAtMs.set(node, nowMs)
  self.lastSeenAtMs.set(node, nowMs)
}

/** The node was heard now. */
export const renew = (self: Leases, node: NodeId, nowMs: number): void => {
  self.lastSeenAtMs.set(node, nowMs)
}

/** The node left. */
export const end = (self: Leases, node: NodeId): void => {
  self.lastSeenAtMs.delete(node)
  self.registeredAtMs.delete(node)
}

/** True while the node was heard within `limitMs`. */
export const isFresh = (self: Leases, node: NodeId, nowMs: number, limitMs: number): boolean => {
  const seenAtMs = self.lastSeenAtMs.get(node)
  return seenAtMs !== undefined && nowMs - seenAtMs <= limitMs
}

/** The nodes silent for longer than `limitMs`. */
export const stale = (self: Leases, nowMs: number, limitMs: number): ReadonlyArray<NodeId> => {
  const silent: Array<NodeId> = []
  for (const [node, seenAtMs] of self.lastSeenAtMs) if (nowMs - seenAtMs > limitMs) silent.push(node)
  return silent
}

/**
 * Liveness (rendezvous §3.1): a node is present while something it signed arrived within the stale limit. Kept apart
 * from the records because it changes with every heartbeat and is never stored: after a restart everybody present has
 * one full limit to report again.
 *
 * Two numbers a node, in arrays for a thousand neighbouring ids each: ids count up, so that few are half empty.
 */
import { NodeId } from "../wire/Address.ts"

/** Monotonic milliseconds by present node. Mutable; owned by `Registry`. */
export interface Leases {
  /** By id / `CHUNK_NODES`: when each was last heard, then when it last registered; `NaN` for one that is not there. */
  readonly chunks: Map<number, Float64Array>
  /** Present nodes. */
  count: number
}

/** Nobody is present. */
export const make = (): Leases => ({ chunks: new Map(), count: 0 })

/** The node registered now. */
export const begin = (self: Leases, node: NodeId, nowMs: number): void => {
  renew(self, node, nowMs)
  const chunk = self.chunks.get(chunkOf(node))
  if (chunk !== undefined) chunk[placeOf(node) + 1] = nowMs
}

/** The node was heard now. */
export const renew = (self: Leases, node: NodeId, nowMs: number): void => {
  const known = self.chunks.get(chunkOf(node))
  const chunk = known ?? new Float64Array(2 * CHUNK_NODES).fill(Number.NaN)
  if (known === undefined) self.chunks.set(chunkOf(node), chunk)
  if (Number.isNaN(chunk[placeOf(node)])) self.count++
  chunk[placeOf(node)] = nowMs
}

/** The node left. */
export const end = (self: Leases, node: NodeId): void => {
  const chunk = self.chunks.get(chunkOf(node))
  if (chunk === undefined || Number.isNaN(chunk[placeOf(node)])) return
  self.count--
  chunk.fill(Number.NaN, placeOf(node), placeOf(node) + 2)
}

/** When the node last registered, if it is present. */
export const registeredAtMs = (self: Leases, node: NodeId): number | undefined => known(self, node, 1)

/** True while the node was heard within `limitMs`. */
export const isFresh = (self: Leases, node: NodeId, nowMs: number, limitMs: number): boolean => {
  const seenAtMs = known(self, node, 0)
  return seenAtMs !== undefined && nowMs - seenAtMs <= limitMs
}

/** The nodes silent for longer than `limitMs`. */
export const stale = (self: Leases, nowMs: number, limitMs: number): ReadonlyArray<NodeId> => {
  const nodes: Array<NodeId> = []
  for (const [index, chunk] of self.chunks) {
    for (let place = 0; place < chunk.length; place += 2) {
      // False for whoever is not there.
      if (nowMs - chunk[place]! > limitMs) nodes.push(NodeId(index * CHUNK_NODES + place / 2))
    }
  }
  return nodes
}

/** The present nodes. */
export const nodes = (self: Leases): ReadonlyArray<NodeId> => stale(self, 0, Number.NEGATIVE_INFINITY)

const known = (self: Leases, node: NodeId, offset: 0 | 1): number | undefined => {
  const atMs = self.chunks.get(chunkOf(node))?.[placeOf(node) + offset]
  return atMs === undefined || Number.isNaN(atMs) ? undefined : atMs
}

const chunkOf = (node: NodeId): number => Math.floor(node / CHUNK_NODES)
const placeOf = (node: NodeId): number => 2 * (node % CHUNK_NODES)

const CHUNK_NODES = 1024

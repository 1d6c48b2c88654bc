/**
 * Who trusts whom, as the registry is told (rendezvous §4.8). Each node reports for itself; two nodes are a pair when
 * both did, or when one accepted the relayed request of the other. The reference lets one side make a pair alone, which
 * opens every private node to anybody.
 */
import type { NodeId } from "../wire/Address.ts"
import { Change } from "./Change.ts"

/** One-way reports. Mutable; owned by `Registry`. */
export interface TrustPairs {
  readonly reports: Map<NodeId, Set<NodeId>>
  /** Pairs whose both halves exist. */
  pairsCount: number
}

/** Nobody trusts anybody. */
export const make = (): TrustPairs => ({ reports: new Map(), pairsCount: 0 })

/** True when `from` reported `to`. */
export const hasReport = (self: TrustPairs, from: NodeId, to: NodeId): boolean =>
  self.reports.get(from)?.has(to) === true

/** True when both reported each other. */
export const isPair = (self: TrustPairs, a: NodeId, b: NodeId): boolean =>
  hasReport(self, a, b) && hasReport(self, b, a)

/** Records one report; `full` when the node has reported `REPORTS_MAX` others already. */
export const report = (self: TrustPairs, from: NodeId, to: NodeId): ReadonlyArray<Change> | "full" => {
  if (hasReport(self, from, to)) return []
  const peers = self.reports.get(from) ?? new Set()
  if (peers.size >= REPORTS_MAX) return "full"
  self.reports.set(from, peers.add(to))
  if (hasReport(self, to, from)) self.pairsCount++
  return [Change.TrustStored({ from, to })]
}

/** Removes both halves, whichever exist; nothing changed when there were none. Either side may revoke. */
export const revoke = (self: TrustPairs, a: NodeId, b: NodeId): ReadonlyArray<Change> => {
  if (isPair(self, a, b)) self.pairsCount--
  return [...remove(self, a, b), ...(a === b ? [] : remove(self, b, a))]
}

/** The nodes that form a pair with this one. */
export function* partners(self: TrustPairs, node: NodeId): Generator<NodeId> {
  for (const peer of self.reports.get(node) ?? []) if (hasReport(self, peer, node)) yield peer
}

/** Every pair once, smaller id first. */
export function* pairs(self: TrustPairs): Generator<readonly [NodeId, NodeId]> {
  for (const [node, peers] of self.reports) {
    for (const peer of peers) if (node < peer && hasReport(self, peer, node)) yield [node, peer]
  }
}

const remove = (self: TrustPairs, from: NodeId, to: NodeId): ReadonlyArray<Change> => {
  const peers = self.reports.get(from)
  if (peers === undefined || !peers.delete(to)) return []
  if (peers.size === 0) self.reports.delete(from)
  return [Change.TrustRemoved({ from, to })]
}

/** One node's reports; far above the trust list of any real node. */
const REPORTS_MAX = 10_000

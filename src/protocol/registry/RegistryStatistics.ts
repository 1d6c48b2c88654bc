/** What the dashboard may show (rendezvous §6): counts, addresses, tags and trust; no endpoints, keys, names, owners. */
import * as Address from "../wire/Address.ts"
import * as Lease from "./Lease.ts"
import * as NodeRecord from "./NodeRecord.ts"
import * as NodeTable from "./NodeTable.ts"
import type { RegistryState } from "./RegistryState.ts"
import * as TrustPairs from "./TrustPairs.ts"

/** One registered node as the public sees it. */
export interface NodeStatistics {
  readonly address: string
  readonly tags: ReadonlyArray<string>
  readonly online: boolean
  readonly trustLinks: number
  readonly taskExec: boolean
  readonly poloScore: number
}

/** A registry at one moment. */
export interface RegistryStatistics {
  readonly totalNodes: number
  readonly activeNodes: number
  readonly totalTrustLinks: number
  readonly uniqueTags: number
  readonly taskExecutors: number
  readonly nodes: ReadonlyArray<NodeStatistics>
  /** Pairs whose both ends are registered now. */
  readonly edges: ReadonlyArray<{ readonly source: string; readonly target: string }>
}

/** Walks everything: ask for it rarely. */
export const collect = (state: RegistryState, nowMs: number): RegistryStatistics => {
  const present = Lease.nodes(state.leases).flatMap((id) => NodeTable.present(state.nodes, id) ?? [])
  const nodes = present.map((node) => ({
    address: NodeRecord.address(node),
    tags: node.tags,
    online: Lease.isFresh(state.leases, node.id, nowMs, state.policy.staleMs),
    trustLinks: [...TrustPairs.partners(state.trust, node.id)].length,
    taskExec: node.taskExec,
    poloScore: node.poloScore
  }))
  return {
    totalNodes: nodes.length,
    activeNodes: nodes.filter(({ online }) => online).length,
    totalTrustLinks: state.trust.pairsCount,
    uniqueTags: new Set(nodes.flatMap(({ tags }) => tags)).size,
    taskExecutors: nodes.filter(({ taskExec }) => taskExec).length,
    nodes: nodes.sort((a, b) => (a.address < b.address ? -1 : 1)),
    edges: [...TrustPairs.pairs(state.trust)]
      .filter(([a, b]) => isPresent(state, a) && isPresent(state, b))
      .map(([a, b]) => ({ source: addressOf(a), target: addressOf(b) }))
  }
}

const isPresent = (state: RegistryState, id: Address.NodeId): boolean =>
  NodeTable.present(state.nodes, id) !== undefined

const addressOf = (id: Address.NodeId): string => Address.format(Address.make(0, id))

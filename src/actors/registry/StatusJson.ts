/** `/api/stats` (rendezvous §6): the registry at a glance, members in the reference's order. */
import type * as Json from "../../core/data/Json.ts"
import type { RegistryStatistics } from "../../protocol/registry/RegistryStatistics.ts"

/** The object; custom networks are switched off, so the list has the backbone alone. */
export const make = (
  statistics: RegistryStatistics,
  totalRequests: number,
  uptimeSeconds: number
): Json.JsonObject => ({
  total_nodes: statistics.totalNodes,
  active_nodes: statistics.activeNodes,
  total_trust_links: statistics.totalTrustLinks,
  total_requests: totalRequests,
  unique_tags: statistics.uniqueTags,
  task_executors: statistics.taskExecutors,
  networks: [{ id: 0, name: "backbone", members: statistics.totalNodes, online_members: statistics.activeNodes }],
  nodes: statistics.nodes.map((node) => ({
    address: node.address,
    tags: node.tags,
    online: node.online,
    trust_links: node.trustLinks,
    task_exec: node.taskExec,
    polo_score: node.poloScore
  })),
  edges: statistics.edges.map(({ source, target }) => ({ source, target })),
  uptime_secs: Math.floor(uptimeSeconds)
})

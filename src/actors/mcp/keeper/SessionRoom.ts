/** How many sessions a keeper has at the same time, and which gives way to another (mcp §6.4). */
import type { Service } from "./ServiceTable.ts"
import type { Entry } from "./SessionEntry.ts"

/**
 * Whether the peer with that node id may have one more. Makes room by giving up one of its own that nobody uses, or else one
 * whose client is gone for good and whose parked calls still run.
 */
export const make = (sessions: Map<string, Entry>, service: Service, node: number): boolean => {
  const given = service.rules?.sessions
  const all = [...sessions.values()]
  const ofService = all.filter((entry) => entry.service === service.name)
  if (ofService.length >= Math.max(SESSIONS_PER_SERVICE, given ?? 0)) return false
  if (all.filter((entry) => entry.remote.node === node).length >= SESSIONS_OF_PEER) return false
  const own = ofService.filter((entry) => entry.remote.node === node)
  if (own.length < (given ?? SESSIONS_PER_PEER)) return true
  const spare =
    own.find((entry) => entry.relay?.session.isIdle() === true) ?? own.find((entry) => entry.upstream.isAbandoned())
  if (spare === undefined) return false
  sessions.delete(spare.key)
  spare.stop()
  return true
}

/** Sessions of one service, and so children, at the same time: of one peer, unless its owner says otherwise, and of all (mcp §6.4). */
const SESSIONS_PER_PEER = 4
const SESSIONS_PER_SERVICE = 32
/** Sessions of one peer, of all services: one mount of each of many services is an ordinary use. */
const SESSIONS_OF_PEER = 256

/** What a peer wants to do, as services ask about it. */
import type { Arguments } from "../relay/ToolPattern.ts"

/** The parts of a node that a rule can speak of. */
export const SERVICES = [
  "port",
  "datagram",
  "echo",
  "messages",
  "files/push",
  "files/pull",
  "events/publish",
  "events/subscribe",
  "tasks",
  "mcp"
] as const
/** One of them. */
export type Service = (typeof SERVICES)[number]

/**
 * One wish. `target` is what it is about: the share and path that is pulled, the topic, the kind of a task (empty
 * for one that names none), the MCP server; undefined while
 * that is not known yet, as when a stream to the service's port opens. Then a denial holds only if it covers every target,
 * and a permission if it covers any.
 */
export interface Action {
  readonly service: Service
  /** Of `port` and `datagram`. */
  readonly port?: number
  readonly target?: string
  /** Of `mcp`: the tool; `@METHOD` for what is no call of a tool. */
  readonly tool?: string
  readonly argument?: Arguments
  /** What it costs of limits in bytes, as far as that is known; 0 unless said. */
  readonly sizeBytes?: number
}

/** `events/publish data.x`, for people. */
export const format = ({ port, service, target, tool }: Action): string => {
  const parts = [port === undefined ? undefined : String(port), target, tool]
  return [service, ...parts.filter((part) => part !== undefined)].join("/")
}

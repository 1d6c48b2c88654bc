/**
 * The tasks extension of the modern revision (mcp §1.6), as a server speaks it: an answer `resultType: "task"`, later asked
 * about with `tasks/get`, given input with `tasks/update`, stopped with `tasks/cancel`. Nothing here has a state.
 */
import { KEY, META } from "./era/EraTranslator.ts"
import * as RawRpc from "./era/RawRpc.ts"
import * as JsonEdit from "./JsonEdit.ts"
import * as JsonRpcPeek from "./JsonRpcPeek.ts"

/** How clients and servers call it in their capabilities. */
export const EXTENSION = "io.modelcontextprotocol/tasks"

/** The requests about a task, whose `params.taskId` names it. */
export const METHODS: ReadonlySet<string> = new Set(["tasks/get", "tasks/update", "tasks/cancel"])

/** What a task is in. */
export type Status = "working" | "input_required" | "completed" | "cancelled" | "failed"

/** Whether a task with this status may still change. */
export const isOpen = (status: string): boolean => status === "working" || status === "input_required"

/** A task as it is told. Instants are ISO 8601 texts; `ttlMs` counts from the creation. */
export interface Facts {
  readonly taskId: string
  readonly status: Status
  readonly statusMessage: string | undefined
  readonly createdAt: string
  readonly lastUpdatedAt: string
  readonly ttlMs: number
  readonly pollIntervalMs: number
}

/** Whether the client of a request takes tasks: it says so with each one. */
export const isDeclared = (message: Uint8Array): boolean =>
  JsonRpcPeek.member(message, [...META, KEY.capabilities, "extensions", EXTENSION]) !== undefined

/** The task that a request is about. */
export const idOf = (message: Uint8Array): string | undefined => JsonRpcPeek.string(message, ["params", "taskId"])

/** The answer to a request that became a task. */
export const created = (id: string, facts: Facts): Uint8Array => RawRpc.result(id, text("task", facts, undefined))

/** The answer to `tasks/get`; `more` is a member that the status has, its value JSON text. */
export const told = (id: string, facts: Facts, more?: readonly [key: string, raw: string]): Uint8Array =>
  RawRpc.result(id, text("complete", facts, more))

/** The answer to `tasks/update` and `tasks/cancel`. */
export const acknowledged = (id: string): Uint8Array => RawRpc.result(id, '{"resultType":"complete"}')

/** The refusal of a task that there is not, or is not any more: one of a mount that has ended is not told from the others. */
export const unknown = (id: string): Uint8Array => RawRpc.failure(id, -32602, UNKNOWN)

/** The refusal of a client that does not declare the extension. */
export const undeclared = (id: string): Uint8Array =>
  RawRpc.failure(id, -32021, "The client does not declare the tasks extension.", {
    requiredCapabilities: { extensions: { [EXTENSION]: {} } }
  })

/** An answer to `server/discover` that offers the extension as well. */
export const offered = (message: Uint8Array): Uint8Array =>
  JsonEdit.setMissing(message, ["result", "capabilities", "extensions"], [[EXTENSION, "{}"]])

const UNKNOWN =
  "There is no such task. A task ends with the mount that made it, and its result is kept for ten minutes; " +
  "find out whether it was carried out before calling again."
const text = (resultType: string, facts: Facts, more: readonly [string, string] | undefined): string => {
  const known = JSON.stringify({ resultType, ...facts })
  return more === undefined ? known : `${known.slice(0, -1)},${JSON.stringify(more[0])}:${more[1]}}`
}

/**
 * Tasks of revision 2025-11-25 and those of the modern extension in each other's words (mcp §1.6): the same facts under other
 * names, flat or in `task`.
 */
import * as Bytes from "../../../core/data/Bytes.ts"
import * as Json from "../../../core/data/Json.ts"
import * as JsonEdit from "../JsonEdit.ts"
import * as JsonRpcPeek from "../JsonRpcPeek.ts"
import * as JsonScanner from "../JsonScanner.ts"
import * as TaskExtension from "../TaskExtension.ts"
import * as RawRpc from "./RawRpc.ts"

/** A task in the words of the legacy revision. */
export interface Task {
  readonly taskId: string
  readonly status: string
  readonly statusMessage: string | undefined
  readonly createdAt: string
  readonly lastUpdatedAt: string
  /** From its creation; null is for ever. */
  readonly ttl: number | null
  readonly pollInterval: number | undefined
}

/** The task in the result of a modern server; undefined if there is none. */
export const ofModern = (message: Uint8Array): Task | undefined => {
  const result = Json.parseObject(JsonRpcPeek.member(message, ["result"]) ?? "{}") ?? {}
  const taskId = Json.string(result, "taskId")
  if (taskId === "") return undefined
  return {
    taskId,
    status: Json.string(result, "status"),
    statusMessage: Json.string(result, "statusMessage") || undefined,
    createdAt: Json.string(result, "createdAt"),
    lastUpdatedAt: Json.string(result, "lastUpdatedAt"),
    ttl: count(result, "ttlMs") ?? null,
    pollInterval: count(result, "pollIntervalMs")
  }
}

/** The answer to a call that became a task. `id` is JSON text. */
export const created = (id: string, task: Task): Uint8Array => RawRpc.result(id, JSON.stringify({ task }))

/** The answer to `tasks/get` and `tasks/cancel`. */
export const told = (id: string, task: Task): Uint8Array => RawRpc.result(id, JSON.stringify(task))

/** The answer to `tasks/list`. */
export const listed = (id: string, tasks: ReadonlyArray<Task>): Uint8Array =>
  RawRpc.result(id, JSON.stringify({ tasks }))

/** An answer, or a question, that says which task it belongs to. `at` is where its `_meta` is. */
export const related = (message: Uint8Array, at: "result" | "params", taskId: string): Uint8Array =>
  JsonEdit.set(message, [at, "_meta"], [[RELATED, JSON.stringify({ taskId })]])

/** The list of tools, each of which may be called as a task. */
export const offering = (message: Uint8Array): Uint8Array => {
  const found = JsonEdit.find(message, ["result", "tools"])
  const tools = found.missing.length > 0 ? undefined : JsonScanner.read(message, found.span)
  if (tools?._tag !== "Array") return message
  return JsonEdit.splice(
    message,
    tools.elements.map(({ end, start }) => {
      const tool = JsonEdit.setMissing(message.subarray(start, end), ["execution"], [["taskSupport", '"optional"']])
      return { start, end, text: Bytes.toUtf8Lossy(tool) }
    })
  )
}

/** Whether a server offers the extension in its answer to `server/discover`. */
export const isOffered = (discovered: Uint8Array): boolean =>
  JsonRpcPeek.member(discovered, ["result", "capabilities", "extensions", TaskExtension.EXTENSION]) !== undefined

/** The capabilities of a client, as JSON text, with the extension. */
export const declaring = (capabilities: string): string =>
  Bytes.toUtf8Lossy(JsonEdit.set(Bytes.fromUtf8(capabilities), ["extensions"], [[TaskExtension.EXTENSION, "{}"]]))

/** What a legacy client is offered. */
export const CAPABILITY: Json.JsonObject = { list: {}, cancel: {}, requests: { tools: { call: {} } } }

const count = (self: Json.JsonObject, key: string): number | undefined => {
  const value = Json.member(self, key)
  return typeof value === "number" && value >= 0 ? value : undefined
}

const RELATED = "io.modelcontextprotocol/related-task"

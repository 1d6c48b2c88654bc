/**
 * Ids of tasks as the client of a front knows them (mcp §1.6, §6.11): with the alias of their service before them, so that
 * equal ids of two services are two tasks, and a front that has been started anew still knows whose a task is.
 */
import * as FederatedName from "../../../protocol/mcp/FederatedName.ts"
import * as JsonRpcPeek from "../../../protocol/relay/JsonRpcPeek.ts"
import * as JsonSplice from "../../../protocol/relay/JsonSplice.ts"

/** The answer of a service to `request`, which was of that method, as the client shall see it. */
export const answer = (alias: string, method: string, request: Uint8Array, response: Uint8Array): Uint8Array => {
  if (method === "tools/call") {
    const isAsked = JsonRpcPeek.member(request, ["params", "task"]) !== undefined
    if (isAsked) return outward(alias, response, CREATED)
    return JsonRpcPeek.string(response, ["result", "resultType"]) === "task" ? outward(alias, response, FLAT) : response
  }
  return method.startsWith("tasks/") ? outward(alias, outward(alias, response, FLAT), RELATED_RESULT) : response
}

/** What a service says or asks by itself, as the client shall see it. */
export const told = (alias: string, method: string, message: Uint8Array): Uint8Array => {
  const isStatus = method === "notifications/tasks/status" || method === "notifications/tasks"
  const named = isStatus ? outward(alias, message, PARAMS) : message
  return outward(alias, named, RELATED_PARAMS)
}

/** What the client answers a service. */
export const replied = (alias: string, response: Uint8Array): Uint8Array => {
  const found = FederatedName.taskIn(JsonRpcPeek.string(response, RELATED_RESULT) ?? "")
  return found?.alias === alias ? inward(response, RELATED_RESULT, found.inner) : response
}

/** A request about a task as its service wants it. */
export const asked = (message: Uint8Array, inner: string): Uint8Array => inward(message, PARAMS, inner)

const inward = (message: Uint8Array, path: ReadonlyArray<string>, inner: string): Uint8Array =>
  JsonSplice.replace(message, path, JSON.stringify(inner))

const outward = (alias: string, message: Uint8Array, path: ReadonlyArray<string>): Uint8Array => {
  const inner = JsonRpcPeek.string(message, path)
  return inner === undefined
    ? message
    : JsonSplice.replace(message, path, JSON.stringify(FederatedName.task(alias, inner)))
}

const RELATED = ["_meta", "io.modelcontextprotocol/related-task", "taskId"]
const PARAMS = ["params", "taskId"]
const RELATED_PARAMS = ["params", ...RELATED]
const RELATED_RESULT = ["result", ...RELATED]
/** Of the modern extension, and of a look at any task. */
const FLAT = ["result", "taskId"]
/** Of the legacy revision. */
const CREATED = ["result", "task", "taskId"]

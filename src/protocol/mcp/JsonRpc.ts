/**
 * JSON-RPC 2.0 messages as an MCP client of our own reads and writes them (mcp §2.1). The relay does not need them: it
 * passes the bytes of others. Ids of ours are numbers; those of the other side keep their type.
 */
import { Data } from "effect"
import * as Json from "../../core/data/Json.ts"

/** An id as the other side chose it. */
export type Id = string | number

/** What the other side sends. */
export type Incoming = Data.TaggedEnum<{
  Result: { readonly id: Id; readonly result: Json.JsonObject }
  Failure: { readonly id: Id; readonly error: Json.JsonObject }
  Request: { readonly id: Id; readonly method: string; readonly params: Json.JsonObject }
  Notification: { readonly method: string; readonly params: Json.JsonObject }
}>
/** Constructors of `Incoming`. */
export const Incoming = Data.taggedEnum<Incoming>()

/** The messages of one line, one for each element of a batch; nothing for what is none. */
export const parse = (line: string): ReadonlyArray<Incoming> => {
  const value = Json.parse(line)
  const items = Array.isArray(value) ? value : [value]
  return items.flatMap((item) => {
    const message = Json.isObject(item) ? ofObject(item) : undefined
    return message === undefined ? [] : [message]
  })
}

const ofObject = (message: Json.JsonObject): Incoming | undefined => {
  const id = Json.member(message, "id")
  const method = Json.member(message, "method")
  if (typeof method === "string") {
    const params = objectOf(message, "params")
    return isId(id) ? Incoming.Request({ id, method, params }) : Incoming.Notification({ method, params })
  }
  if (!isId(id)) return undefined
  const error = Json.member(message, "error")
  return Json.isObject(error)
    ? Incoming.Failure({ id, error })
    : Incoming.Result({ id, result: objectOf(message, "result") })
}

/** A request, without its newline. */
export const request = (id: number, method: string, params: Json.JsonObject): string =>
  JSON.stringify({ jsonrpc: "2.0", id, method, params })

/** A notification. */
export const notification = (method: string, params: Json.JsonObject): string =>
  JSON.stringify({ jsonrpc: "2.0", method, params })

/** The answer to a request of the other side. */
export const result = (id: Id, value: Json.JsonObject): string => JSON.stringify({ jsonrpc: "2.0", id, result: value })

/** The refusal of one. */
export const failure = (id: Id, code: number, message: string): string =>
  JSON.stringify({ jsonrpc: "2.0", id, error: { code, message } })

/** JSON-RPC's own codes that we give. */
export const METHOD_NOT_FOUND = -32601

const isId = (value: Json.Json | undefined): value is Id => typeof value === "string" || typeof value === "number"

const objectOf = (self: Json.JsonObject, key: string): Json.JsonObject => {
  const value = Json.member(self, key)
  return Json.isObject(value) ? value : {}
}

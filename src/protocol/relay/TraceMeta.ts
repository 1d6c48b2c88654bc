/**
 * The W3C trace context of a request, in `params._meta.traceparent` (mcp §1.4): read, and put in where there is none. All
 * other bytes stay as they were.
 */
import * as Bytes from "../../core/data/Bytes.ts"
import * as JsonRpcPeek from "./JsonRpcPeek.ts"
import * as JsonScanner from "./JsonScanner.ts"
import * as RawJson from "./RawJson.ts"

/** What the request says; undefined if it says nothing, or more than one thing. */
export const traceparentOf = (message: Uint8Array): string | undefined =>
  JsonRpcPeek.string(message, ["params", "_meta", "traceparent"])

/** The same in the members of a single message that was looked at already. */
export const traceparentIn = (message: Uint8Array, members: ReadonlyArray<JsonScanner.Member>): string | undefined => {
  const meta = memberOf(memberOf(members, "params")?.members, "_meta")
  const found = memberOf(meta?.members, "traceparent")
  return found === undefined ? undefined : JsonScanner.string(message, found)
}

const memberOf = (members: ReadonlyArray<JsonScanner.Member> | undefined, key: string) =>
  members?.find((member) => member.key === key)

/** The request with that context in it; one that has params of another kind than an object stays as it is. */
export const write = (message: Uint8Array, traceparent: string): Uint8Array => {
  const member = `"traceparent":${JSON.stringify(traceparent)}`
  const [whole, second] = RawJson.messages(message)
  if (whole === undefined || second !== undefined) return message
  const params = RawJson.members(message, whole, "params")
  if (params.length === 0) return insert(message, whole, `"params":{"_meta":{${member}}}`)
  const [only] = params
  if (only === undefined || params.length > 1 || !isObject(message, only)) return message
  const metas = RawJson.members(message, only, "_meta")
  if (metas.length === 0) return insert(message, only, `"_meta":{${member}}`)
  const [meta] = metas
  return meta === undefined || metas.length > 1 || !isObject(message, meta) ? message : insert(message, meta, member)
}

const isObject = (bytes: Uint8Array, span: JsonScanner.Span): boolean =>
  JsonScanner.read(bytes, span)?._tag === "Object"

/** A member put first in the object at `span`. */
const insert = (bytes: Uint8Array, span: JsonScanner.Span, member: string): Uint8Array => {
  const root = JsonScanner.read(bytes, span)
  const at = bytes.indexOf(OPEN_BRACE, span.start) + 1
  const isEmpty = root?._tag !== "Object" || root.members.length === 0
  return Bytes.concat(bytes.subarray(0, at), Bytes.fromUtf8(isEmpty ? member : `${member},`), bytes.subarray(at))
}

const OPEN_BRACE = 0x7b

/**
 * Who calls, told to the server in `_meta` (mcp §1.4, §6.10), for services whose owner wants it: the one thing a relay adds.
 * Whatever a client itself says under our prefix is taken out of sight, so that the server can believe the key.
 */
import * as Bytes from "../../core/data/Bytes.ts"
import type { JsonObject } from "../../core/data/Json.ts"
import * as JsonScanner from "./JsonScanner.ts"
import * as RawJson from "./RawJson.ts"

/** The member of `params._meta`. */
export const KEY = "dev.effect-pilot/caller"

/** The message, or every request of a batch, with the caller in it; the other bytes stay. */
export const write = (message: Uint8Array, caller: JsonObject): Uint8Array => {
  const value = JSON.stringify(caller)
  const edits = RawJson.messages(message).flatMap((span) => editsOf(message, span, value))
  if (edits.length === 0) return message
  const pieces: Array<Uint8Array> = []
  let at = 0
  for (const { end, start, text } of edits) {
    pieces.push(message.subarray(at, start), Bytes.fromUtf8(text))
    at = end
  }
  pieces.push(message.subarray(at))
  return Bytes.concat(...pieces)
}

interface Edit extends JsonScanner.Span {
  readonly text: string
}

const editsOf = (bytes: Uint8Array, message: JsonScanner.Span, value: string): ReadonlyArray<Edit> => {
  if (RawJson.members(bytes, message, "id").length === 0 || RawJson.members(bytes, message, "method").length === 0)
    return []
  const own = `${JSON.stringify(KEY)}:${value}`
  const params = RawJson.members(bytes, message, "params")
  if (params.length === 0) return [insertion(bytes, message, `"params":{"_meta":{${own}}}`)]
  return params.flatMap((span) => {
    if (JsonScanner.read(bytes, span)?._tag !== "Object") return []
    const metas = RawJson.members(bytes, span, "_meta")
    if (metas.length === 0) return [insertion(bytes, span, `"_meta":{${own}}`)]
    return metas.flatMap((meta) => metaEdits(bytes, meta, own, value))
  })
}

/** Values of ours are replaced where they stand; those that only look like ours become `null`. */
const metaEdits = (bytes: Uint8Array, meta: JsonScanner.Span, own: string, value: string): ReadonlyArray<Edit> => {
  const root = JsonScanner.read(bytes, meta)
  if (root?._tag !== "Object") return [{ ...meta, text: `{${own}}` }]
  const claimed = root.members
    .filter(({ key }) => key.toLowerCase().startsWith(PREFIX))
    .map(({ end, key, start }) => ({ start, end, text: key === KEY ? value : "null" }))
  return root.members.some(({ key }) => key === KEY) ? claimed : [insertion(bytes, meta, own), ...claimed]
}

/** A member put first in the object at `span`. */
const insertion = (bytes: Uint8Array, span: JsonScanner.Span, member: string): Edit => {
  const root = JsonScanner.read(bytes, span)
  const at = bytes.indexOf(OPEN_BRACE, span.start) + 1
  const isEmpty = root?._tag !== "Object" || root.members.length === 0
  return { start: at, end: at, text: isEmpty ? member : `${member},` }
}

const PREFIX = "dev.effect-pilot/"
const OPEN_BRACE = 0x7b

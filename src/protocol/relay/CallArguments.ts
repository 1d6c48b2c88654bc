/** The arguments of a call, read from the raw bytes for rules and for the record (mcp §6.10). */
import * as JsonScanner from "./JsonScanner.ts"
import * as RawJson from "./RawJson.ts"
import { type Arguments, UNCLEAR } from "./ToolPattern.ts"

/** The named arguments of the message at `message`. Texts are compared as they are, numbers and the like as written. */
export const reader =
  (bytes: Uint8Array, message: JsonScanner.Span): Arguments =>
  (name) => {
    const found = raw(bytes, message)
    if (found === undefined || found === UNCLEAR) return found
    const value = RawJson.only(bytes, found, name)
    if (value === undefined) return undefined
    const root = value === RawJson.TWICE ? undefined : JsonScanner.read(bytes, value)
    if (value === RawJson.TWICE || root?._tag !== "Scalar") return UNCLEAR
    return JsonScanner.string(bytes, value) ?? JsonScanner.text(bytes, value)
  }

/** Where `params.arguments` lies. */
export const raw = (bytes: Uint8Array, message: JsonScanner.Span): JsonScanner.Span | undefined | typeof UNCLEAR => {
  const params = RawJson.only(bytes, message, "params")
  const found = params === undefined || params === RawJson.TWICE ? params : RawJson.only(bytes, params, "arguments")
  return found === RawJson.TWICE ? UNCLEAR : found
}

/** The same in the members of a single message that was looked at already. */
export const of = (members: ReadonlyArray<JsonScanner.Member>): JsonScanner.Span | undefined | typeof UNCLEAR => {
  let found: JsonScanner.Span | undefined
  for (const member of members) {
    if (member.key !== "params") continue
    for (const inner of member.members ?? []) {
      if (inner.key !== "arguments") continue
      if (found !== undefined) return UNCLEAR
      found = inner
    }
  }
  return found
}

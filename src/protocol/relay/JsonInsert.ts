/** Adds members to an object within a message; every other byte stays (mcp §3.2). */
import * as Bytes from "../../core/data/Bytes.ts"
import * as JsonScanner from "./JsonScanner.ts"

/** Members by name, their values as raw JSON. */
export type RawMembers = Readonly<Record<string, string>>

/**
 * The message with `members` in the object at the end of `path`, in place of those of the same names. Objects on the way
 * that are missing are made; the same message if something else than an object is on the way.
 */
export const set = (bytes: Uint8Array, path: ReadonlyArray<string>, members: RawMembers): Uint8Array => {
  let span: JsonScanner.Span = { start: 0, end: bytes.length }
  for (const [index, key] of path.entries()) {
    const found = membersOf(bytes, span)
    if (found === undefined) return bytes
    const next = found.find((member) => member.key === key)
    if (next === undefined) return put(bytes, span, found, { [key]: nested(path.slice(index + 1), members) })
    span = next
  }
  const found = membersOf(bytes, span)
  return found === undefined ? bytes : put(bytes, span, found, members)
}

/** The message without members of those names in the object at the end of `path`; the same message if it is none. */
export const without = (bytes: Uint8Array, path: ReadonlyArray<string>, keys: ReadonlySet<string>): Uint8Array => {
  let span: JsonScanner.Span = { start: 0, end: bytes.length }
  for (const key of path) {
    const next = membersOf(bytes, span)?.find((member) => member.key === key)
    if (next === undefined) return bytes
    span = next
  }
  const found = membersOf(bytes, span)
  if (found === undefined || !found.some(({ key }) => keys.has(key))) return bytes
  const kept = found
    .filter(({ key }) => !keys.has(key))
    .map((member) => `${JSON.stringify(member.key)}:${JsonScanner.text(bytes, member)}`)
  return Bytes.concat(bytes.subarray(0, span.start), Bytes.fromUtf8(`{${kept.join(",")}}`), bytes.subarray(span.end))
}

const membersOf = (bytes: Uint8Array, span: JsonScanner.Span): ReadonlyArray<JsonScanner.Member> | undefined => {
  const root = JsonScanner.read(bytes, span)
  return root?._tag === "Object" ? root.members : undefined
}

/** Values of members that are there are replaced where they are; others go to the front. */
const put = (
  bytes: Uint8Array,
  span: JsonScanner.Span,
  found: ReadonlyArray<JsonScanner.Member>,
  members: RawMembers
): Uint8Array => {
  const pieces: Array<Uint8Array> = []
  const open = bytes.indexOf(OPEN_BRACE, span.start) + 1
  const fresh = Object.keys(members).filter((key) => !found.some((member) => member.key === key))
  const text = fresh.map((key) => `${JSON.stringify(key)}:${members[key]}`).join(",")
  pieces.push(bytes.subarray(0, open), Bytes.fromUtf8(found.length > 0 && text !== "" ? `${text},` : text))
  let at = open
  for (const { end, key, start } of found) {
    const value = Object.hasOwn(members, key) ? members[key] : undefined
    if (value === undefined) continue
    pieces.push(bytes.subarray(at, start), Bytes.fromUtf8(value))
    at = end
  }
  pieces.push(bytes.subarray(at))
  return Bytes.concat(...pieces)
}

const nested = (path: ReadonlyArray<string>, members: RawMembers): string => {
  const [key, ...rest] = path
  if (key !== undefined) return `{${JSON.stringify(key)}:${nested(rest, members)}}`
  return `{${Object.entries(members)
    .map(([name, value]) => `${JSON.stringify(name)}:${value}`)
    .join(",")}}`
}

const OPEN_BRACE = 0x7b

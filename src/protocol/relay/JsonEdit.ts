/**
 * Members put into raw JSON, or taken out of it, by cutting bytes: whatever is not named stays as it came, to the space
 * (mcp §3.2). Paths lead through objects only.
 */
import * as Bytes from "../../core/data/Bytes.ts"
import * as JsonScanner from "./JsonScanner.ts"

/** A member of an object; `raw` is JSON text. */
export interface RawMember {
  readonly key: string
  readonly raw: string
}

/** The members of the object at the end of `path`; undefined if there is none. */
export const members = (bytes: Uint8Array, path: ReadonlyArray<string>): ReadonlyArray<RawMember> | undefined => {
  const found = find(bytes, path)
  const root = found.missing.length > 0 ? undefined : JsonScanner.read(bytes, found.span)
  return root?._tag === "Object"
    ? root.members.map((member) => ({ key: member.key, raw: JsonScanner.text(bytes, member) }))
    : undefined
}

/**
 * Sets members of the object at the end of `path`, which is made if it is missing; a value on the way that is no object
 * is replaced by one. Every occurrence of a name gets the value, since readers differ about which one counts.
 */
export const set = (
  bytes: Uint8Array,
  path: ReadonlyArray<string>,
  values: ReadonlyArray<readonly [key: string, raw: string]>
): Uint8Array => write(bytes, path, values, true)

/** The same, but members that exist keep their values. */
export const setMissing = (
  bytes: Uint8Array,
  path: ReadonlyArray<string>,
  values: ReadonlyArray<readonly [key: string, raw: string]>
): Uint8Array => write(bytes, path, values, false)

/** The message without the members of those names in the object at the end of `path`. */
export const remove = (bytes: Uint8Array, path: ReadonlyArray<string>, keys: ReadonlyArray<string>): Uint8Array => {
  const found = find(bytes, path)
  return found.missing.length > 0
    ? bytes
    : splice(
        bytes,
        removals(bytes, found.span, (key) => keys.includes(key))
      )
}

/** Where the members lie that `isRemoved`, each with one comma, as pieces to cut. */
export const removals = (
  bytes: Uint8Array,
  span: JsonScanner.Span,
  isRemoved: (key: string, value: JsonScanner.Span) => boolean
): ReadonlyArray<Edit> => {
  const root = JsonScanner.read(bytes, span)
  if (root?._tag !== "Object") return []
  const cuts: Array<Edit> = []
  let kept = 0
  root.members.forEach((member, index) => {
    const previous = root.members[index - 1]
    if (!isRemoved(member.key, member)) {
      kept++
    } else if (kept > 0 && previous !== undefined) {
      cuts.push({ start: previous.end, end: member.end, text: "" })
    } else {
      const start = previous === undefined ? openingAt(bytes, span) + 1 : afterComma(bytes, previous.end)
      cuts.push({ start, end: afterComma(bytes, member.end), text: "" })
    }
  })
  return cuts
}

/** Text in the place of some bytes. */
export interface Edit extends JsonScanner.Span {
  readonly text: string
}

/** The message with the edits done; they are in order and do not overlap. */
export const splice = (bytes: Uint8Array, edits: ReadonlyArray<Edit>): Uint8Array => {
  if (edits.length === 0) return bytes
  const pieces: Array<Uint8Array> = []
  let at = 0
  for (const { end, start, text } of edits) {
    pieces.push(bytes.subarray(at, start), Bytes.fromUtf8(text))
    at = end
  }
  pieces.push(bytes.subarray(at))
  return Bytes.concat(...pieces)
}

/** Where a path ends in the message, or which part of it is not there: `span` is then the object that lacks it. */
export const find = (
  bytes: Uint8Array,
  path: ReadonlyArray<string>
): { readonly span: JsonScanner.Span; readonly missing: ReadonlyArray<string> } => {
  let span: JsonScanner.Span = { start: 0, end: bytes.length }
  for (const [index, key] of path.entries()) {
    const root = JsonScanner.read(bytes, span)
    const next = root?._tag === "Object" ? root.members.findLast((member) => member.key === key) : undefined
    if (next === undefined) return { span, missing: path.slice(index) }
    span = next
  }
  return { span, missing: [] }
}

const write = (
  bytes: Uint8Array,
  path: ReadonlyArray<string>,
  values: ReadonlyArray<readonly [string, string]>,
  replaces: boolean
): Uint8Array => {
  const { missing, span } = find(bytes, path)
  const root = JsonScanner.read(bytes, span)
  if (root?._tag !== "Object") {
    return span.start === 0 && span.end === bytes.length
      ? bytes
      : splice(bytes, [{ start: span.start, end: span.end, text: nested(missing, values) }])
  }
  const at = openingAt(bytes, span) + 1
  const insert = (texts: ReadonlyArray<string>): ReadonlyArray<Edit> =>
    texts.length === 0 ? [] : [{ start: at, end: at, text: texts.join(",") + (root.members.length === 0 ? "" : ",") }]
  const [first, ...rest] = missing
  if (first !== undefined) return splice(bytes, insert([`${JSON.stringify(first)}:${nested(rest, values)}`]))
  const absent = values.filter(([key]) => !root.members.some((member) => member.key === key))
  const inserted = insert(absent.map(([key, raw]) => `${JSON.stringify(key)}:${raw}`))
  const replaced = replaces
    ? root.members.flatMap(({ end, key, start }) =>
        values.flatMap(([name, raw]) => (name === key ? [{ start, end, text: raw }] : []))
      )
    : []
  return splice(bytes, [...inserted, ...replaced])
}

const nested = (path: ReadonlyArray<string>, values: ReadonlyArray<readonly [string, string]>): string => {
  const inner = `{${values.map(([key, raw]) => `${JSON.stringify(key)}:${raw}`).join(",")}}`
  return path.reduceRight((text, key) => `{${JSON.stringify(key)}:${text}}`, inner)
}

const openingAt = (bytes: Uint8Array, span: JsonScanner.Span): number => bytes.indexOf(OPEN_BRACE, span.start)

const afterComma = (bytes: Uint8Array, from: number): number => {
  let at = from
  while (SPACES.has(bytes[at] ?? 0)) at++
  return bytes[at] === COMMA ? at + 1 : from
}

const OPEN_BRACE = 0x7b
const COMMA = 0x2c
const SPACES: ReadonlySet<number> = new Set([0x20, 0x09, 0x0a, 0x0d])

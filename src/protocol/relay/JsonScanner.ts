/**
 * Reads JSON (RFC 8259) without building values: it checks the grammar and reports where the members of an object lie,
 * so that a message can be inspected and passed on as the bytes it came as (mcp §3.2: parsing and printing changes it).
 */
import * as KnownText from "./KnownText.ts"

/** Where a value lies: bytes `start` to `end`, without surrounding space. */
export interface Span {
  readonly start: number
  readonly end: number
}

/** One member of an object; `key` is decoded, its escapes resolved. `members` are its own, if they were asked for. */
export interface Member extends Span {
  readonly key: string
  readonly members: ReadonlyArray<Member> | undefined
}

/** Of which members the members are wanted as well, and of which of those. */
export interface Follow extends ReadonlyMap<string, Follow> {}

/** The deepest nesting that is followed (mcp §8, rule 11). */
export const DEPTH_MAX = 128

/** What fills the bytes: an object with its members (duplicates included), an array with its elements, or else a scalar. */
export type Root =
  | { readonly _tag: "Object"; readonly members: ReadonlyArray<Member> }
  | { readonly _tag: "Array"; readonly elements: ReadonlyArray<Span> }
  | { readonly _tag: "Scalar" }

/**
 * Reads the single value that fills `span` in one pass; `undefined` if it is not JSON or nests deeper than `DEPTH_MAX`.
 * Members named in `follow` that are objects bring their own members.
 */
export const read = (bytes: Uint8Array, span: Span, follow: Follow = NOTHING): Root | undefined => {
  const start = skipSpace(bytes, span.start)
  const first = bytes[start]
  if (first === OPEN_BRACE) {
    const members: Array<Member> = []
    const end = skipObject(bytes, start, 1, members, follow)
    return end < 0 || !isOnlySpace(bytes, end, span.end) ? undefined : { _tag: "Object", members }
  }
  if (first === OPEN_BRACKET) {
    const elements: Array<Span> = []
    const end = skipArray(bytes, start, 1, elements)
    return end < 0 || !isOnlySpace(bytes, end, span.end) ? undefined : { _tag: "Array", elements }
  }
  const end = skipValue(bytes, start, 0)
  return end < 0 || !isOnlySpace(bytes, end, span.end) ? undefined : SCALAR
}

/** The string at `span`, or `undefined` if it is something else. */
export const string = (bytes: Uint8Array, span: Span): string | undefined => {
  if (bytes[span.start] !== QUOTE) return undefined
  const known = KnownText.find(bytes, span.start + 1, span.end - 1)
  if (known !== undefined) return known
  const raw = text(bytes, span)
  if (!raw.includes("\\")) return raw.slice(1, -1)
  // The grammar was checked by whoever found the span, so this cannot throw.
  const value: unknown = JSON.parse(raw)
  return typeof value === "string" ? value : undefined
}

/** The raw text of a value. */
export const text = (bytes: Uint8Array, { end, start }: Span): string => {
  if (end - start > SHORT_BYTES) return UTF8.decode(bytes.subarray(start, end))
  // Calling the decoder costs more than the names and ids of most messages.
  let text = ""
  for (let at = start; at < end; at++) {
    const byte = bytes[at] ?? 0
    if (byte >= 0x80) return UTF8.decode(bytes.subarray(start, end))
    text += String.fromCharCode(byte)
  }
  return text
}

/** Space that follows the span belongs to what is around it. */
const isOnlySpace = (bytes: Uint8Array, from: number, to: number): boolean => {
  let at = from
  while (at < to && isSpace(bytes[at])) at++
  return at === to
}

const skipSpace = (bytes: Uint8Array, from: number): number => {
  let at = from
  while (isSpace(bytes[at])) at++
  return at
}

/** The end of the value at `from`, or -1; `depth` counts the arrays and objects around it. */
const skipValue = (bytes: Uint8Array, from: number, depth: number): number => {
  switch (bytes[from]) {
    case QUOTE:
      return skipString(bytes, from)
    case OPEN_BRACE:
      return depth >= DEPTH_MAX ? -1 : skipObject(bytes, from, depth + 1)
    case OPEN_BRACKET:
      return depth >= DEPTH_MAX ? -1 : skipArray(bytes, from, depth + 1)
    case 0x74:
      return skipLiteral(bytes, from, TRUE)
    case 0x66:
      return skipLiteral(bytes, from, FALSE)
    case 0x6e:
      return skipLiteral(bytes, from, NULL)
    default:
      return skipNumber(bytes, from)
  }
}

const skipObject = (
  bytes: Uint8Array,
  from: number,
  depth: number,
  found?: Array<Member>,
  follow: Follow = NOTHING
): number => {
  let at = skipSpace(bytes, from + 1)
  if (bytes[at] === CLOSE_BRACE) return at + 1
  while (true) {
    if (bytes[at] !== QUOTE) return -1
    const keyEnd = skipString(bytes, at)
    if (keyEnd < 0) return -1
    const colon = skipSpace(bytes, keyEnd)
    if (bytes[colon] !== COLON) return -1
    const start = skipSpace(bytes, colon + 1)
    let end: number
    if (found === undefined) end = skipValue(bytes, start, depth)
    else {
      const key = KnownText.find(bytes, at + 1, keyEnd - 1) ?? string(bytes, { start: at, end: keyEnd }) ?? ""
      const inner = bytes[start] === OPEN_BRACE && depth < DEPTH_MAX ? follow.get(key) : undefined
      const members: Array<Member> | undefined = inner === undefined ? undefined : []
      end = members === undefined ? skipValue(bytes, start, depth) : skipObject(bytes, start, depth + 1, members, inner)
      found.push({ key, start, end, members })
    }
    if (end < 0) return -1
    at = skipSpace(bytes, end)
    if (bytes[at] === CLOSE_BRACE) return at + 1
    if (bytes[at] !== COMMA) return -1
    at = skipSpace(bytes, at + 1)
  }
}

const skipArray = (bytes: Uint8Array, from: number, depth: number, found?: Array<Span>): number => {
  let at = skipSpace(bytes, from + 1)
  if (bytes[at] === CLOSE_BRACKET) return at + 1
  while (true) {
    const end = skipValue(bytes, at, depth)
    if (end < 0) return -1
    found?.push({ start: at, end })
    at = skipSpace(bytes, end)
    if (bytes[at] === CLOSE_BRACKET) return at + 1
    if (bytes[at] !== COMMA) return -1
    at = skipSpace(bytes, at + 1)
  }
}

const skipString = (bytes: Uint8Array, from: number): number => {
  let at = from + 1
  while (at < bytes.length) {
    const byte = bytes[at]!
    if (IS_PLAIN[byte] === 1) at++
    else if (byte === QUOTE) return at + 1
    else if (byte === BACKSLASH) {
      at = skipEscape(bytes, at)
      if (at < 0) return -1
    } else return -1
  }
  return -1
}

const skipEscape = (bytes: Uint8Array, from: number): number => {
  const byte = bytes[from + 1]
  if (byte === undefined) return -1
  if (byte !== LOWER_U) return ESCAPES.has(byte) ? from + 2 : -1
  for (let at = from + 2; at < from + 6; at++) {
    if (!isHex(bytes[at])) return -1
  }
  return from + 6
}

const skipNumber = (bytes: Uint8Array, from: number): number => {
  let at = bytes[from] === MINUS ? from + 1 : from
  const integerEnd = skipDigits(bytes, at)
  if (integerEnd === at || (bytes[at] === ZERO && integerEnd > at + 1)) return -1
  at = integerEnd
  if (bytes[at] === DOT) {
    const end = skipDigits(bytes, at + 1)
    if (end === at + 1) return -1
    at = end
  }
  if (bytes[at] === 0x65 || bytes[at] === 0x45) {
    const digits = bytes[at + 1] === MINUS || bytes[at + 1] === PLUS ? at + 2 : at + 1
    const end = skipDigits(bytes, digits)
    if (end === digits) return -1
    at = end
  }
  return at
}

const skipDigits = (bytes: Uint8Array, from: number): number => {
  let at = from
  while (isDigit(bytes[at])) at++
  return at
}

const skipLiteral = (bytes: Uint8Array, from: number, literal: ReadonlyArray<number>): number =>
  literal.every((byte, index) => bytes[from + index] === byte) ? from + literal.length : -1

const isSpace = (byte: number | undefined): boolean => byte === 0x20 || byte === 0x09 || byte === 0x0a || byte === 0x0d

const isDigit = (byte: number | undefined): boolean => byte !== undefined && byte >= ZERO && byte <= 0x39

const isHex = (byte: number | undefined): boolean =>
  byte !== undefined && (isDigit(byte) || (byte >= 0x41 && byte <= 0x46) || (byte >= 0x61 && byte <= 0x66))

const QUOTE = 0x22
const BACKSLASH = 0x5c
const OPEN_BRACE = 0x7b
const CLOSE_BRACE = 0x7d
const OPEN_BRACKET = 0x5b
const CLOSE_BRACKET = 0x5d
const COMMA = 0x2c
const COLON = 0x3a
const MINUS = 0x2d
const PLUS = 0x2b
const DOT = 0x2e
const ZERO = 0x30
const LOWER_U = 0x75
const TRUE: ReadonlyArray<number> = [0x74, 0x72, 0x75, 0x65]
const FALSE: ReadonlyArray<number> = [0x66, 0x61, 0x6c, 0x73, 0x65]
const NULL: ReadonlyArray<number> = [0x6e, 0x75, 0x6c, 0x6c]
/** `"` `\` `/` `b` `f` `n` `r` `t` */
const ESCAPES: ReadonlySet<number> = new Set([0x22, 0x5c, 0x2f, 0x62, 0x66, 0x6e, 0x72, 0x74])
/** 1 for the bytes that stand for themselves within a string: by table, because messages are mostly strings. */
const IS_PLAIN = Uint8Array.from({ length: 256 }, (_, byte) =>
  byte < 0x20 || byte === QUOTE || byte === BACKSLASH ? 0 : 1
)
const NOTHING: Follow = new Map()
const SCALAR: Root = { _tag: "Scalar" }
const UTF8 = new TextDecoder()
const SHORT_BYTES = 24

/**
 * Reads JSON (RFC 8259) without building values: it checks the grammar and reports where the members of an object lie,
 * so that a message can be inspected and passed on as the bytes it came as (mcp §3.2: parsing and printing changes it).
 */
import { Data } from "effect"

/** Where a value lies: bytes `start` to `end`, without surrounding space. */
export interface Span {
  readonly start: number
  readonly end: number
}

/** One member of an object; `key` is decoded, its escapes resolved. */
export interface Member extends Span {
  readonly key: string
}

/** The deepest nesting that is followed (mcp §8, rule 11). */
export const DEPTH_MAX = 128

/** What fills the bytes: an object with its members (duplicates included), an array with its elements, or else a scalar. */
export type Root = Data.TaggedEnum<{
  Object: { readonly members: ReadonlyArray<Member> }
  Array: { readonly elements: ReadonlyArray<Span> }
  Scalar: {}
}>
const Root = Data.taggedEnum<Root>()

/**
 * Reads the single value that fills `span` in one pass; `undefined` if it is not JSON or nests deeper than `DEPTH_MAX`.
 */
export const read = (bytes: Uint8Array, span: Span): Root | undefined => {
  const start = skipSpace(bytes, span.start)
  const members: Array<Member> = []
  const elements: Array<Span> = []
  const end =
    bytes[start] === OPEN_BRACE
      ? skipObject(bytes, start, 1, members)
      : bytes[start] === OPEN_BRACKET
        ? skipArray(bytes, start, 1, elements)
        : skipValue(bytes, start, 0)
  if (end < 0 || !isOnlySpace(bytes, end, span.end)) return undefined
  if (bytes[start] === OPEN_BRACE) return Root.Object({ members })
  return bytes[start] === OPEN_BRACKET ? Root.Array({ elements }) : Root.Scalar()
}

/** The string at `span`, or `undefined` if it is something else. */
export const string = (bytes: Uint8Array, span: Span): string | undefined => {
  if (bytes[span.start] !== QUOTE) return undefined
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

const skipObject = (bytes: Uint8Array, from: number, depth: number, found?: Array<Member>): number => {
  let at = skipSpace(bytes, from + 1)
  if (bytes[at] === CLOSE_BRACE) return at + 1
  while (true) {
    if (bytes[at] !== QUOTE) return -1
    const keyEnd = skipString(bytes, at)
    if (keyEnd < 0) return -1
    const colon = skipSpace(bytes, keyEnd)
    if (bytes[colon] !== COLON) return -1
    const start = skipSpace(bytes, colon + 1)
    const end = skipValue(bytes, start, depth)
    if (end < 0) return -1
    found?.push({ key: string(bytes, { start: at, end: keyEnd }) ?? "", start, end })
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
    const byte = bytes[at] ?? 0
    if (byte === QUOTE) return at + 1
    if (byte < 0x20) return -1
    if (byte === BACKSLASH) {
      at = skipEscape(bytes, at)
      if (at < 0) return -1
    } else {
      at++
    }
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
const UTF8 = new TextDecoder()
const SHORT_BYTES = 24

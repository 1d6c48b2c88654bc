/**
 * JSON text the way the reference writes it (node, conventions; rendezvous §2.2): `<`, `>`, `&`, U+2028 and U+2029
 * escaped, unpaired surrogates as U+FFFD, and the members of objects that it builds from maps in byte order.
 */
import { DEPTH_MAX, type Json, type JsonObject } from "./Json.ts"

/** Compact, members in byte order of their names. Nesting below `DEPTH_MAX` is written as `null`. */
export const encode = (value: Json): string => write(value, { indent: "", sorted: true }, 0)

/** Compact, members in the order given. */
export const encodeOrdered = (value: Json): string => write(value, { indent: "", sorted: false }, 0)

/** As `encode`, on lines indented by two spaces; empty lists and objects stay on one line. */
export const encodeIndented = (value: Json): string => write(value, { indent: "  ", sorted: true }, 0)

/** As `encodeOrdered`, on lines indented by two spaces. */
export const encodeOrderedIndented = (value: Json): string => write(value, { indent: "  ", sorted: false }, 0)

/** Byte order of the UTF-8 forms of two texts: negative, zero or positive. */
export const compareKeys = (a: string, b: string): number => {
  const common = Math.min(a.length, b.length)
  for (let index = 0; index < common; index++) {
    const left = a.charCodeAt(index)
    const right = b.charCodeAt(index)
    if (left !== right) return utf8Rank(left) - utf8Rank(right)
  }
  return a.length - b.length
}

interface Layout {
  readonly indent: string
  readonly sorted: boolean
}

const write = (value: Json, layout: Layout, depth: number): string => {
  if (typeof value === "string") return quote(value)
  if (typeof value !== "object" || value === null) return JSON.stringify(value)
  if (depth === DEPTH_MAX) return "null"
  if (isList(value))
    return enclose(
      "[",
      value.map((item) => write(item, layout, depth + 1)),
      "]",
      layout,
      depth
    )
  return enclose("{", members(value, layout, depth), "}", layout, depth)
}

const members = (value: JsonObject, layout: Layout, depth: number): ReadonlyArray<string> => {
  const keys = Object.keys(value)
  if (layout.sorted) keys.sort(compareKeys)
  const colon = layout.indent === "" ? ":" : ": "
  return keys.flatMap((key) => {
    const member = value[key]
    return member === undefined ? [] : [quote(key) + colon + write(member, layout, depth + 1)]
  })
}

const enclose = (open: string, parts: ReadonlyArray<string>, close: string, layout: Layout, depth: number): string => {
  if (layout.indent === "" || parts.length === 0) return open + parts.join(",") + close
  const line = `\n${layout.indent.repeat(depth)}`
  return `${open}${line}${layout.indent}${parts.join(`,${line}${layout.indent}`)}${line}${close}`
}

const quote = (text: string): string => {
  const quoted = JSON.stringify(text.toWellFormed())
  return ESCAPED.test(quoted) ? quoted.replace(ESCAPED_ALL, escape) : quoted
}

const escape = (character: string): string => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`

/** UTF-16 sorts surrogates below U+E000 to U+FFFF, UTF-8 sorts what they stand for above. */
const utf8Rank = (unit: number): number => (unit >= 0xd800 && unit <= 0xdfff ? unit + 0x10000 : unit)

const isList = (value: ReadonlyArray<Json> | JsonObject): value is ReadonlyArray<Json> => Array.isArray(value)

const ESCAPED = /[<>&\u2028\u2029]/
const ESCAPED_ALL = /[<>&\u2028\u2029]/g

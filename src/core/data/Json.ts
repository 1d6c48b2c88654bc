/**
 * JSON that came from elsewhere: parsed without exceptions and with bounded depth, read field by field the lenient way
 * the registry prescribes (rendezvous §2.2), where a missing or mistyped member counts as its zero value.
 */

/** Any JSON value. A member that is `undefined` is not written. */
export type Json = null | boolean | number | string | ReadonlyArray<Json> | JsonObject

/** A JSON object. */
export interface JsonObject {
  readonly [key: string]: Json | undefined
}

/** Nesting beyond this is refused: no format of ours needs it, and deep values exhaust the stack of their readers. */
export const DEPTH_MAX = 128

/**
 * The value of a JSON text; `undefined` when it is none or nested deeper than `DEPTH_MAX`. An escaped half of a surrogate
 * pair is read as U+FFFD, as the reference reads it, so that every text can be written, signed and stored as it is.
 */
export const parse = (text: string): Json | undefined => {
  if (depth(text) > DEPTH_MAX) return undefined
  try {
    const value: Json = JSON.parse(text)
    return SURROGATE.test(text) ? wellFormed(value) : value
  } catch {
    return undefined
  }
}

/** As `parse`, for a text that must be an object. */
export const parseObject = (text: string): JsonObject | undefined => {
  const value = parse(text)
  return isObject(value) ? value : undefined
}

/** A JSON object, neither `null` nor a list. */
export const isObject = (value: Json | undefined): value is JsonObject =>
  typeof value === "object" && value !== null && !Array.isArray(value)

/** A member that the object itself has; names of `Object.prototype` are not members. */
export const member = (self: JsonObject, key: string): Json | undefined =>
  Object.hasOwn(self, key) ? self[key] : undefined

/** A text; else empty. */
export const string = (self: JsonObject, key: string): string => {
  const value = member(self, key)
  return typeof value === "string" ? value : ""
}

/** The same for a text that goes to a database: PostgreSQL has none with NUL, which becomes U+FFFD. */
export const storable = (self: JsonObject, key: string): string => string(self, key).replaceAll("\u0000", "\ufffd")

/** A truth value; else false. */
export const boolean = (self: JsonObject, key: string): boolean => member(self, key) === true

/** A number cut toward zero; 0 when it is missing or beyond ±(2^53 − 1). */
export const integer = (self: JsonObject, key: string): number => {
  const value = member(self, key)
  const whole = typeof value === "number" ? Math.trunc(value) + 0 : 0
  return Number.isSafeInteger(whole) ? whole : 0
}

/** An unsigned integer of so many bits, cut toward zero; 0 when missing, negative or out of range. */
export const unsigned = (self: JsonObject, key: string, bits: 16 | 32): number => {
  const value = integer(self, key)
  return value >= 0 && value < 2 ** bits ? value : 0
}

/** The texts of a list, others skipped; else empty. */
export const strings = (self: JsonObject, key: string): ReadonlyArray<string> =>
  list(self, key).filter((value) => typeof value === "string")

/** The objects of a list, others skipped; else empty. */
export const objects = (self: JsonObject, key: string): ReadonlyArray<JsonObject> => list(self, key).filter(isObject)

/** A list; else empty. */
export const list = (self: JsonObject, key: string): ReadonlyArray<Json> => {
  const value = member(self, key)
  return Array.isArray(value) ? value : []
}

const wellFormed = (value: Json): Json => {
  if (typeof value === "string") return value.toWellFormed()
  if (typeof value !== "object" || value === null) return value
  if (isList(value)) return value.map(wellFormed)
  return Object.fromEntries(
    Object.entries(value).map(([key, member]) => [key.toWellFormed(), wellFormed(member ?? null)])
  )
}

const isList = (value: ReadonlyArray<Json> | JsonObject): value is ReadonlyArray<Json> => Array.isArray(value)

/** Deepest nesting of brackets outside strings; meaningful for JSON, harmless for anything else. */
const depth = (text: string): number => {
  let current = 0
  let deepest = 0
  let inString = false
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index)
    if (inString) {
      if (code === BACKSLASH) index++
      else if (code === QUOTE) inString = false
    } else if (code === QUOTE) inString = true
    else if (code === OPEN_BRACKET || code === OPEN_BRACE) deepest = Math.max(deepest, ++current)
    else if (code === CLOSE_BRACKET || code === CLOSE_BRACE) current--
  }
  return deepest
}

const QUOTE = 0x22
/** One may be alone, escaped or, in a text that came from no UTF-8, as it is. */
const SURROGATE = /\\u[dD][89a-fA-F]|[\ud800-\udfff]/u
const BACKSLASH = 0x5c
const OPEN_BRACKET = 0x5b
const CLOSE_BRACKET = 0x5d
const OPEN_BRACE = 0x7b
const CLOSE_BRACE = 0x7d

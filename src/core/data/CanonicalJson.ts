/** JSON in the one spelling that hashes are taken of (RFC 8785). */
import * as Json from "./Json.ts"

/** Members by the UTF-16 units of their names, numbers and texts as ECMAScript prints them. */
export const encode = (value: Json.Json): string => {
  if (Array.isArray(value)) return `[${value.map(encode).join(",")}]`
  if (!Json.isObject(value)) return JSON.stringify(value)
  const members = Object.keys(value)
    .toSorted((a, b) => (a < b ? -1 : 1))
    .map((key) => `${JSON.stringify(key)}:${encode(Json.member(value, key) ?? null)}`)
  return `{${members.join(",")}}`
}

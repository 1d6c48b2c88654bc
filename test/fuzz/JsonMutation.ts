/** Changes to JSON that leave it JSON: what is missing, doubled, of another type, too long, too deep or out of range. */
import * as Bytes from "../../src/core/data/Bytes.ts"
import * as Json from "../../src/core/data/Json.ts"
import * as Random from "./Random.ts"

/**
 * The sample with one to three values changed, or with members of `donor`; `undefined` if it holds no JSON. What stands
 * before the first bracket (a prefix, an opcode) stays.
 */
export const mutate = (sample: Uint8Array, donor: Uint8Array, next: Random.Random): Uint8Array | undefined => {
  const at = startOf(sample)
  const value = at < 0 ? undefined : Json.parse(Bytes.toUtf8Lossy(sample.subarray(at)))
  if (value === undefined) return undefined
  const from = Json.parse(Bytes.toUtf8Lossy(donor.subarray(Math.max(0, startOf(donor))))) ?? null
  let mutated: Json.Json = value
  for (let count = 1 + next(3); count > 0; count--) mutated = change(mutated, from, next, 0)
  const text = JSON.stringify(mutated)
  return Bytes.concat(sample.subarray(0, at), Bytes.fromUtf8(next(8) === 0 ? twice(text, next) : text))
}

const startOf = (bytes: Uint8Array): number => bytes.findIndex((byte) => byte === 0x7b || byte === 0x5b)

/** Goes down one path and changes what it finds at its end. */
const change = (value: Json.Json, donor: Json.Json, next: Random.Random, depth: number): Json.Json => {
  const isLeaf = typeof value !== "object" || value === null || next(4) === 0 || depth > 8
  if (isLeaf) return next(3) === 0 ? pieceOf(donor, next) : replacement(value, next)
  if (isList(value)) {
    if (value.length === 0) return [Random.pick(STRANGE, next)]
    const index = next(value.length)
    const piece = value[index]!
    switch (next(4)) {
      case 0:
        return value.toSpliced(index, 1)
      case 1:
        return value.toSpliced(index, 0, ...Array.from({ length: 1 + next(40) }, () => piece))
      default:
        return value.with(index, change(piece, donor, next, depth + 1))
    }
  }
  const keys = Object.keys(value)
  const key = keys.length === 0 ? "" : Random.pick(keys, next)
  switch (next(6)) {
    case 0:
      return Object.fromEntries(Object.entries(value).filter(([name]) => name !== key))
    case 1:
      return { ...value, [Random.pick(NAMES, next)]: Random.pick(STRANGE, next) }
    default:
      return Object.fromEntries(
        Object.entries(value).map(([name, member]) => [
          name,
          name === key ? change(member ?? null, donor, next, depth + 1) : (member ?? null)
        ])
      )
  }
}

const replacement = (value: Json.Json, next: Random.Random): Json.Json => {
  if (typeof value === "number" && next(2) === 0) return Random.pick(NUMBERS, next)
  if (typeof value !== "string" || next(3) === 0) return Random.pick(STRANGE, next)
  const at = next(value.length + 1)
  switch (next(4)) {
    case 0:
      return value.slice(0, at)
    case 1:
      return value.slice(0, at) + Random.pick(CHARACTERS, next) + value.slice(at)
    case 2:
      return value.slice(0, at) + Random.pick(CHARACTERS, next) + value.slice(at + 1)
    default:
      return value.repeat(next(30))
  }
}

const pieceOf = (donor: Json.Json, next: Random.Random): Json.Json => {
  if (typeof donor !== "object" || donor === null || next(3) === 0) return donor
  const members = Object.values(donor)
  return members.length === 0 ? donor : pieceOf(Random.pick(members, next) ?? null, next)
}

/** One member again, with another value: two readers may then see two messages. */
const twice = (text: string, next: Random.Random): string => {
  const names = [...text.matchAll(/"(?:[^"\\]|\\.)*":/g)]
  if (names.length === 0) return text
  const { 0: name, index } = Random.pick(names, next)
  return `${text.slice(0, index)}${name}${JSON.stringify(Random.pick(STRANGE, next))},${text.slice(index)}`
}

const isList = (value: Json.Json): value is ReadonlyArray<Json.Json> => Array.isArray(value)

const nested = (depth: number): Json.Json => {
  let value: Json.Json = 1
  for (let count = 0; count < depth; count++) value = count % 2 === 0 ? [value] : { a: value }
  return value
}

const NUMBERS: ReadonlyArray<Json.Json> = [
  0,
  -0,
  -1,
  1,
  255,
  256,
  65_535,
  65_536,
  2 ** 31,
  2 ** 32 - 1,
  2 ** 32,
  2 ** 53 - 1,
  2 ** 53,
  1e21,
  1e308,
  1e-7,
  0.5
]
const NAMES = ["__proto__", "constructor", "toString", "hasOwnProperty", "", "type", "op", "id", "a\u0000b", "then"]
const CHARACTERS = ["\u0000", "\ud800", "\u2028", "\u202e", '"', "\\", "é", "𝄞", "=", "/", ":", " ", "\n", "-", "."]
const STRANGE: ReadonlyArray<Json.Json> = [
  ...NUMBERS,
  null,
  true,
  false,
  "",
  "x".repeat(300),
  "__proto__",
  [],
  {},
  nested(Json.DEPTH_MAX - 2),
  nested(Json.DEPTH_MAX),
  nested(Json.DEPTH_MAX + 2)
]

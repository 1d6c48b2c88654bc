/**
 * Changes to valid bytes that break decoders: flipped bits, cuts, repeats, pieces of other valid inputs at the same
 * place, lengths that lie by one, numbers at the edges of their ranges, brackets by the hundred, broken UTF-8.
 */
import * as Bytes from "../../src/core/data/Bytes.ts"
import * as JsonMutation from "./JsonMutation.ts"
import * as Random from "./Random.ts"

/** What the bytes are made of, as far as mutations care. */
export type Format = "binary" | "json"

/** Random bytes at times, else a sample after one to four mutations; its own memory in any case. */
export const make = (samples: ReadonlyArray<Uint8Array>, next: Random.Random, format: Format): Uint8Array => {
  if (samples.length === 0 || next(16) === 0) return Random.bytes(next(120), next)
  const sample = Random.pick(samples, next)
  // Grammar first: a text that is no JSON any more tests only the parser.
  const isJson = format === "json" && next(3) > 0
  const grown = isJson ? JsonMutation.mutate(sample, Random.pick(samples, next), next) : undefined
  let bytes = grown ?? Bytes.copy(sample)
  const count = grown === undefined ? 1 + next(4) : next(2) * next(3)
  for (let index = 0; index < count; index++) bytes = Random.pick(MUTATIONS, next)(bytes, next, samples)
  return bytes.length > SIZE_BYTES_MAX ? bytes.slice(0, SIZE_BYTES_MAX) : bytes
}

/** May write to `bytes`, which are its own. */
type Mutation = (bytes: Uint8Array, next: Random.Random, samples: ReadonlyArray<Uint8Array>) => Uint8Array

const overwrite = (bytes: Uint8Array, at: number, value: number, sizeBytes: number): Uint8Array => {
  for (let index = 0; index < sizeBytes && at + index < bytes.length; index++)
    bytes[at + index] = index < sizeBytes - 4 ? 0 : value >>> (8 * (sizeBytes - 1 - index))
  return bytes
}

const insert = (bytes: Uint8Array, at: number, piece: Uint8Array): Uint8Array =>
  Bytes.concat(bytes.subarray(0, at), piece, bytes.subarray(at))

const slice = (bytes: Uint8Array, next: Random.Random): Uint8Array => {
  const start = next(bytes.length + 1)
  return bytes.subarray(start, start + next(bytes.length - start + 1))
}

/** Fields stand at the front, so half of the places are there. */
const place = (bytes: Uint8Array, next: Random.Random): number =>
  next(next(2) === 0 ? Math.min(bytes.length, 40) : bytes.length)

const flipBit: Mutation = (bytes, next) => {
  const at = place(bytes, next)
  return overwrite(bytes, at, (bytes[at] ?? 0) ^ (1 << next(8)), 1)
}

const setByte: Mutation = (bytes, next) => overwrite(bytes, place(bytes, next), next(256), 1)

const setEdge: Mutation = (bytes, next) => overwrite(bytes, place(bytes, next), Random.pick(EDGES, next), 1 << next(4))

/** A length or count that says what is there, or nearly. */
const setLength: Mutation = (bytes, next) => {
  const at = place(bytes, next)
  const sizeBytes = 1 << next(3)
  const behind = bytes.length - at - sizeBytes
  return overwrite(bytes, at, Random.pick([bytes.length, behind], next) + next(5) - 2, sizeBytes)
}

/** A number a little more or less than it was. */
const nudge: Mutation = (bytes, next) => {
  const at = place(bytes, next)
  return overwrite(bytes, at, (bytes[at] ?? 0) + next(9) - 4, 1)
}

const cutEnd: Mutation = (bytes, next) => bytes.slice(0, next(bytes.length + 1))
const cutLast: Mutation = (bytes, next) => bytes.slice(0, Math.max(0, bytes.length - 1 - next(3)))
const cutStart: Mutation = (bytes, next) => bytes.slice(next(bytes.length + 1))

const cutMiddle: Mutation = (bytes, next) => {
  const at = next(bytes.length + 1)
  return Bytes.concat(bytes.subarray(0, at), bytes.subarray(Math.min(bytes.length, at + 1 + next(16))))
}

const repeat: Mutation = (bytes, next) => insert(bytes, next(bytes.length + 1), Bytes.copy(slice(bytes, next)))

const insertNoise: Mutation = (bytes, next) => insert(bytes, next(bytes.length + 1), Random.bytes(next(20), next))

const insertToken: Mutation = (bytes, next) => {
  const token = Random.pick(TOKENS, next)
  return insert(bytes, next(bytes.length + 1), Bytes.fromUtf8(token.repeat(next(4) === 0 ? 1 + next(300) : 1)))
}

const insertBadUtf8: Mutation = (bytes, next) => insert(bytes, next(bytes.length + 1), Random.pick(BAD_UTF8, next))

/** The front of one and the back of another, cut at the same place: every field stays where fields of its kind are. */
const splice: Mutation = (bytes, next, samples) => {
  const other = Random.pick(samples, next)
  const at = place(bytes, next)
  return Bytes.concat(bytes.subarray(0, at), other.subarray(at))
}

/** A field of another at its own place. */
const transplant: Mutation = (bytes, next, samples) => {
  const other = Random.pick(samples, next)
  const at = place(bytes, next)
  bytes.set(other.subarray(at, Math.min(at + 1 + next(32), bytes.length)), Math.min(at, bytes.length))
  return bytes
}

const join: Mutation = (bytes, next, samples) =>
  Bytes.concat(slice(bytes, next), slice(Random.pick(samples, next), next))

const EDGES: ReadonlyArray<number> = [
  0, 1, 2, 4, 5, 16, 0x7f, 0x80, 0xff, 0x100, 0x7fff, 0x8000, 0xfffe, 0xffff, 0x10000, 0x7fffffff, 0x80000000,
  0xfffffffe, 0xffffffff
]
const TOKENS = [
  "{",
  "[",
  '"',
  "\\",
  ":",
  ",",
  "null",
  "-1",
  "1e999",
  "-0",
  "\\ud800",
  '{"":',
  "{}",
  "[]",
  "\u0000",
  "\n"
]
/** A lone continuation, an overlong slash, a surrogate, a code point too large, a character cut short, a byte order mark. */
const BAD_UTF8: ReadonlyArray<Uint8Array> = [
  [0x80],
  [0xc0, 0xaf],
  [0xed, 0xa0, 0x80],
  [0xf4, 0x90, 0x80, 0x80],
  [0xe2, 0x82],
  [0xff],
  [0xef, 0xbb, 0xbf]
].map((bytes) => Uint8Array.from(bytes))

const MUTATIONS: ReadonlyArray<Mutation> = [
  flipBit,
  setByte,
  setEdge,
  setLength,
  nudge,
  cutEnd,
  cutLast,
  cutStart,
  cutMiddle,
  repeat,
  insertNoise,
  insertToken,
  insertBadUtf8,
  splice,
  transplant,
  join
]

/** Larger inputs cost time and say no more. */
const SIZE_BYTES_MAX = 4096

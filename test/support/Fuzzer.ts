/**
 * A seeded, structure-aware fuzzer: random bytes, and valid samples changed the way that breaks decoders. One seed gives
 * one run, so a failure names its seed and its input.
 */
import * as Bytes from "../../src/core/data/Bytes.ts"

/** Numbers in [0, below), whole. */
export type Random = (below: number) => number

/** A small generator (mulberry32): the same numbers for the same seed, on every machine. */
export const random = (seed: number): Random => {
  let state = seed >>> 0
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * below)
  }
}

/** Random bytes, or a sample after one to four mutations. */
export const input = (samples: ReadonlyArray<Uint8Array>, next: Random): Uint8Array => {
  if (samples.length === 0 || next(8) === 0) return Uint8Array.from({ length: next(120) }, () => next(256))
  let bytes = Bytes.copy(samples[next(samples.length)]!)
  for (let count = 1 + next(4); count > 0; count--)
    bytes = Bytes.copy(MUTATIONS[next(MUTATIONS.length)]!(bytes, next, samples))
  return bytes
}

/**
 * Runs `decode` over `runs` inputs; it must not throw, and what it returns must weigh no more than a fixed multiple of
 * its input. The first that fails is thrown with its seed.
 */
export const run = (options: {
  readonly seed: number
  readonly runs: number
  readonly samples: ReadonlyArray<Uint8Array>
  readonly decode: (bytes: Uint8Array) => unknown
}): void => {
  const next = random(options.seed)
  for (let index = 0; index < options.runs; index++) {
    const bytes = input(options.samples, next)
    const before = Bytes.copy(bytes)
    const context = () => `seed ${options.seed}, run ${index}, input ${Bytes.toHex(before)}`
    let output: unknown
    try {
      output = options.decode(bytes)
    } catch (cause) {
      throw new Error(`threw on ${context()}`, { cause })
    }
    const limit = WEIGHT_BASE + WEIGHT_FACTOR * bytes.length
    if (weight(output, limit) > limit) throw new Error(`grew beyond its input on ${context()}`)
    if (!Bytes.equals(bytes, before)) throw new Error(`wrote to its input: ${context()}`)
  }
}

/** Objects, characters and owned bytes in a value, counted up to a little more than `limit`. */
export const weight = (value: unknown, limit: number): number => {
  const pending: Array<unknown> = [value]
  let total = 0
  while (pending.length > 0 && total <= limit) {
    const current = pending.pop()
    total += 1
    if (typeof current === "string") total += current.length
    else if (current instanceof Uint8Array) total += current.byteLength
    else if (typeof current === "object" && current !== null) {
      for (const [key, member] of Object.entries(current)) {
        total += key.length
        pending.push(member)
      }
    }
  }
  return total
}

type Mutation = (bytes: Uint8Array, next: Random, samples: ReadonlyArray<Uint8Array>) => Uint8Array

const overwrite = (bytes: Uint8Array, at: number, value: number, sizeBytes: number): Uint8Array => {
  for (let index = 0; index < sizeBytes && at + index < bytes.length; index++)
    bytes[at + index] = value >>> (8 * (sizeBytes - 1 - index))
  return bytes
}

const insert = (bytes: Uint8Array, at: number, piece: Uint8Array): Uint8Array =>
  Bytes.concat(bytes.subarray(0, at), piece, bytes.subarray(at))

const slice = (bytes: Uint8Array, next: Random): Uint8Array => {
  const start = next(bytes.length + 1)
  return bytes.subarray(start, start + next(bytes.length - start + 1))
}

const EDGES: ReadonlyArray<number> = [
  0, 1, 4, 5, 16, 0x7f, 0x80, 0xff, 0x7fff, 0xffff, 0x7fffffff, 0x80000000, 0xffffffff
]
const TOKENS = ["{", "[", '"', "\\", ":", ",", "null", "-1", "1e999", "\ud800", '"type":', "{}", "[]", "\u0000"]

const MUTATIONS: ReadonlyArray<Mutation> = [
  (bytes, next) => overwrite(bytes, next(bytes.length), next(256), 1),
  (bytes, next) => overwrite(bytes, next(bytes.length), (bytes[next(bytes.length)] ?? 0) ^ (1 << next(8)), 1),
  (bytes, next) => overwrite(bytes, next(Math.min(bytes.length, 40)), EDGES[next(EDGES.length)]!, 1 << next(3)),
  (bytes, next) => bytes.subarray(0, next(bytes.length + 1)),
  (bytes, next) => bytes.subarray(next(bytes.length + 1)),
  (bytes, next) => insert(bytes, next(bytes.length + 1), Bytes.copy(slice(bytes, next))),
  (bytes, next) =>
    insert(
      bytes,
      next(bytes.length + 1),
      Uint8Array.from({ length: next(20) }, () => next(256))
    ),
  (bytes, next) =>
    insert(bytes, next(bytes.length + 1), Bytes.fromUtf8(TOKENS[next(TOKENS.length)]!.repeat(1 + next(200)))),
  (bytes, next, samples) => Bytes.concat(slice(bytes, next), slice(samples[next(samples.length)]!, next))
]

/** What a result and its error cost beside their content. */
const WEIGHT_BASE = 400
/** A three-byte empty list is one object; a mapped IP of 4 bytes is 15 characters. */
const WEIGHT_FACTOR = 8

/** What holds for every decoder of a kind, beyond that it does not throw. */
import { isDeepStrictEqual } from "node:util"
import { Result } from "effect"
import * as Bytes from "../../src/core/data/Bytes.ts"
import type { Random } from "./Random.ts"

/** What was read can be written, and what was written is read as the same; the decoded value or its failure. */
export const assertStable = <A>(
  decode: (bytes: Uint8Array) => Result.Result<A, unknown>,
  encode: (value: A) => Uint8Array,
  bytes: Uint8Array
): Result.Result<A, unknown> => {
  const first = decode(bytes)
  if (Result.isFailure(first)) return first
  const again = decode(encode(first.success))
  if (Result.isFailure(again)) throw new Error("its own writing is refused")
  if (!isDeepStrictEqual(again.success, first.success) && !OVERFLOW.test(Bytes.toUtf8Lossy(bytes)))
    throw new Error("its own writing is read as something else")
  return first
}

/** Splits a stream in chunks of any size, empty ones among them; each chunk is memory of its own. */
export const chunks = (bytes: Uint8Array, next: Random): ReadonlyArray<Uint8Array> => {
  const result: Array<Uint8Array> = []
  const sizeMax = 1 + next(Math.max(1, next(2) === 0 ? 8 : bytes.length))
  for (let at = 0; at < bytes.length; ) {
    const size = next(sizeMax + 1)
    result.push(Bytes.copy(bytes.subarray(at, at + size)))
    at += size
  }
  return result
}

/** Throws unless both are the same. */
export const assertSame = (actual: unknown, expected: unknown, what: string): void => {
  if (!isDeepStrictEqual(actual, expected)) throw new Error(what)
}

/** A number of JSON too large for any of ours is read as infinity, which JSON cannot write. */
const OVERFLOW = /[eE]\+?\d{3}|\d{309}/

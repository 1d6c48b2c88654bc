/** Reading the golden vectors, whose byte strings are hexadecimal. */
import { Result } from "effect"
import * as Bytes from "../../src/core/data/Bytes.ts"

/** Bytes of a vector; a vector that is not hexadecimal is a broken test. */
export const hex = (text: string): Uint8Array => {
  const bytes = Bytes.fromHex(text)
  if (bytes === undefined) throw new TypeError(`not hexadecimal: ${text}`)
  return bytes
}

/** The success of a result; a failure fails the test with its value. */
export const success = <A, E>(result: Result.Result<A, E>): A =>
  Result.getOrThrowWith(result, (error) => new Error(`unexpected failure ${JSON.stringify(error)}`))

/** The failure of a result; a success fails the test. */
export const failure = <A, E>(result: Result.Result<A, E>): E => success(Result.flip(result))

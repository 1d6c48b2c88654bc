/**
 * The statements about one identity as they travel: from its node to its registry, from there and directly to peers. A
 * carrier, no proof: every statement is checked by whoever reads it, and one that is left out is merely not known.
 *
 * ```
 * 0  "EPKC"   4  format, 1   5  count (1)   6  statements, 238 bytes each
 * ```
 */
import { Result } from "effect"
import * as Bytes from "../../core/data/Bytes.ts"
import * as DecodeError from "../wire/DecodeError.ts"
import * as KeyStatement from "./KeyStatement.ts"

/** In the order in which they were made, as far as the sender knows. */
export type KeyChain = ReadonlyArray<KeyStatement.KeyStatement>

/** Statements in one list: sixteen rotations, or eight that were cancelled. */
export const STATEMENTS_MAX = 16

/** No statements. */
export const empty: KeyChain = []

/** The list as it travels; of a longer one, the newest. */
export const encode = (self: KeyChain): Uint8Array => {
  const sent = self.slice(-STATEMENTS_MAX)
  return Bytes.concat(MAGIC, Uint8Array.of(FORMAT, sent.length), ...sent.map(KeyStatement.encode))
}

/** Reads a list whose length is checked before anything else; signatures are not checked. */
export const decode = (bytes: Uint8Array): Result.Result<KeyChain, DecodeError.DecodeError> => {
  if (bytes.length < HEADER_BYTES) return DecodeError.truncated(HEADER_BYTES, bytes.length)
  if (!Bytes.equals(bytes.subarray(0, MAGIC.length), MAGIC)) return DecodeError.badMagic
  const [format, count] = [bytes[4]!, bytes[5]!]
  if (format !== FORMAT) return DecodeError.unsupportedVersion(format)
  if (count > STATEMENTS_MAX) return DecodeError.limitExceeded(STATEMENTS_MAX, count)
  const sizeBytes = HEADER_BYTES + count * KeyStatement.STATEMENT_BYTES
  if (bytes.length < sizeBytes) return DecodeError.truncated(sizeBytes, bytes.length)
  if (bytes.length > sizeBytes) return DecodeError.malformed("length")
  return Result.all(
    Array.from({ length: count }, (_, index) => {
      const offset = HEADER_BYTES + index * KeyStatement.STATEMENT_BYTES
      return KeyStatement.decode(bytes.subarray(offset, offset + KeyStatement.STATEMENT_BYTES))
    })
  )
}

/** As a member of a JSON message: base64; empty for no statements. */
export const toText = (self: KeyChain): string => (self.length === 0 ? "" : Bytes.toBase64(encode(self)))

/** Reads that; `undefined` for anything else. The empty text is no statements. */
export const parse = (text: string): KeyChain | undefined => {
  if (text === "") return empty
  if (text.length > TEXT_CHARS_MAX) return undefined
  const bytes = Bytes.fromBase64(text)
  return bytes === undefined ? undefined : Result.getOrUndefined(decode(bytes))
}

/** The keys that lead to this one by statements of their own or of a recovery key, the oldest first and it the last. */
export const pathTo = (
  self: KeyChain,
  key: Uint8Array,
  verify: (publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array) => boolean
): ReadonlyArray<Uint8Array> => {
  const path = [key]
  while (path.length <= STATEMENTS_MAX) {
    const first = path[0]!
    const link = self.find((one) => one.kind === "rotate" && Bytes.equals(one.next, first))
    const isLoop = link !== undefined && path.some((one) => Bytes.equals(one, link.key))
    if (link === undefined || isLoop || !KeyStatement.isGenuine(link, verify)) break
    path.unshift(link.key)
  }
  return path
}

const MAGIC = Bytes.fromUtf8("EPKC")
const FORMAT = 1
const HEADER_BYTES = 6
const TEXT_CHARS_MAX = 4 * Math.ceil((HEADER_BYTES + STATEMENTS_MAX * KeyStatement.STATEMENT_BYTES) / 3)

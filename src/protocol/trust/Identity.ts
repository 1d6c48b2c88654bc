/**
 * A node's Ed25519 identity as text (wire §5). The file is a JSON object with two members, written exactly so, without
 * a newline at its end; a third one, `key_chain`, follows when there is a chain to keep, and other programs ignore it:
 *
 * ```
 * {
 *   "private_key": "<base64 of seed (32) and public key (32)>",
 *   "public_key": "<base64 of public key (32)>"
 * }
 * ```
 */
import { Option, Result, Schema } from "effect"
import * as Bytes from "../../core/data/Bytes.ts"

/** The key pair; the public key belongs to the seed. */
export interface Identity {
  readonly seed: Uint8Array
  readonly publicKey: Uint8Array
  /** The statements about this key (`KeyChain.toText`), kept in the same file so that both change in one step. */
  readonly chain?: string
}

/** Why a text is no identity. */
export type IdentityTextError = "Malformed" | "KeyMismatch"

/** The file's content. */
export const encodeFile = (self: Identity): string => {
  const privateKey = encodePrivateKey(self)
  const chain = self.chain === undefined || self.chain === "" ? "" : `,\n  "key_chain": "${self.chain}"`
  return `{\n  "private_key": "${privateKey}",\n  "public_key": "${encodePublicKey(self.publicKey)}"${chain}\n}`
}

/**
 * Reads the file's content: order, white space and unknown members do not matter, all else does. `publicKeyOf` computes
 * the public key of a seed, which must be the one in the file, twice.
 */
export const decodeFile = (
  text: string,
  publicKeyOf: (seed: Uint8Array) => Uint8Array
): Result.Result<Identity, IdentityTextError> => {
  const members = Option.getOrUndefined(decodeMembers(text))
  const privateKey = members === undefined ? undefined : keyOf(members.private_key, PRIVATE_KEY_BYTES)
  const publicKey = members === undefined ? undefined : decodePublicKey(members.public_key)
  if (privateKey === undefined || publicKey === undefined) return Result.fail("Malformed")
  const seed = privateKey.subarray(0, SEED_BYTES)
  const isWhole = Bytes.equals(privateKey.subarray(SEED_BYTES), publicKey) && Bytes.equals(publicKeyOf(seed), publicKey)
  if (!isWhole) return Result.fail("KeyMismatch")
  return Result.succeed({ seed, publicKey, ...(members?.key_chain !== undefined && { chain: members.key_chain }) })
}

/** Standard base64 of the 32 bytes. */
export const encodePublicKey = (publicKey: Uint8Array): string => Bytes.toBase64(publicKey)

/** The 32 bytes; `undefined` for any other length or spelling. */
export const decodePublicKey = (text: string): Uint8Array | undefined => keyOf(text, PUBLIC_KEY_BYTES)

/** Standard base64 of seed and public key. */
export const encodePrivateKey = (self: Identity): string => Bytes.toBase64(Bytes.concat(self.seed, self.publicKey))

const keyOf = (text: string, sizeBytes: number): Uint8Array | undefined => {
  const bytes = Bytes.fromBase64(text)
  return bytes?.length === sizeBytes ? bytes : undefined
}

/** Written into the file as it is, so nothing but base64 may pass. */
const BASE64 = Schema.String.check(Schema.isPattern(/^[A-Za-z0-9+/=]{0,8192}$/))

const decodeMembers = Schema.decodeUnknownOption(
  Schema.fromJsonString(
    Schema.Struct({ private_key: Schema.String, public_key: Schema.String, key_chain: Schema.optionalKey(BASE64) })
  )
)

const SEED_BYTES = 32
const PUBLIC_KEY_BYTES = 32
const PRIVATE_KEY_BYTES = SEED_BYTES + PUBLIC_KEY_BYTES

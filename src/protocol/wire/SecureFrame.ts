/**
 * What passes on a secure channel (wire §14): first an X25519 key of 32 bytes each way, the client's first, then frames.
 *
 * ```
 * 0  length of what follows (4)   4  nonce: sender's role (4), counter from 1 (8)   16  ciphertext, tag (16)
 * ```
 */
import { Result } from "effect"
import * as Bytes from "../../core/data/Bytes.ts"
import * as DecodeError from "./DecodeError.ts"

/** Who opened the stream, and who accepted it. */
export type Role = "client" | "server"

/** One frame; `sealed` is a view. */
export interface SecureFrame {
  readonly nonce: Uint8Array
  /** The first half of the nonce; a role has one each (`PREFIXES`). */
  readonly prefix: number
  /** 1 for the first frame of a sender; beyond 2^53 it is no counter that anybody reaches. */
  readonly counter: number
  /** Ciphertext and tag. */
  readonly sealed: Uint8Array
}

/** Bytes of the key that each side sends first. */
export const KEY_BYTES = 32

/** Bytes after the length; a longer frame ends the channel. */
export const BODY_BYTES_MAX = 16_777_216

/** What a nonce of each role begins with. */
export const PREFIXES: Readonly<Record<Role, number>> = { server: 1, client: 2 }

/** The nonce of a frame. */
export const nonceOf = (role: Role, counter: number): Uint8Array => {
  const nonce = new Uint8Array(NONCE_BYTES)
  Bytes.writeU32(nonce, 0, PREFIXES[role])
  Bytes.writeU64(nonce, PREFIX_BYTES, counter)
  return nonce
}

/** What stands before the ciphertext of a plaintext of this size. */
export const header = (nonce: Uint8Array, plaintextBytes: number): Uint8Array =>
  Bytes.concat(Bytes.ofU32(NONCE_BYTES + plaintextBytes + TAG_BYTES), nonce)

/** Reads a body, the length already taken off. Whether the tag holds is seen when it is opened. */
export const decode = (body: Uint8Array): Result.Result<SecureFrame, DecodeError.DecodeError> => {
  if (body.length < NONCE_BYTES) return DecodeError.truncated(NONCE_BYTES, body.length)
  const nonce = body.subarray(0, NONCE_BYTES)
  return Result.succeed({
    nonce,
    prefix: Bytes.readU32(nonce, 0),
    counter: Bytes.readU64(nonce, PREFIX_BYTES) ?? Number.POSITIVE_INFINITY,
    sealed: body.subarray(NONCE_BYTES)
  })
}

const PREFIX_BYTES = 4
const NONCE_BYTES = 12
const TAG_BYTES = 16

/**
 * Checks signatures on requests (rendezvous §2.5): Ed25519 over the texts of `RegistrySignature`, under the key stored
 * for the acting node.
 */
import { Result } from "effect"
import * as Bytes from "../../core/data/Bytes.ts"
import type { NodeRecord } from "./NodeRecord.ts"
import * as Refusal from "./Refusal.ts"

/** Checks one signature; false for a malformed key or signature. */
export type Verify = (publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array) => boolean

/** Succeeds when `signature` (base64) is the node's over `message`. */
export const check = (
  verify: Verify,
  node: NodeRecord,
  message: string,
  signature: string
): Result.Result<void, Refusal.Refusal> =>
  signature === ""
    ? Refusal.fail("signature_required", "signature required for authenticated node")
    : checkKey(verify, node.publicKey, message, signature)

/** The same for a key that is not stored yet. */
export const checkKey = (
  verify: Verify,
  publicKey: Uint8Array,
  message: string,
  signature: string
): Result.Result<void, Refusal.Refusal> => {
  const bytes = signature.length > SIGNATURE_TEXT_MAX ? undefined : Bytes.fromBase64Lenient(signature)
  if (bytes === undefined) return Refusal.fail("bad_signature_encoding", "invalid signature encoding: not base64")
  return verify(publicKey, Bytes.fromUtf8(message), bytes)
    ? Result.void
    : Refusal.fail("signature_invalid", "signature verification failed")
}

/** A signature is 88 characters; the rest is room for the line ends that the reference's reader skips. */
const SIGNATURE_TEXT_MAX = 128

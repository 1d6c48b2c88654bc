/**
 * How an invitation is redeemed: the request for trust (port 444, or relayed by the registry) begins its justification with
 *
 * ```
 * pilot-invitation:1:<id, 16 hex digits>:<proof, 43 characters of base64url>
 * ```
 *
 * The proof is an HMAC under a key derived from the secret, over the Ed25519 keys of both nodes. So the secret itself is
 * never sent, whoever reads the request (a registry that relays it) cannot redeem with it under a key of its own, and a
 * registry that names another key for the redeemer makes the proof fail. Both keys are those that open the tunnel between
 * the two, which binds the proof to it. A node that knows no invitations sees a request with an odd text.
 */
import * as Base64Url from "../../core/data/Base64Url.ts"
import * as Bytes from "../../core/data/Bytes.ts"

/** HMAC-SHA-256. */
export type Hmac = (key: Uint8Array, data: Uint8Array) => Uint8Array

/** What the request carries. */
export interface Claim {
  /** 16 hex digits. */
  readonly id: string
  readonly proof: Uint8Array
}

/** Names an invitation where its secret may not be seen. */
export const idOf = (secret: Uint8Array, hmac: Hmac): string =>
  Bytes.toHex(hmac(secret, Bytes.fromUtf8("effect-pilot invitation id")).subarray(0, ID_BYTES))

/** What the inviter keeps: enough to check proofs, while the string cannot be made again from it. */
export const keyOf = (secret: Uint8Array, hmac: Hmac): Uint8Array =>
  hmac(secret, Bytes.fromUtf8("effect-pilot invitation key"))

/** Proof that the node with the key `redeemer` knows the secret behind `key`, for the node with the key `inviter`. */
export const proofOf = (key: Uint8Array, inviter: Uint8Array, redeemer: Uint8Array, hmac: Hmac): Uint8Array =>
  hmac(key, Bytes.concat(Bytes.fromUtf8("effect-pilot invitation proof"), inviter, redeemer))

/** The claim for an invitation. */
export const make = (secret: Uint8Array, inviter: Uint8Array, redeemer: Uint8Array, hmac: Hmac): Claim => ({
  id: idOf(secret, hmac),
  proof: proofOf(keyOf(secret, hmac), inviter, redeemer, hmac)
})

/** The justification that carries a claim, with what a person said behind it. */
export const format = ({ id, proof }: Claim, text: string): string =>
  `${PREFIX}${id}:${Base64Url.encode(proof)}${text === "" ? "" : ` ${text}`}`

/** The claim in a justification and the rest of it; `undefined` when there is none. */
export const parse = (justification: string): { readonly claim: Claim; readonly text: string } | undefined => {
  const match = SHAPE.exec(justification)
  const proof = match === null ? undefined : Base64Url.decode(match[2]!)
  if (match === null || proof?.length !== PROOF_BYTES) return undefined
  return { claim: { id: match[1]!, proof }, text: justification.slice(match[0].length).trimStart() }
}

const PREFIX = "pilot-invitation:1:"
const SHAPE = /^pilot-invitation:1:([0-9a-f]{16}):([A-Za-z0-9_-]{43})(?= |$)/
const ID_BYTES = 8
const PROOF_BYTES = 32

/**
 * From an X25519 secret to AES-256 keys, in both generations of the protocol (wire §6.1, §14, §15.1).
 *
 * ```
 * legacy   SHA-256( label ":" secret )                                   no additional data
 * later    HMAC( HMAC( "", secret ), label 01 )   (HKDF, RFC 5869)       additional data: sender node id (4)
 * ```
 */
import * as Bytes from "../../core/data/Bytes.ts"
import type { NodeId } from "../wire/Address.ts"

/** The generation of keys and additional data that a peer speaks; no frame announces it. */
export type Scheme = "legacy" | "later"

/** The hash functions needed; `core/crypto` provides them. */
export interface Hashes {
  readonly sha256: (data: Uint8Array) => Uint8Array
  readonly hmacSha256: (key: Uint8Array, data: Uint8Array) => Uint8Array
}

/** 32-byte AES keys of one secret, one per generation. */
export type Keys = Readonly<Record<Scheme, Uint8Array>>

/** Keys of a tunnel. */
export const tunnelKeys = (sharedSecret: Uint8Array, hashes: Hashes): Keys =>
  derive("pilot-tunnel-v1", sharedSecret, hashes)

/** Keys of a secure channel on port 443, from the secret of its own ephemeral keys. */
export const secureChannelKeys = (sharedSecret: Uint8Array, hashes: Hashes): Keys =>
  derive("pilot-secure-v1", sharedSecret, hashes)

/** What a tunnel frame of this sender authenticates besides its packet. */
export const tunnelAdditionalData = (scheme: Scheme, sender: NodeId): Uint8Array | undefined => {
  if (scheme === "legacy") return undefined
  const bytes = new Uint8Array(4)
  Bytes.writeU32(bytes, 0, sender)
  return bytes
}

const derive = (label: string, sharedSecret: Uint8Array, { sha256, hmacSha256 }: Hashes): Keys => ({
  legacy: sha256(Bytes.concat(Bytes.fromUtf8(`${label}:`), sharedSecret)),
  later: hmacSha256(hmacSha256(Bytes.empty, sharedSecret), Bytes.concat(Bytes.fromUtf8(label), FIRST_BLOCK))
})

/** Counter of the only block that HKDF expands here (RFC 5869 §2.3). */
const FIRST_BLOCK = Uint8Array.of(1)

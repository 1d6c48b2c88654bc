/**
 * Whether a handshake message that came over a stream may be acted upon (node §2.2). The signature of the protocol
 * covers neither type nor text nor time, so what really proves the sender is the tunnel: the claimed key must be the
 * one that opened it, and the claimed node id the one it came from.
 */
import { Result } from "effect"
import * as Bytes from "../../core/data/Bytes.ts"
import type { NodeId } from "../wire/Address.ts"

/** What the message says of its sender; the bytes are decoded base64, empty when absent. */
export interface Claim {
  readonly node: NodeId
  readonly publicKey: Uint8Array
  readonly signature: Uint8Array
  readonly timestampSeconds: number
}

/** What we know without the message. */
export interface Evidence {
  readonly ownNode: NodeId
  /** Source of the stream. */
  readonly streamNode: NodeId
  /** The Ed25519 key that opened the tunnel which carried the stream; `undefined` when it was not authenticated. */
  readonly tunnelKey: Uint8Array | undefined
  /** Ed25519 over the text that the protocol signs for (sender, receiver). */
  readonly isSigned: (publicKey: Uint8Array, signature: Uint8Array, from: NodeId, to: NodeId) => boolean
}

/** Why a message is dropped. */
export type Refusal =
  | "Stale"
  | "FromFuture"
  | "OwnNode"
  | "WrongSource"
  | "KeyMissing"
  | "KeyMalformed"
  | "SignatureMissing"
  | "TunnelUnauthenticated"
  | "NotTunnelKey"
  | "BadSignature"
  | "KeyMismatch"

/** What the pins, or else the registry, say about the key of a node id. */
export type KnownKey =
  | { readonly _tag: "Pinned"; readonly publicKey: Uint8Array }
  | { readonly _tag: "Registered"; readonly publicKey: Uint8Array }
  /** Not pinned, and the registry could not say. */
  | { readonly _tag: "Unknown" }

/**
 * The checks that need nobody else, cheapest first; the signature is last because it costs most. Every type of
 * message passes all of them: an empty key is refused for revocations too.
 */
export const screen = (claim: Claim, evidence: Evidence, nowSeconds: number): Result.Result<void, Refusal> => {
  const refusal = staleness(claim, nowSeconds) ?? wrongSource(claim, evidence) ?? wrongKey(claim, evidence)
  if (refusal !== undefined) return Result.fail(refusal)
  return evidence.isSigned(claim.publicKey, claim.signature, claim.node, evidence.ownNode)
    ? Result.void
    : Result.fail("BadSignature")
}

/** Compares a key with what is known of its node: true when confirmed, false when nobody can say. */
export const confirm = (publicKey: Uint8Array, known: KnownKey): Result.Result<boolean, Refusal> => {
  if (known._tag === "Unknown") return Result.succeed(false)
  return Bytes.equals(known.publicKey, publicKey) ? Result.succeed(true) : Result.fail("KeyMismatch")
}

const staleness = (claim: Claim, nowSeconds: number): Refusal | undefined => {
  const ageSeconds = nowSeconds - claim.timestampSeconds
  if (!(ageSeconds <= AGE_MAX_SECONDS)) return "Stale"
  return ageSeconds < -AHEAD_MAX_SECONDS ? "FromFuture" : undefined
}

const wrongSource = (claim: Claim, evidence: Evidence): Refusal | undefined => {
  if (claim.node === evidence.ownNode) return "OwnNode"
  return claim.node === evidence.streamNode ? undefined : "WrongSource"
}

const wrongKey = (claim: Claim, { tunnelKey }: Evidence): Refusal | undefined => {
  if (claim.publicKey.length === 0) return "KeyMissing"
  if (claim.publicKey.length !== PUBLIC_KEY_BYTES) return "KeyMalformed"
  if (claim.signature.length === 0) return "SignatureMissing"
  if (tunnelKey === undefined) return "TunnelUnauthenticated"
  return Bytes.equals(tunnelKey, claim.publicKey) ? undefined : "NotTunnelKey"
}

/** Ed25519 (RFC 8032 §5.1.5). */
export const PUBLIC_KEY_BYTES = 32

/** node §2.2 (1). */
const AGE_MAX_SECONDS = 300
const AHEAD_MAX_SECONDS = 30

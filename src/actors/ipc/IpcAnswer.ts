/** What the daemon's JSON answers have in common: lists of peers with fingerprints, and refusals as text (node §1.8). */
import { Effect } from "effect"
import { Crypto } from "../../core/crypto/Crypto.ts"
import * as Bytes from "../../core/data/Bytes.ts"
import * as Json from "../../core/data/Json.ts"
import * as Fingerprint from "../../protocol/trust/Fingerprint.ts"
import type { NodeId } from "../../protocol/wire/Address.ts"
import type { RegistryError } from "../registry/RegistryClient.ts"
import { type KeyChanged, type NameMoved, PeerKeys } from "../trust/PeerKeys.ts"
import { Trust, type TrustError } from "../trust/Trust.ts"
import { RENDEZVOUS, UNAVAILABLE } from "./IpcErrorText.ts"
import * as KeyText from "./KeyText.ts"

/** The text form of a key's fingerprint. */
export const fingerprints: Effect.Effect<(publicKey: Uint8Array) => string, never, Crypto> = Effect.map(
  Crypto,
  ({ sha256 }) =>
    (publicKey) =>
      Fingerprint.format(sha256(publicKey))
)

/** `<command>: <reason>`; a registry that cannot be asked is told apart from one that refuses. */
export const refusing = <A, R>(
  command: string,
  effect: Effect.Effect<A, RegistryError | KeyChanged | NameMoved, R>
): Effect.Effect<A, string, R> =>
  Effect.mapError(effect, (error) => {
    if (error._tag !== "RegistryError") return `${command}: ${KeyText.format(error)}`
    if (error.reason === "Ambiguous" || error.reason === "NoRendezvous")
      return `${command}: ${RENDEZVOUS}${error.detail}`
    const isAway = error.reason !== "Refused" && error.reason !== "NotFound"
    return `${command}: registry: ${isAway ? UNAVAILABLE : ""}${error.detail}`
  })

/** Why a decision about trust failed. */
export const trustText = ({ reason, detail }: TrustError): string => {
  if (reason === "RelayFailed") return `handshake relay: registry: ${detail}`
  return reason === "KeyChanged" && !detail.startsWith("key changed") ? `key changed: ${detail}` : detail
}

/** Approving what is not pending succeeds, as in the reference, and says so (node §1.8); else it shows the key. */
export const approved = Effect.fnUntraced(function* (
  node: NodeId,
  decision: Effect.Effect<{ readonly known: boolean }, TrustError>
) {
  const { known } = yield* Effect.mapError(decision, (error) => `handshake approve: ${trustText(error)}`)
  const keys = yield* PeerKeys
  const fingerprint = yield* fingerprints
  const publicKey = keys.pinned(node)
  return {
    node_id: node,
    status: "approved",
    ...(known ? {} : { known }),
    ...(publicKey === undefined ? {} : { fingerprint: fingerprint(publicKey) })
  }
})

/** Rejecting what is not pending succeeds, as in the reference, and says so. */
export const rejected = (
  node: NodeId,
  decision: Effect.Effect<{ readonly known: boolean }, TrustError>
): Effect.Effect<Json.JsonObject, string> =>
  Effect.map(
    Effect.mapError(decision, (error) => `handshake reject: ${trustText(error)}`),
    ({ known }) => ({ node_id: node, status: "rejected", ...(known ? {} : { known }) })
  )

/** The undecided requests. */
export const pendingList: Effect.Effect<Json.JsonObject, never, Trust | Crypto> = Effect.gen(function* () {
  const fingerprint = yield* fingerprints
  const pending = yield* Effect.flatMap(Trust, (trust) => trust.pending)
  return {
    pending: pending.map(({ node, publicKey, justification, receivedAtSeconds }) => ({
      justification,
      node_id: node,
      ...keyOf(publicKey, fingerprint),
      received_at: receivedAtSeconds
    }))
  }
})

/** The trusted peers. */
export const trustedList: Effect.Effect<Json.JsonObject, never, Trust | PeerKeys | Crypto> = Effect.gen(function* () {
  const fingerprint = yield* fingerprints
  const { chains } = yield* PeerKeys
  const trusted = yield* Effect.flatMap(Trust, (trust) => trust.trusted)
  return {
    trusted: trusted.map(({ node, publicKey, approvedAtSeconds, mutual, network }) => ({
      approved_at: approvedAtSeconds,
      mutual,
      network,
      node_id: node,
      ...keyOf(publicKey, fingerprint),
      ...(chains.formerKeys(node).length > 0 && { former_keys: chains.formerKeys(node).map(Bytes.toBase64) })
    }))
  }
})

/** A registry's reply as JSON; it was JSON when it came. */
export const passedOn = (raw: Readonly<Record<string, unknown>>): Json.JsonObject =>
  Json.parseObject(JSON.stringify(raw)) ?? {}

const keyOf = (publicKey: Uint8Array, fingerprint: (publicKey: Uint8Array) => string): Json.JsonObject => ({
  public_key: Bytes.toBase64(publicKey),
  ...(publicKey.length === 0 ? {} : { fingerprint: fingerprint(publicKey) })
})

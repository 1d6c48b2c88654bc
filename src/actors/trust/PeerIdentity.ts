/**
 * Which key a node id must have, asked of those who may know: the pins first, then the registry (security rule 1).
 * A registry may name a first key; it never replaces a pinned one.
 */
import { Effect, Result } from "effect"
import * as Bytes from "../../core/data/Bytes.ts"
import * as Fingerprint from "../../protocol/trust/Fingerprint.ts"
import { type KnownKey, PUBLIC_KEY_BYTES } from "../../protocol/trust/HandshakeCheck.ts"
import type { Invitation } from "../../protocol/trust/Invitation.ts"
import type { Pending } from "../../protocol/trust/Relation.ts"
import type { NodeId } from "../../protocol/wire/Address.ts"
import type { RegistryError } from "../registry/RegistryClient.ts"
import type { TrustContext } from "./TrustContext.ts"
import { TrustError } from "./TrustError.ts"

/** The Ed25519 key that opened the tunnel to a peer; `undefined` without a tunnel or when it is unauthenticated. */
export const tunnelKey = (self: TrustContext, node: NodeId): Effect.Effect<Uint8Array | undefined> =>
  Effect.map(self.node.status, ({ peers }) => {
    const peer = peers.find((row) => row.node === node)
    return peer?.authenticated === true ? peer.publicKey : undefined
  })

/** What to compare a claimed key with. The registry is asked only without a pin; it may not be able to answer. */
export const known = (self: TrustContext, node: NodeId): Effect.Effect<KnownKey> =>
  Effect.suspend(() => {
    const pinned = self.keys.pinned(node)
    if (pinned !== undefined) return Effect.succeed<KnownKey>({ _tag: "Pinned", publicKey: pinned })
    return Effect.match(registered(self, node), {
      onFailure: (): KnownKey => ({ _tag: "Unknown" }),
      onSuccess: (publicKey): KnownKey => ({ _tag: "Registered", publicKey })
    })
  })

/**
 * The key for a relayed request, by the registry's word: `undefined` when another one is pinned, empty when the
 * registry cannot say.
 */
export const relayed = (self: TrustContext, node: NodeId): Effect.Effect<Uint8Array | undefined> =>
  Effect.map(
    Effect.orElseSucceed(registered(self, node), () => Bytes.empty),
    (offered) => {
      const pinned = self.keys.pinned(node)
      return pinned === undefined || offered.length === 0 || Bytes.equals(pinned, offered) ? offered : undefined
    }
  )

/**
 * The key to ask for trust, pinned from now on. The registry is asked even if there is a pin, so that a person hears at
 * once that another key has taken the place; when it cannot answer, the pin suffices.
 */
export const confirmed = Effect.fn("PeerIdentity.confirmed")(function* (self: TrustContext, node: NodeId) {
  const pinned = self.keys.pinned(node)
  const offered = yield* pinned === undefined
    ? Effect.mapError(registered(self, node), (error) => unknown(node, error))
    : Effect.orElseSucceed(registered(self, node), () => pinned)
  if (pinned !== undefined && !Bytes.equals(pinned, offered)) return yield* keyChanged(self, node, pinned, offered)
  return yield* pin(self, node, offered)
})

/**
 * Where the node that made an invitation is now, its key pinned from now on. The invitation says the key; the registry only
 * says where it is, and one that shows another key is refused. A registry that has numbered its nodes anew may still know
 * the name.
 */
export const invited = Effect.fn("PeerIdentity.invited")(function* (
  self: TrustContext,
  { name, node, publicKey }: Pick<Invitation, "name" | "node" | "publicKey">
) {
  const offered = yield* Effect.result(registered(self, node))
  const isThere = Result.isSuccess(offered) && Bytes.equals(offered.success, publicKey)
  const found = isThere || name === "" ? undefined : yield* behindName(self, name, publicKey)
  const place = isThere ? node : found
  if (place === undefined) {
    return Result.isFailure(offered)
      ? yield* unknown(node, offered.failure)
      : yield* keyChanged(self, node, publicKey, offered.success)
  }
  yield* pin(self, place, publicKey)
  // A name that led elsewhere before stays what it was: only a person may change that.
  if (name !== "") yield* Effect.ignore(self.keys.pinName(name, publicKey))
  return place
})

const behindName = (self: TrustContext, name: string, publicKey: Uint8Array): Effect.Effect<NodeId | undefined> =>
  self.registry.resolveHostname(name).pipe(
    Effect.flatMap(({ node }) =>
      Effect.map(registered(self, node), (offered) => (Bytes.equals(offered, publicKey) ? node : undefined))
    ),
    Effect.orElseSucceed(() => undefined)
  )

/**
 * The key that an approval of `pending` means, pinned from now on. A person who gives the fingerprint vouches for the
 * key where nobody else can; any contradiction between pin, registry and request is `KeyChanged`.
 */
export const approved = Effect.fn("PeerIdentity.approved")(function* (
  self: TrustContext,
  node: NodeId,
  pending: Pending,
  fingerprint: string | undefined
) {
  const publicKey = yield* candidate(self, node, pending, fingerprint !== undefined)
  if (fingerprint !== undefined && !Fingerprint.matches(fingerprint, fingerprintOf(self, publicKey)))
    return yield* new TrustError({
      reason: "FingerprintMismatch",
      node,
      detail: `node ${node} has the key ${fingerprintOf(self, publicKey)}`
    })
  return yield* pin(self, node, publicKey)
})

/** The registry's key for a node id; a reply without a proper key is a bad one. */
const registered = (self: TrustContext, node: NodeId): Effect.Effect<Uint8Array, RegistryError | "NoKey"> =>
  Effect.flatMap(self.registry.lookup(node), ({ publicKey }) =>
    publicKey.length === PUBLIC_KEY_BYTES ? Effect.succeed(publicKey) : Effect.fail("NoKey" as const)
  )

const candidate = Effect.fnUntraced(function* (
  self: TrustContext,
  node: NodeId,
  pending: Pending,
  isVouchedFor: boolean
) {
  const pinned = self.keys.pinned(node)
  const claimed = pending.publicKey
  // A claimed key was proven by a tunnel, so a pin for the same one settles it.
  if (pinned !== undefined && claimed.length > 0)
    return Bytes.equals(pinned, claimed) ? pinned : yield* keyChanged(self, node, pinned, claimed)
  if (claimed.length > 0 && pending.confirmed) return claimed
  const offered = yield* claimed.length > 0 && isVouchedFor
    ? Effect.orElseSucceed(registered(self, node), () => claimed)
    : Effect.mapError(registered(self, node), (error) => unknown(node, error))
  const expected = pinned ?? (claimed.length > 0 ? claimed : offered)
  return Bytes.equals(expected, offered) ? offered : yield* keyChanged(self, node, expected, offered)
})

const pin = (self: TrustContext, node: NodeId, publicKey: Uint8Array): Effect.Effect<Uint8Array, TrustError> =>
  self.keys.pinNode(node, publicKey).pipe(
    Effect.as(publicKey),
    Effect.mapError(({ pinnedFingerprint, offeredFingerprint }) => changed(node, pinnedFingerprint, offeredFingerprint))
  )

const keyChanged = (self: TrustContext, node: NodeId, known: Uint8Array, offered: Uint8Array): TrustError =>
  changed(node, fingerprintOf(self, known), fingerprintOf(self, offered))

const changed = (node: NodeId, known: string, offered: string): TrustError =>
  new TrustError({
    reason: "KeyChanged",
    node,
    detail: `node ${node} is known by the key ${known}, now shows ${offered}`
  })

const unknown = (node: NodeId, error: RegistryError | "NoKey"): TrustError => {
  if (error === "NoKey")
    return new TrustError({ reason: "UnknownPeer", node, detail: "it is registered without a key" })
  const isUnknown = error.reason === "NotFound" || error.reason === "Refused"
  return new TrustError({ reason: isUnknown ? "UnknownPeer" : "RelayFailed", node, detail: error.detail })
}

/** The fingerprint in the form people compare. */
export const fingerprintOf = (self: TrustContext, publicKey: Uint8Array): string =>
  Fingerprint.format(self.crypto.sha256(publicKey))

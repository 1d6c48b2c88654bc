/**
 * Trust between this node and others (`docs/trust.md`): asking, approving, revoking, and invitations that let their holder in
 * without anybody here. The service is the same for a node in this process and for a running daemon.
 */
import { Effect, type Stream as EffectStream, Stream } from "effect"
import type * as Peer from "./Peer.ts"
import {
  type Change,
  type Failure,
  type Invitation,
  type Invited,
  type InviteOptions,
  type Pending,
  type Redeemed,
  Trust,
  type TrustError,
  type Trusted
} from "./TrustService.ts"

export type { Change, Failure, Invitation, Invited, InviteOptions, Pending, Redeemed, Trusted } from "./TrustService.ts"
export { Trust, TrustError } from "./TrustService.ts"

type Who = string | number | Peer.Selector

/** See `Trust`. */
export const list: Effect.Effect<ReadonlyArray<Trusted>, TrustError, Trust> = Effect.flatMap(
  Trust,
  (trust) => trust.list
)

/** See `Trust`. */
export const pending: Effect.Effect<ReadonlyArray<Pending>, TrustError, Trust> = Effect.flatMap(
  Trust,
  (trust) => trust.pending
)

/** See `Trust`. */
export const watch: EffectStream.Stream<Change, TrustError, Trust> = Stream.unwrap(
  Effect.map(Trust, (trust) => trust.watch)
)

/** See `Trust`. */
export const request = (peer: Who, justification?: string): Effect.Effect<"sent" | "already_trusted", Failure, Trust> =>
  Effect.flatMap(Trust, (trust) => trust.request(peer, justification))

/** See `Trust`. */
export const approve = (peer: Who, fingerprint?: string): Effect.Effect<boolean, Failure, Trust> =>
  Effect.flatMap(Trust, (trust) => trust.approve(peer, fingerprint))

/** See `Trust`. */
export const reject = (peer: Who, reason?: string): Effect.Effect<boolean, Failure, Trust> =>
  Effect.flatMap(Trust, (trust) => trust.reject(peer, reason))

/** See `Trust`. */
export const revoke = (peer: Who): Effect.Effect<void, Failure, Trust> =>
  Effect.flatMap(Trust, (trust) => trust.revoke(peer))

/** See `Trust`. */
export const invite = (options?: InviteOptions): Effect.Effect<Invited, TrustError, Trust> =>
  Effect.flatMap(Trust, (trust) => trust.invite(options))

/** See `Trust`. */
export const invitations: Effect.Effect<ReadonlyArray<Invitation>, TrustError, Trust> = Effect.flatMap(
  Trust,
  (trust) => trust.invitations
)

/** See `Trust`. */
export const revokeInvitation = (id: string): Effect.Effect<boolean, TrustError, Trust> =>
  Effect.flatMap(Trust, (trust) => trust.revokeInvitation(id))

/** See `Trust`. */
export const redeem = (invitation: string, text?: string): Effect.Effect<Redeemed, TrustError, Trust> =>
  Effect.flatMap(Trust, (trust) => trust.redeem(invitation, text))

/** Making, looking at, ending and redeeming invitations (decision 52), and the keys a person lists beforehand. */
import { Effect, Fiber, Result } from "effect"
import * as Bytes from "../../core/data/Bytes.ts"
import * as Endpoint from "../../core/data/Endpoint.ts"
import * as Fingerprint from "../../protocol/trust/Fingerprint.ts"
import * as Invitation from "../../protocol/trust/Invitation.ts"
import * as InvitationClaim from "../../protocol/trust/InvitationClaim.ts"
import * as InvitationTable from "../../protocol/trust/InvitationTable.ts"
import * as Justification from "../../protocol/trust/Justification.ts"
import * as ListedKeys from "../../protocol/trust/ListedKeys.ts"
import { Input } from "../../protocol/trust/TrustHandshake.ts"
import { NodeId } from "../../protocol/wire/Address.ts"
import * as Names from "../registry/Names.ts"
import { RegistryClient } from "../registry/RegistryClient.ts"
import type { Admissions, InvitationRow, Invited, InviteOptions, Networks, Redeemed } from "./Admissions.ts"
import * as PeerIdentity from "./PeerIdentity.ts"
import type { TrustActor } from "./TrustActor.ts"
import type { TrustContext } from "./TrustContext.ts"
import { TrustError } from "./TrustError.ts"
import * as TrustLedger from "./TrustLedger.ts"

/** What these functions stand on. */
export interface Options {
  readonly context: TrustContext
  readonly actor: TrustActor
}

/** The service. */
export const make = (options: Options): Omit<Admissions, keyof Networks> => ({
  invite: (wanted) => invite(options, wanted),
  invitations: list(options),
  revokeInvitation: (id) => revoke(options, id),
  redeem: (invitation, text) => redeem(options, invitation, text),
  listKey: (fingerprint, note) => listKey(options, fingerprint, note),
  unlistKey: (fingerprint) => unlistKey(options, fingerprint),
  listedKeys: Effect.sync(() => [...options.actor.admission().listedKeys.values()])
})

/** Whether the registry should be asked more often: somebody may come in at any time. */
export const isOpen = ({ actor }: Options): Effect.Effect<boolean> =>
  Effect.map(TrustLedger.nowSeconds, (nowSeconds) =>
    [...actor.admission().invitations.values()].some((entry) => InvitationTable.stateOf(entry, nowSeconds) === "open")
  )

/** Makes one. The string is shown once: what is kept cannot make it again. */
const invite = Effect.fn("Invitations.invite")(function* (
  { actor, context }: Options,
  options: InviteOptions
): Effect.fn.Return<Invited, TrustError> {
  const own = yield* context.node.status
  const createdAtSeconds = yield* TrustLedger.nowSeconds
  const secret = context.crypto.randomBytes(Invitation.SECRET_BYTES)
  const expiresAtSeconds = createdAtSeconds + options.lifeSeconds
  const invitation: Invitation.Invitation = {
    secret,
    expiresAtSeconds,
    publicKey: own.publicKey,
    node: own.address.node,
    name: own.hostname,
    registry: options.registry,
    beacon: options.beacon,
    fingerprint: options.fingerprint,
    services: options.services,
    hints: options.hints
  }
  const wrong = problemWith(options, invitation)
  if (wrong !== undefined) return yield* failed("NotValid", wrong)
  const entry: InvitationTable.Entry = {
    id: InvitationClaim.idOf(secret, context.crypto.hmacSha256),
    key: InvitationClaim.keyOf(secret, context.crypto.hmacSha256),
    createdAtSeconds,
    expiresAtSeconds,
    usesMax: options.uses,
    services: options.services,
    boundTo: options.boundTo,
    note: Justification.clean(options.note),
    revokedAtSeconds: undefined,
    redemptions: []
  }
  yield* actor.amend({
    kind: "Widening",
    change: (admission, nowSeconds) => {
      const added = InvitationTable.add(admission.invitations, entry, nowSeconds)
      return Result.isSuccess(added)
        ? Result.succeed({ admission: { ...admission, invitations: added.success }, value: undefined })
        : Result.fail(failed("LimitReached", `${InvitationTable.ENTRIES_MAX} invitations are open already`))
    }
  })
  return { id: entry.id, text: Invitation.encode(invitation), expiresAtSeconds }
})

/** All that are remembered, oldest first. */
const list = ({ actor }: Options): Effect.Effect<ReadonlyArray<InvitationRow>> =>
  Effect.map(TrustLedger.nowSeconds, (nowSeconds) =>
    [...InvitationTable.expire(actor.admission().invitations, nowSeconds).values()].map((entry) => {
      const { key: _, ...shown } = entry
      return { ...shown, state: InvitationTable.stateOf(entry, nowSeconds) }
    })
  )

/** Ends one; false when it is not known. Who came in with it stays trusted. */
const revoke = ({ actor }: Options, id: string): Effect.Effect<boolean, TrustError> =>
  actor.amend({
    kind: "Narrowing",
    change: (admission, nowSeconds) => {
      const invitations = InvitationTable.revoke(admission.invitations, id, nowSeconds)
      return Result.succeed({
        admission: { ...admission, invitations: invitations ?? admission.invitations },
        value: invitations !== undefined
      })
    }
  })

/** Asks the inviter, who needs nobody to answer; returns when the request is on its way. */
const redeem = Effect.fn("Invitations.redeem")(function* (
  { actor, context }: Options,
  invitation: Invitation.Invitation,
  text: string
): Effect.fn.Return<Redeemed, TrustError> {
  const { publicKey, secret } = invitation
  if (Bytes.equals(publicKey, context.identity.publicKey))
    return yield* failed("NotValid", "this node itself has made the invitation")
  if ((yield* TrustLedger.nowSeconds) >= invitation.expiresAtSeconds)
    return yield* failed("NotValid", "the invitation has expired")
  const node = yield* PeerIdentity.invited(context, invitation)
  yield* Effect.forEach(invitation.hints, (text) => hint(context, node, text), { discard: true })
  const claim = InvitationClaim.make(secret, publicKey, context.identity.publicKey, context.crypto.hmacSha256)
  const justification = Justification.clean(InvitationClaim.format(claim, text))
  const { choice, delivery } = yield* actor.apply(
    node,
    Input.RequestChosen({ publicKey, justification, isInsisting: true })
  )
  if (choice === "TooManyOutgoing")
    return yield* failed("LimitReached", "too many requests of this node are unanswered")
  yield* Fiber.join(delivery)
  return { node, status: choice === "AlreadyTrusted" ? "already_trusted" : "sent" }
})

/** Lists a key by its fingerprint: its request for trust needs nobody here. */
const listKey = ({ actor }: Options, fingerprint: string, note: string): Effect.Effect<void, TrustError> =>
  actor.amend({
    kind: "Widening",
    change: (admission, listedAtSeconds) => {
      const parsed = Fingerprint.parse(fingerprint)
      if (parsed === undefined) return Result.fail(failed("NotValid", "this is no fingerprint"))
      const listed = { fingerprint: parsed, note: Justification.clean(note), listedAtSeconds }
      const added = ListedKeys.add(admission.listedKeys, listed)
      return Result.isSuccess(added)
        ? Result.succeed({ admission: { ...admission, listedKeys: added.success }, value: undefined })
        : Result.fail(failed("LimitReached", `${ListedKeys.LISTED_KEYS_MAX} keys are listed already`))
    }
  })

/** Strikes a key out; false when it was not listed. */
const unlistKey = ({ actor }: Options, fingerprint: string): Effect.Effect<boolean, TrustError> =>
  actor.amend({
    kind: "Narrowing",
    change: (admission) => {
      const listedKeys = ListedKeys.remove(admission.listedKeys, Fingerprint.parse(fingerprint) ?? "")
      return Result.succeed({ admission: { ...admission, listedKeys }, value: listedKeys !== admission.listedKeys })
    }
  })

/** A private node's registry does not say where it is before the two trust each other; whoever answers there proves its key. */
const hint = (context: TrustContext, node: NodeId, text: string): Effect.Effect<void> => {
  const endpoint = Endpoint.parse(text)
  return endpoint === undefined
    ? Effect.void
    : Effect.provideService(Names.hint(node, endpoint), RegistryClient, context.registry)
}

const problemWith = (options: InviteOptions, invitation: Invitation.Invitation): string | undefined => {
  const isIn = (value: number, max: number) => Number.isInteger(value) && value >= 1 && value <= max
  if (!isIn(options.uses, InvitationTable.USES_MAX)) return `uses must be 1 to ${InvitationTable.USES_MAX}`
  if (!isIn(options.lifeSeconds, InvitationTable.LIFE_SECONDS_MAX)) return "it must expire within a year"
  if (options.boundTo !== "" && Fingerprint.parse(options.boundTo) !== options.boundTo) return "this is no fingerprint"
  if (options.services.length > Invitation.SERVICES_MAX) return `at most ${Invitation.SERVICES_MAX} services`
  return Invitation.isWritable(invitation) ? undefined : "a name or an address is too long for an invitation"
}

const failed = (reason: TrustError["reason"], detail: string): TrustError =>
  new TrustError({ reason, node: NodeId(0), detail })

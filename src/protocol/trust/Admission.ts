/**
 * Who comes in unattended (security rule 2): whoever proves an invitation of this node, whoever holds a token of a network that
 * this node is in, and whoever has a listed key. Looks at each request for trust before the handshake does, and at accepts for the
 * network of their sender; all other inputs pass as they are. Names, tags and what a registry calls a network never count, and
 * neither does a key that nobody could confirm.
 */
import { Result } from "effect"
import * as Bytes from "../../core/data/Bytes.ts"
import type { NodeId } from "../wire/Address.ts"
import * as InvitationClaim from "./InvitationClaim.ts"
import * as InvitationTable from "./InvitationTable.ts"
import * as ListedKeys from "./ListedKeys.ts"
import * as NetworkClaim from "./NetworkClaim.ts"
import * as NetworkTable from "./NetworkTable.ts"
import type * as NetworkToken from "./NetworkToken.ts"
import * as Relation from "./Relation.ts"
import { Input } from "./TrustHandshake.ts"

/** What a person here has allowed beforehand. */
export interface Admission {
  readonly invitations: InvitationTable.InvitationTable
  readonly listedKeys: ListedKeys.ListedKeys
  readonly networks: NetworkTable.NetworkTable
}

/** Nothing. */
export const empty: Admission = {
  invitations: InvitationTable.empty,
  listedKeys: ListedKeys.empty,
  networks: NetworkTable.empty
}

/** The cryptography that judging takes, and whose invitations these are. */
export interface Means {
  readonly ownKey: Uint8Array
  readonly hmac: InvitationClaim.Hmac
  readonly verify: NetworkToken.Verify
  /** Of a key, as people compare it. */
  readonly fingerprintOf: (publicKey: Uint8Array) => string
}

/** What was allowed after an input, and the input as the handshake is to take it. */
export interface Judged {
  readonly admission: Admission
  readonly input: Input
}

/** A request that comes in is `RequestGranted`; one whose invitation has ended is `RequestBarred`; all else stays. */
export const judge = (
  self: Admission,
  node: NodeId,
  input: Input,
  relation: Relation.Relation,
  means: Means,
  nowSeconds: number
): Judged => {
  if (input._tag === "AcceptReceived") return { admission: self, input: accepted(self, input, means, nowSeconds) }
  const request = requestOf(input)
  if (request === undefined) return { admission: self, input }
  const carried = InvitationClaim.parse(request.justification)
  if (carried !== undefined) {
    const asked = { ...request, node, justification: carried.text }
    return redeem(self, asked, carried.claim, relation, means, nowSeconds)
  }
  const shown = NetworkClaim.parse(request.justification)
  if (shown.claims.length > 0) {
    const claiming = { ...request, justification: shown.text }
    const member = means.fingerprintOf(request.publicKey)
    const vouched = NetworkTable.vouched(self.networks, shown.claims, member, means.verify, nowSeconds)
    if (request.isConfirmed && Result.isSuccess(vouched))
      return { admission: self, input: granted(claiming, [], vouched.success) }
    const note = Result.isSuccess(vouched) ? UNCONFIRMED_MEMBER : CLAIM_NOTES[vouched.failure]
    return {
      admission: self,
      input: isListedHere(self, claiming, relation, means) ? granted(claiming, []) : asked(claiming, note)
    }
  }
  return { admission: self, input: isListedHere(self, request, relation, means) ? granted(request, []) : input }
}

const isListedHere = (self: Admission, request: Request, relation: Relation.Relation, means: Means): boolean =>
  // What stands between the two already decides first: a listed key that is trusted, or was asked for, needs no listing.
  request.isConfirmed &&
  Relation.standing(relation) !== "trusted" &&
  self.listedKeys.has(means.fingerprintOf(request.publicKey))

/** The accept of a member says by which network it is one, so that rules about networks hold on both sides. */
const accepted = (
  self: Admission,
  input: Extract<Input, { readonly _tag: "AcceptReceived" }>,
  means: Means,
  nowSeconds: number
): Input => {
  const { claims } = NetworkClaim.parse(input.reason ?? "")
  if (claims.length === 0) return input
  const member = means.fingerprintOf(input.publicKey)
  const vouched = NetworkTable.vouched(self.networks, claims, member, means.verify, nowSeconds)
  return Result.isSuccess(vouched) ? { ...input, network: vouched.success } : input
}

interface Request {
  readonly publicKey: Uint8Array
  readonly justification: string
  readonly isRelayed: boolean
  /** The pin or the registry names the same key, and it is known. */
  readonly isConfirmed: boolean
}

const requestOf = (input: Input): Request | undefined => {
  switch (input._tag) {
    case "RequestReceived":
      return { ...input, isRelayed: false, isConfirmed: input.confirmed }
    case "RequestRelayed":
      return { ...input, isRelayed: true, isConfirmed: input.publicKey.length > 0 }
    default:
      return undefined
  }
}

const redeem = (
  self: Admission,
  request: Request & { readonly node: NodeId },
  { id, proof }: InvitationClaim.Claim,
  relation: Relation.Relation,
  means: Means,
  nowSeconds: number
): Judged => {
  const { node, publicKey } = request
  if (!request.isConfirmed) return { admission: self, input: asked(request, UNCONFIRMED) }
  const isProven = (key: Uint8Array) =>
    Bytes.equals(InvitationClaim.proofOf(key, means.ownKey, publicKey, means.hmac), proof)
  const attempt = { id, node, publicKey, isProven, fingerprint: means.fingerprintOf(publicKey) }
  const redeemed = InvitationTable.redeem(self.invitations, attempt, nowSeconds)
  if (Result.isSuccess(redeemed)) {
    const { entry, table } = redeemed.success
    return { admission: { ...self, invitations: table }, input: granted(request, entry.services) }
  }
  const { failure } = redeemed
  // Repeating is no offence while the trust stands: the accept was lost.
  if (Relation.isTrustedUnder(relation, publicKey)) return { admission: self, input: asked(request, "") }
  const reason = BARRED[failure]
  return { admission: self, input: reason === undefined ? asked(request, NOTES[failure]) : barred(request, reason) }
}

const granted = (
  { isRelayed, justification, publicKey }: Request,
  services: ReadonlyArray<string>,
  network?: number
): Input =>
  Input.RequestGranted({
    ...{ publicKey, justification, isRelayed, services },
    ...(network === undefined ? {} : { network })
  })

const barred = ({ isRelayed, justification, publicKey }: Request, reason: string): Input =>
  Input.RequestBarred({ publicKey, justification, isRelayed, reason })

/** A request like any other, which a person decides; `note` says what its invitation was. */
const asked = ({ isConfirmed, isRelayed, justification, publicKey }: Request, note: string | undefined): Input => {
  const text = [note ?? "", justification].filter((part) => part !== "").join(" ")
  return isRelayed
    ? Input.RequestRelayed({ publicKey, justification: text })
    : Input.RequestReceived({ publicKey, justification: text, confirmed: isConfirmed })
}

/** Told to the redeemer, who has proven to hold the invitation. */
const BARRED: Readonly<Partial<Record<InvitationTable.Refusal, string>>> = {
  Used: "the invitation is used up",
  Expired: "the invitation has expired",
  Revoked: "the invitation was revoked",
  OtherKey: "the invitation is for another key"
}

/** Told to the person here. Nobody else learns whether an invitation exists. */
const NOTES: Readonly<Partial<Record<InvitationTable.Refusal, string>>> = {
  Unknown: "(with an invitation that this node does not know)",
  BadProof: "(with an invitation whose proof is wrong)"
}

const CLAIM_NOTES: Readonly<Record<NetworkTable.Refusal, string>> = {
  Unknown: "(with a token of a network that this node is not in)",
  BadSignature: "(with a token that its network has not signed)",
  Expired: "(with a token of its network that has expired)",
  Revoked: "(with a token that its network has revoked)",
  Barred: "(with a token of its network; its trust was ended here)",
  Closed: "(with a token of a network in which this node's own has ended)"
}

const UNCONFIRMED_MEMBER = "(with a token of its network; its key could not be confirmed)"
const UNCONFIRMED = "(with an invitation; its key could not be confirmed)"

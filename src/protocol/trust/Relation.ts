/**
 * What stands between this node and one peer (node §2.3): independent records of trust, of an incoming and an outgoing
 * request, and of a recent revocation. `standing` folds them into the one word that the transition table uses.
 */
import * as Bytes from "../../core/data/Bytes.ts"

/** Both sides agreed, or a person here approved. */
export interface Trusted {
  /** The key that is trusted: the peer is its key (security rule 1). Never empty. */
  readonly publicKey: Uint8Array
  readonly approvedAtSeconds: number
  /** Both sides asked, or our own request was accepted. */
  readonly mutual: boolean
  /** The network whose token brought it (decision 77), or that vouched in the reference; 0 for none. */
  readonly network: number
  /** Our accept has reached neither the peer nor the registry yet; it is sent again after each poll. */
  readonly acceptDue: boolean
  /** The registry knows of this pair. Memory only: a restarted node reports again. */
  readonly reported: boolean
  /** Services that its invitation promised and that are not opened to it yet. */
  readonly servicesDue: ReadonlyArray<string>
}

/** An incoming request that waits for a person. */
export interface Pending {
  /** Empty when it came by relay and the key was not looked up yet. */
  readonly publicKey: Uint8Array
  /** Already cleaned (`Justification.clean`). */
  readonly justification: string
  readonly receivedAtSeconds: number
  /** The pin or the registry names the same key for this node id. */
  readonly confirmed: boolean
}

/** Our own request, for one key. It survives a restart, or a late accept would be lost. */
export interface Outgoing {
  /** The key a person here asked for, known when the request was made. Never empty. */
  readonly publicKey: Uint8Array
  readonly justification: string
  readonly requestedAtSeconds: number
  /**
   * When the registry said that the peer accepted, or asked for the same. It counts once `publicKey` has opened a
   * tunnel (security rule 2); until then the peer is not trusted.
   */
  readonly acceptedAtSeconds: number | undefined
  /** It has yet to leave this node: what the peer refuses meanwhile is an earlier one. Memory only. */
  readonly isUnsent?: boolean
  /** The registry has yet to relay the refusal of an earlier one, which the peer itself has told. Memory only. */
  readonly isRefusalDue?: boolean
}

/** We ended the trust; an accept that was still under way must not bring it back. */
export interface Revoked {
  readonly untilSeconds: number
  /** The registry has not been told yet; this keeps the record past `untilSeconds`. */
  readonly reportDue: boolean
  /** The key that was trusted; empty when nothing is to be said to it. */
  readonly publicKey: Uint8Array
  /** The peer has not been told yet; so does this, for as long as a request lives. */
  readonly noticeDue: boolean
  /** When that was tried last. Memory only: a restarted node tries again. */
  readonly triedAtSeconds: number
}

/** The peer has refused our request, for a person who looks soon. Memory only. */
export interface Refused {
  /** In the peer's words, cleaned; empty when the registry relayed it. */
  readonly reason: string
  readonly atSeconds: number
  /** The registry has said it, too. */
  readonly isRelayed: boolean
}

/** All of it; absent parts are `undefined`. */
export interface Relation {
  readonly trusted: Trusted | undefined
  readonly pending: Pending | undefined
  readonly outgoing: Outgoing | undefined
  readonly revoked: Revoked | undefined
  readonly refused: Refused | undefined
}

/** The state of the transition table. */
export type Standing =
  | "none"
  | "outgoing"
  | "acceptedByRelay"
  | "pending"
  | "pendingAndOutgoing"
  | "trusted"
  | "revoked"

/** A peer we have nothing to do with. */
export const none: Relation = {
  trusted: undefined,
  pending: undefined,
  outgoing: undefined,
  revoked: undefined,
  refused: undefined
}

/** The peer ended the trust: only the registry has to be told. */
export const endedByPeer: Revoked = {
  untilSeconds: 0,
  reportDue: true,
  publicKey: Bytes.empty,
  noticeDue: false,
  triedAtSeconds: 0
}

/** True when nothing is left to remember. */
export const isNone = (self: Relation): boolean =>
  self.trusted === undefined &&
  self.pending === undefined &&
  self.outgoing === undefined &&
  self.revoked === undefined &&
  self.refused === undefined

/** The one word for it; the strongest record names it. */
export const standing = (self: Relation): Standing => {
  if (self.trusted !== undefined) return "trusted"
  if (self.outgoing?.acceptedAtSeconds !== undefined) return "acceptedByRelay"
  if (self.outgoing !== undefined) return self.pending === undefined ? "outgoing" : "pendingAndOutgoing"
  if (self.pending !== undefined) return "pending"
  return self.revoked === undefined ? "none" : "revoked"
}

/** Trusted, and under this very key. */
export const isTrustedUnder = (self: Relation, publicKey: Uint8Array): boolean =>
  self.trusted !== undefined && Bytes.equals(self.trusted.publicKey, publicKey)

/** Asked for by a person here, and under this very key. */
export const isOutgoingTo = (self: Relation, publicKey: Uint8Array): boolean =>
  self.outgoing !== undefined && Bytes.equals(self.outgoing.publicKey, publicKey)

/** The same relation to a peer whose key follows from another one (security rule 9). */
export const follow = (self: Relation, from: Uint8Array, to: Uint8Array): Relation => {
  const moved = <A extends { readonly publicKey: Uint8Array }>(part: A | undefined): A | undefined =>
    part !== undefined && Bytes.equals(part.publicKey, from) ? { ...part, publicKey: to } : part
  const [trusted, pending, outgoing] = [moved(self.trusted), moved(self.pending), moved(self.outgoing)]
  const revoked = moved(self.revoked)
  const isSame =
    trusted === self.trusted && pending === self.pending && outgoing === self.outgoing && revoked === self.revoked
  return isSame ? self : { ...self, trusted, pending, outgoing, revoked }
}

/** The keys it is about, each once or more. */
export const keysOf = ({ outgoing, pending, revoked, trusted }: Relation): ReadonlyArray<Uint8Array> =>
  [trusted, pending, outgoing, revoked].flatMap((part) => (part === undefined ? [] : [part.publicKey]))

/** Drops what has outlived its time; the same object when nothing has. */
export const expire = (self: Relation, lifetimes: Lifetimes, nowSeconds: number): Relation => {
  const trusted = expireAccept(self.trusted, lifetimes, nowSeconds)
  const pending = isPast(self.pending?.receivedAtSeconds, lifetimes.pendingSeconds, nowSeconds)
    ? undefined
    : self.pending
  const outgoing = expireOutgoing(self.outgoing, lifetimes, nowSeconds)
  const revoked = expireRevoked(self.revoked, lifetimes, nowSeconds)
  const refused = isPast(self.refused?.atSeconds, REFUSED_SECONDS, nowSeconds) ? undefined : self.refused
  const isSame =
    trusted === self.trusted &&
    pending === self.pending &&
    outgoing === self.outgoing &&
    revoked === self.revoked &&
    refused === self.refused
  return isSame ? self : { trusted, pending, outgoing, revoked, refused }
}

/** How long undecided things are kept, in seconds of wall-clock time, because they outlive the process. */
export interface Lifetimes {
  readonly pendingSeconds: number
  readonly outgoingSeconds: number
  /** How long a relayed accept waits for its key to open a tunnel; then it is a plain request again. */
  readonly relayedAcceptSeconds: number
}

/** After that time the peer has forgotten its request, so nobody waits for our accept. */
const expireAccept = (self: Trusted | undefined, lifetimes: Lifetimes, nowSeconds: number): Trusted | undefined =>
  self?.acceptDue === true && isPast(self.approvedAtSeconds, lifetimes.outgoingSeconds, nowSeconds)
    ? { ...self, acceptDue: false }
    : self

const expireOutgoing = (self: Outgoing | undefined, lifetimes: Lifetimes, nowSeconds: number): Outgoing | undefined => {
  if (isPast(self?.requestedAtSeconds, lifetimes.outgoingSeconds, nowSeconds)) return undefined
  return self !== undefined && isPast(self.acceptedAtSeconds, lifetimes.relayedAcceptSeconds, nowSeconds)
    ? { ...self, acceptedAtSeconds: undefined }
    : self
}

/** A peer that stays away as long as a request lives is not told any more. */
const expireRevoked = (self: Revoked | undefined, lifetimes: Lifetimes, nowSeconds: number): Revoked | undefined => {
  if (self === undefined) return undefined
  const isNoticeDue = self.noticeDue && !isPast(self.untilSeconds, lifetimes.outgoingSeconds, nowSeconds)
  if (!self.reportDue && !isNoticeDue && nowSeconds >= self.untilSeconds) return undefined
  return isNoticeDue === self.noticeDue ? self : { ...self, noticeDue: isNoticeDue }
}

const isPast = (sinceSeconds: number | undefined, lifeSeconds: number, nowSeconds: number): boolean =>
  sinceSeconds !== undefined && nowSeconds - sinceSeconds >= lifeSeconds

/** A person who asked looks within minutes. */
const REFUSED_SECONDS = 600

/**
 * The end of trust, from either side (node §2.3). The key concerned must say so itself: over its tunnel, or in a signed
 * notice that the registry relays, because the peer may be away when it happens. The notice of ours stays due until the
 * peer has it.
 *
 * ```
 * pilot-revoke:1:<Unix seconds>:<signature, base64url>     in place of a request's justification (rendezvous §4.12)
 * ```
 *
 * A node of the reference takes such a request of a peer it trusts for a repetition and does nothing.
 */
import * as Base64Url from "../../core/data/Base64Url.ts"
import * as Bytes from "../../core/data/Bytes.ts"
import * as Relation from "./Relation.ts"
import { Output, type Step, stay } from "./TrustOutput.ts"

/** A relayed notice. */
export interface Notice {
  readonly atSeconds: number
  readonly signature: Uint8Array
}

/** What the signature covers: both keys, so that it is about this pair and nobody else. */
export const signedText = (from: Uint8Array, to: Uint8Array, atSeconds: number): string =>
  `pilot-revoke:${Bytes.toHex(from)}:${Bytes.toHex(to)}:${atSeconds}`

/** The notice as a justification. */
export const formatNotice = ({ atSeconds, signature }: Notice): string =>
  `${PREFIX}${atSeconds}:${Base64Url.encode(signature)}`

/** The notice in a justification, if it is one. */
export const parseNotice = (justification: string): Notice | undefined => {
  const match = SHAPE.exec(justification)
  const signature = match === null ? undefined : Base64Url.decode(match[2]!)
  return match === null || signature === undefined ? undefined : { atSeconds: Number(match[1]), signature }
}

/** The peer says so over its tunnel: only the key concerned may end something. */
export const received = (self: Relation.Relation, publicKey: Uint8Array): Step => {
  const isPendingUnder = self.pending !== undefined && Bytes.equals(self.pending.publicKey, publicKey)
  const isTrusted = Relation.isTrustedUnder(self, publicKey)
  const relation = {
    ...self,
    trusted: isTrusted ? undefined : self.trusted,
    pending: isPendingUnder ? undefined : self.pending,
    outgoing: Relation.isOutgoingTo(self, publicKey) ? undefined : self.outgoing
  }
  if (!isTrusted) return stay(relation)
  return {
    relation: { ...relation, revoked: { ...Relation.endedByPeer } },
    outputs: [Output.DropPeer(), Output.ReportRevocation(), Output.Report({ fact: "RevokedByPeer" })]
  }
}

/**
 * The same by a notice whose signature holds under `publicKey`. One from before the trust is a repetition by the registry.
 * The answer takes it out of the inbox and tells the peer that it need not be said again.
 */
export const relayed = (self: Relation.Relation, publicKey: Uint8Array, atSeconds: number): Step => {
  const isOld = self.trusted !== undefined && atSeconds < self.trusted.approvedAtSeconds - CLOCKS_APART_SECONDS
  // Whom a person here has asked since is not told that it is unwanted.
  if (isOld || Relation.isOutgoingTo(self, publicKey)) return stay(self)
  const ended = self.trusted === undefined ? stay(self) : received(self, publicKey)
  const heard = Relation.isTrustedUnder(ended.relation, publicKey)
    ? []
    : [Output.AnswerRelayed({ publicKey, accept: false })]
  return { relation: ended.relation, outputs: [...ended.outputs, ...heard] }
}

/** A person here ends it. The message goes first, because it needs the tunnel that is dropped next (node §2.3). */
export const chosen = (self: Relation.Relation, nowSeconds: number): Step => {
  const untilSeconds = nowSeconds + IGNORE_ACCEPTS_SECONDS
  if (self.trusted === undefined) {
    const wasUndecided = self.pending !== undefined || self.outgoing !== undefined
    const before = self.revoked ?? Relation.endedByPeer
    const revoked = wasUndecided
      ? { ...before, untilSeconds, reportDue: self.revoked?.reportDue ?? false }
      : self.revoked
    return { relation: { ...Relation.none, revoked }, outputs: [Output.Answer({ result: "NotTrusted" })] }
  }
  const { publicKey } = self.trusted
  const revoked = { untilSeconds, reportDue: true, publicKey, noticeDue: true, triedAtSeconds: nowSeconds }
  return {
    relation: { ...Relation.none, revoked },
    outputs: [
      Output.Answer({ result: "Revoked" }),
      Output.SendRevoke({ publicKey }),
      Output.DropPeer(),
      Output.ReportRevocation(),
      Output.Report({ fact: "Revoked" })
    ]
  }
}

/** The peer asks anew over its tunnel: saying now that its trust has ended would be taken for the answer. */
export const heard = (self: Relation.Relation, publicKey: Uint8Array): Relation.Relation =>
  self.revoked?.noticeDue === true && Bytes.equals(self.revoked.publicKey, publicKey) ? delivered(self).relation : self

/** The peer has our message, or nobody will ask any more. */
export const delivered = (self: Relation.Relation): Step =>
  stay(self.revoked === undefined ? self : { ...self, revoked: { ...self.revoked, noticeDue: false } })

/** The registry knows that the pair has ended. */
export const reported = (self: Relation.Relation): Step =>
  stay(self.revoked === undefined ? self : { ...self, revoked: { ...self.revoked, reportDue: false } })

/**
 * The registry relays an accept although nothing was asked. A peer of the reference answers our notice so: it is there now,
 * and the pair exists again at the registry, which is told once more.
 */
export const accepted = (self: Relation.Relation, nowSeconds: number): Step => {
  const { revoked } = self
  if (revoked?.noticeDue !== true) return stay(self)
  return {
    relation: { ...self, revoked: { ...revoked, reportDue: true, triedAtSeconds: nowSeconds } },
    outputs: [Output.SendRevoke({ publicKey: revoked.publicKey }), Output.ReportRevocation()]
  }
}

/** What is still to be done about an ended trust. */
export const due = (self: Relation.Relation, nowSeconds: number): Step => {
  const { revoked } = self
  if (revoked === undefined) return stay(self)
  const reports = revoked.reportDue ? [Output.ReportRevocation()] : []
  const isTime = revoked.noticeDue && nowSeconds - revoked.triedAtSeconds >= NOTICE_INTERVAL_SECONDS
  if (!isTime) return { relation: self, outputs: reports }
  const relation = { ...self, revoked: { ...revoked, triedAtSeconds: nowSeconds } }
  return { relation, outputs: [Output.SendRevoke({ publicKey: revoked.publicKey }), ...reports] }
}

const PREFIX = "pilot-revoke:1:"
/** A signature is 64 bytes: 86 characters. */
const SHAPE = /^pilot-revoke:1:([0-9]{1,12}):([A-Za-z0-9_-]{86})$/

/** node §2.3. */
const IGNORE_ACCEPTS_SECONDS = 300
/** Between two attempts to tell a peer that is away. */
const NOTICE_INTERVAL_SECONDS = 60
const CLOCKS_APART_SECONDS = 60

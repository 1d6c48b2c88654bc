/**
 * Trust between this node and one peer as a state machine (node §2.3; security rules 1 and 2). Trust begins in three
 * ways only: a person here approves a key; a person here asked for a key and that key accepts, or asks, over its own
 * tunnel; or the same by the registry's word, once that key has opened a tunnel. Names, networks and tags never do.
 *
 * Every key in an input was proven by the sender's tunnel (`…Received`, `TunnelOpened`) or chosen by a person
 * (`…Chosen`); `…Relayed` inputs are the registry's word.
 */
import { Data } from "effect"
import * as Bytes from "../../core/data/Bytes.ts"
import * as Relation from "./Relation.ts"
import { Output } from "./TrustOutput.ts"

/** What happened. */
export type Input = Data.TaggedEnum<{
  /** `confirmed`: the pin or the registry names the same key. */
  RequestReceived: { readonly publicKey: Uint8Array; readonly justification: string; readonly confirmed: boolean }
  AcceptReceived: { readonly publicKey: Uint8Array }
  RejectReceived: { readonly publicKey: Uint8Array }
  RevokeReceived: { readonly publicKey: Uint8Array }
  /** `publicKey` is the registry's, empty when it could not be looked up. */
  RequestRelayed: { readonly publicKey: Uint8Array; readonly justification: string }
  AcceptRelayed: {}
  RejectRelayed: {}
  /** A tunnel to the peer is up, and this key opened it. */
  TunnelOpened: { readonly publicKey: Uint8Array }
  RequestChosen: { readonly publicKey: Uint8Array; readonly justification: string }
  ApprovalChosen: { readonly publicKey: Uint8Array }
  RejectionChosen: { readonly reason: string }
  RevocationChosen: {}
  /** Our accept has reached the peer, or the registry has taken it. */
  AcceptDelivered: {}
  TrustReported: {}
  RevocationReported: {}
  /** The registry answers again: what is still due may be tried. */
  Polled: {}
  /** The registry has registered us anew and may have forgotten every pair (rendezvous §9.3). */
  Reregistered: {}
}>
/** Constructors of `Input`. */
export const Input = Data.taggedEnum<Input>()

/** A relation and what to do. */
export interface Step {
  readonly relation: Relation.Relation
  readonly outputs: ReadonlyArray<Output>
}

/** Total: what does not fit the standing is ignored. `nowSeconds` is wall-clock time, because it is kept on disk. */
export const step = (self: Relation.Relation, input: Input, nowSeconds: number): Step =>
  Input.$match(input, {
    RequestReceived: (request) => requestReceived(self, request, nowSeconds),
    AcceptReceived: ({ publicKey }) => acceptReceived(self, publicKey, nowSeconds),
    RejectReceived: ({ publicKey }) => (Relation.isOutgoingTo(self, publicKey) ? requestRefused(self) : stay(self)),
    RevokeReceived: ({ publicKey }) => revokeReceived(self, publicKey),
    RequestRelayed: (request) => requestRelayed(self, request, nowSeconds),
    AcceptRelayed: () => (self.trusted === undefined ? heardAccept(self, nowSeconds) : stay(self)),
    RejectRelayed: () => (self.outgoing === undefined ? stay(self) : requestRefused(self)),
    TunnelOpened: ({ publicKey }) => tunnelOpened(self, publicKey, nowSeconds),
    RequestChosen: (request) => requestChosen(self, request, nowSeconds),
    ApprovalChosen: ({ publicKey }) => approvalChosen(self, publicKey, nowSeconds),
    RejectionChosen: ({ reason }) => rejectionChosen(self, reason),
    RevocationChosen: () => revocationChosen(self, nowSeconds),
    AcceptDelivered: () => amendTrusted(self, { acceptDue: false }),
    TrustReported: () => amendTrusted(self, { reported: true }),
    RevocationReported: () =>
      stay(self.revoked === undefined ? self : { ...self, revoked: { ...self.revoked, reportDue: false } }),
    Polled: () => ({ relation: self, outputs: due(self) }),
    Reregistered: () => {
      const { relation } = amendTrusted(self, { reported: false })
      return { relation, outputs: due(relation) }
    }
  })

type Of<Tag extends Input["_tag"]> = Data.TaggedEnum.Value<Input, Tag>

const stay = (relation: Relation.Relation): Step => ({ relation, outputs: [] })

const requestReceived = (self: Relation.Relation, request: Of<"RequestReceived">, nowSeconds: number): Step => {
  const { publicKey, justification, confirmed } = request
  const received = Output.Report({ fact: "RequestReceived" })
  if (Relation.isTrustedUnder(self, publicKey)) {
    const { relation } = amendTrusted(self, { acceptDue: true })
    return { relation, outputs: [received, Output.SendAccept({ publicKey })] }
  }
  // A person here asked for this very key, and it asks for us: both have said yes.
  if (Relation.isOutgoingTo(self, publicKey)) {
    const trusted = trust(self, publicKey, { mutual: true, acceptDue: true }, nowSeconds)
    return { relation: trusted.relation, outputs: [received, Output.SendAccept({ publicKey }), ...trusted.outputs] }
  }
  return askPerson(self, { publicKey, justification, receivedAtSeconds: nowSeconds, confirmed })
}

/** The latest text and time count; but what is known of the key never gets weaker by asking again. */
const askPerson = (self: Relation.Relation, request: Relation.Pending): Step => {
  const known = self.pending
  const isSame = known === undefined || Bytes.equals(known.publicKey, request.publicKey)
  if (known?.confirmed && !isSame && !request.confirmed && request.publicKey.length > 0) return stay(self)
  const isWeaker = known !== undefined && request.publicKey.length === 0
  const { publicKey, confirmed } = isWeaker ? known : request
  return {
    relation: {
      ...self,
      pending: { ...request, publicKey, confirmed: confirmed || (isSame && known?.confirmed === true) }
    },
    outputs: [Output.Report({ fact: "RequestReceived" }), Output.Report({ fact: "RequestPending" })]
  }
}

/** An accept without a request of ours is nobody's wish here, so it changes nothing (node §2.2). */
const acceptReceived = (self: Relation.Relation, publicKey: Uint8Array, nowSeconds: number): Step => {
  if (Relation.isTrustedUnder(self, publicKey))
    return amendTrusted(self, { approvedAtSeconds: nowSeconds, mutual: true, acceptDue: false })
  return Relation.isOutgoingTo(self, publicKey)
    ? trust(self, publicKey, { mutual: true, acceptDue: false }, nowSeconds)
    : stay(self)
}

const requestRefused = (self: Relation.Relation): Step => ({
  relation: { ...self, outgoing: undefined },
  outputs: [Output.Report({ fact: "RejectedByPeer" })]
})

/** Only the key concerned may end something; the check of the message has proven that it sends this. */
const revokeReceived = (self: Relation.Relation, publicKey: Uint8Array): Step => {
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
    relation: { ...relation, revoked: { untilSeconds: 0, reportDue: true } },
    outputs: [Output.DropPeer(), Output.ReportRevocation(), Output.Report({ fact: "RevokedByPeer" })]
  }
}

const requestRelayed = (self: Relation.Relation, request: Of<"RequestRelayed">, nowSeconds: number): Step => {
  const { publicKey, justification } = request
  const isKnown = publicKey.length > 0
  if (self.trusted !== undefined && (!isKnown || Relation.isTrustedUnder(self, publicKey)))
    return isKnown ? { relation: self, outputs: [Output.AnswerRelayed({ publicKey, accept: true })] } : stay(self)
  if (self.outgoing !== undefined && (!isKnown || Relation.isOutgoingTo(self, publicKey))) {
    // Only a key known to be the one we asked for is told where to find us.
    const answers = isKnown ? [Output.AnswerRelayed({ publicKey, accept: true })] : []
    const heard = heardAccept(self, nowSeconds)
    return { relation: heard.relation, outputs: [...answers, ...heard.outputs] }
  }
  return askPerson(self, { publicKey, justification, receivedAtSeconds: nowSeconds, confirmed: isKnown })
}

/** The registry says the peer agrees. It counts when the key we asked for has opened a tunnel (security rule 2). */
const heardAccept = (self: Relation.Relation, nowSeconds: number): Step => {
  if (self.outgoing === undefined) return stay(self)
  const { publicKey, acceptedAtSeconds } = self.outgoing
  const outgoing = { ...self.outgoing, acceptedAtSeconds: acceptedAtSeconds ?? nowSeconds }
  const reports = acceptedAtSeconds === undefined ? [Output.Report({ fact: "AcceptedByRelay" })] : []
  return { relation: { ...self, outgoing }, outputs: [...reports, Output.OpenTunnel({ publicKey })] }
}

/** The accept goes out too, because the registry's word may have been that the peer asked rather than accepted. */
const tunnelOpened = (self: Relation.Relation, publicKey: Uint8Array, nowSeconds: number): Step => {
  if (self.outgoing?.acceptedAtSeconds === undefined || !Relation.isOutgoingTo(self, publicKey)) return stay(self)
  const trusted = trust(self, publicKey, { mutual: true, acceptDue: true }, nowSeconds)
  return { relation: trusted.relation, outputs: [Output.SendAccept({ publicKey }), ...trusted.outputs] }
}

/** A request for another key than the trusted one replaces that trust: a person has accepted the new key. */
const requestChosen = (self: Relation.Relation, request: Of<"RequestChosen">, nowSeconds: number): Step => {
  const { publicKey, justification } = request
  if (Relation.isTrustedUnder(self, publicKey))
    return { relation: self, outputs: [Output.Answer({ result: "AlreadyTrusted" })] }
  const acceptedAtSeconds = Relation.isOutgoingTo(self, publicKey) ? self.outgoing?.acceptedAtSeconds : undefined
  const outgoing = { publicKey, justification, requestedAtSeconds: nowSeconds, acceptedAtSeconds }
  return {
    relation: { ...self, trusted: undefined, outgoing, revoked: undefined },
    outputs: [Output.Answer({ result: "Sent" }), Output.SendRequest({ publicKey, justification })]
  }
}

const approvalChosen = (self: Relation.Relation, publicKey: Uint8Array, nowSeconds: number): Step => {
  const { pending } = self
  const isOther = pending !== undefined && pending.publicKey.length > 0 && !Bytes.equals(pending.publicKey, publicKey)
  if (pending === undefined || isOther) return { relation: self, outputs: [Output.Answer({ result: "NotPending" })] }
  const mutual = Relation.isOutgoingTo(self, publicKey)
  const trusted = trust(self, publicKey, { mutual, acceptDue: true }, nowSeconds)
  return {
    relation: trusted.relation,
    outputs: [
      Output.Answer({ result: "Approved" }),
      Output.AnswerRelayed({ publicKey, accept: true }),
      Output.SendAccept({ publicKey }),
      ...trusted.outputs
    ]
  }
}

/** Rejecting also withdraws our own request, or the peer's accept would still make it trusted. */
const rejectionChosen = (self: Relation.Relation, reason: string): Step => {
  if (self.pending === undefined) return { relation: self, outputs: [Output.Answer({ result: "NotPending" })] }
  const { publicKey } = self.pending
  return {
    relation: { ...self, pending: undefined, outgoing: undefined },
    outputs: [
      Output.Answer({ result: "Rejected" }),
      Output.AnswerRelayed({ publicKey, accept: false }),
      Output.SendReject({ publicKey, reason }),
      Output.Report({ fact: "Rejected" })
    ]
  }
}

/** The message goes first, because it needs the tunnel that is dropped next (node §2.3). */
const revocationChosen = (self: Relation.Relation, nowSeconds: number): Step => {
  const untilSeconds = nowSeconds + IGNORE_ACCEPTS_SECONDS
  if (self.trusted === undefined) {
    const wasUndecided = self.pending !== undefined || self.outgoing !== undefined
    const revoked = wasUndecided ? { untilSeconds, reportDue: self.revoked?.reportDue ?? false } : self.revoked
    return { relation: { ...Relation.none, revoked }, outputs: [Output.Answer({ result: "NotTrusted" })] }
  }
  return {
    relation: { ...Relation.none, revoked: { untilSeconds, reportDue: true } },
    outputs: [
      Output.Answer({ result: "Revoked" }),
      Output.SendRevoke({ publicKey: self.trusted.publicKey }),
      Output.DropPeer(),
      Output.ReportRevocation(),
      Output.Report({ fact: "Revoked" })
    ]
  }
}

/** The only way into trust: everything undecided about the peer ends with it. */
const trust = (
  self: Relation.Relation,
  publicKey: Uint8Array,
  how: { readonly mutual: boolean; readonly acceptDue: boolean },
  nowSeconds: number
): Step => {
  const network = self.trusted?.network ?? 0
  const trusted = { publicKey, approvedAtSeconds: nowSeconds, network, reported: false, ...how }
  const fact = how.mutual ? "ApprovedMutually" : "Approved"
  return {
    relation: { ...Relation.none, trusted },
    outputs: [Output.ReportTrust({ publicKey }), Output.Report({ fact })]
  }
}

const amendTrusted = (self: Relation.Relation, changes: Partial<Relation.Trusted>): Step =>
  stay(self.trusted === undefined ? self : { ...self, trusted: { ...self.trusted, ...changes } })

const due = (self: Relation.Relation): ReadonlyArray<Output> => {
  const { trusted, outgoing, revoked } = self
  if (trusted !== undefined) {
    const { publicKey } = trusted
    const reports = trusted.reported ? [] : [Output.ReportTrust({ publicKey })]
    return trusted.acceptDue ? [...reports, Output.SendAccept({ publicKey })] : reports
  }
  const reports = revoked?.reportDue ? [Output.ReportRevocation()] : []
  if (outgoing?.acceptedAtSeconds === undefined) return reports
  return [...reports, Output.OpenTunnel({ publicKey: outgoing.publicKey })]
}

/** node §2.3. */
const IGNORE_ACCEPTS_SECONDS = 300

/**
 * Trust between this node and one peer as a state machine (node §2.3; security rules 1 and 2). Trust begins in four
 * ways only: a person here approves a key; a person here asked for a key and that key accepts, or asks, over its own
 * tunnel; the same by the registry's word, once that key has opened a tunnel; or the key was allowed beforehand, by an
 * invitation or by name of its fingerprint (`Admission`). Names, networks and tags never do.
 *
 * Every key in an input was proven by the sender's tunnel (`…Received`, `TunnelOpened`) or chosen by a person
 * (`…Chosen`); `…Relayed` inputs are the registry's word.
 */
import { Data } from "effect"
import * as Bytes from "../../core/data/Bytes.ts"
import * as Relation from "./Relation.ts"
import * as Revocation from "./Revocation.ts"
import { Output, type Step, stay } from "./TrustOutput.ts"

/** What happened. */
export type Input = Data.TaggedEnum<{
  /** `confirmed`: the pin or the registry names the same key. */
  RequestReceived: { readonly publicKey: Uint8Array; readonly justification: string; readonly confirmed: boolean }
  AcceptReceived: AcceptMessage
  /** `reason` is cleaned. */
  RejectReceived: { readonly publicKey: Uint8Array; readonly reason: string }
  RevokeReceived: { readonly publicKey: Uint8Array }
  /** `publicKey` is the registry's, empty when it could not be looked up. */
  RequestRelayed: { readonly publicKey: Uint8Array; readonly justification: string }
  AcceptRelayed: {}
  RejectRelayed: {}
  /** A signed notice of the peer that it has ended the trust; the signature holds under this key. */
  RevokeRelayed: { readonly publicKey: Uint8Array; readonly atSeconds: number }
  /** `Admission`: a request of a key that was allowed beforehand, with the services to open to it. */
  RequestGranted: GrantedRequest
  /** `Admission`: a request of somebody who holds an invitation that has ended. */
  RequestBarred: BarredRequest
  /** The chain of the peer leads from one key to the other, and the pin has followed. */
  KeyFollowed: { readonly from: Uint8Array; readonly to: Uint8Array }
  /** A tunnel to the peer is up, and this key opened it. */
  TunnelOpened: { readonly publicKey: Uint8Array }
  /** `isInsisting`: sent to a peer that is trusted too, because the text says more than that trust is wanted. */
  RequestChosen: { readonly publicKey: Uint8Array; readonly justification: string; readonly isInsisting: boolean }
  /** Our request leaves this node, or could not. */
  RequestLeft: {}
  ApprovalChosen: { readonly publicKey: Uint8Array }
  RejectionChosen: { readonly reason: string }
  RevocationChosen: {}
  /** Our accept has reached the peer, or the registry has taken it. */
  AcceptDelivered: {}
  TrustReported: {}
  /** What `OpenServices` asked for is done, or can never be. */
  ServicesOpened: {}
  RevocationReported: {}
  /** The peer knows that we ended the trust. */
  RevokeDelivered: {}
  /** The registry answers again: what is still due may be tried. */
  Polled: {}
  /** The registry has registered us anew and may have forgotten every pair (rendezvous §9.3). */
  Reregistered: {}
}>
/** Constructors of `Input`. */
export const Input = Data.taggedEnum<Input>()

interface AcceptMessage {
  readonly publicKey: Uint8Array
  /** Cleaned; empty from other implementations. */
  readonly reason?: string
  /** `Admission`: the network that this key has shown itself to be a member of. */
  readonly network?: number
}

interface GrantedRequest {
  readonly publicKey: Uint8Array
  readonly justification: string
  readonly isRelayed: boolean
  readonly services: ReadonlyArray<string>
  /** The network whose token brought it. */
  readonly network?: number
}

interface BarredRequest {
  readonly publicKey: Uint8Array
  readonly justification: string
  readonly isRelayed: boolean
  readonly reason: string
}

/** Total: what does not fit the standing is ignored. `nowSeconds` is wall-clock time, because it is kept on disk. */
export const step = (self: Relation.Relation, input: Input, nowSeconds: number): Step =>
  Input.$match(input, {
    RequestReceived: (request) => requestReceived(self, request, nowSeconds),
    AcceptReceived: (accept) => acceptReceived(self, accept, nowSeconds),
    RejectReceived: ({ publicKey, reason }) => rejectReceived(self, publicKey, reason, nowSeconds),
    RevokeReceived: ({ publicKey }) => Revocation.received(self, publicKey),
    RequestRelayed: (request) => requestRelayed(self, request, nowSeconds),
    AcceptRelayed: () => acceptRelayed(self, nowSeconds),
    RejectRelayed: () => rejectRelayed(self, nowSeconds),
    RevokeRelayed: ({ publicKey, atSeconds }) => Revocation.relayed(self, publicKey, atSeconds),
    RequestGranted: (request) => requestGranted(self, request, nowSeconds),
    RequestBarred: (request) => requestBarred(self, request, nowSeconds),
    KeyFollowed: ({ from, to }) => stay(Relation.follow(self, from, to)),
    TunnelOpened: ({ publicKey }) => tunnelOpened(self, publicKey, nowSeconds),
    RequestChosen: (request) => requestChosen(self, request, nowSeconds),
    RequestLeft: () => requestLeft(self),
    ApprovalChosen: ({ publicKey }) => approvalChosen(self, publicKey, nowSeconds),
    RejectionChosen: ({ reason }) => rejectionChosen(self, reason),
    RevocationChosen: () => Revocation.chosen(self, nowSeconds),
    AcceptDelivered: () => amendTrusted(self, { acceptDue: false }),
    TrustReported: () => amendTrusted(self, { reported: true }),
    ServicesOpened: () => amendTrusted(self, { servicesDue: [] }),
    RevocationReported: () => Revocation.reported(self),
    RevokeDelivered: () => Revocation.delivered(self),
    Polled: () => due(self, nowSeconds),
    Reregistered: () => due(amendTrusted(self, { reported: false }).relation, nowSeconds)
  })

type Of<Tag extends Input["_tag"]> = Data.TaggedEnum.Value<Input, Tag>

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
  const asked = { publicKey, justification, receivedAtSeconds: nowSeconds, confirmed }
  return askPerson(Revocation.heard(self, publicKey), asked)
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
const acceptReceived = (
  self: Relation.Relation,
  { network, publicKey }: Of<"AcceptReceived">,
  nowSeconds: number
): Step => {
  const how = { mutual: true, acceptDue: false, ...(network === undefined ? {} : { network }) }
  if (Relation.isTrustedUnder(self, publicKey)) return amendTrusted(self, { approvedAtSeconds: nowSeconds, ...how })
  return Relation.isOutgoingTo(self, publicKey) ? trust(self, publicKey, how, nowSeconds) : stay(self)
}

/** The registry may have relayed the refusal first, without its reason. */
const rejectReceived = (self: Relation.Relation, publicKey: Uint8Array, reason: string, nowSeconds: number): Step => {
  const { outgoing, refused } = self
  if (outgoing === undefined || !Relation.isOutgoingTo(self, publicKey))
    return stay(refused?.reason === "" ? { ...self, refused: { ...refused, reason } } : self)
  return outgoing.isUnsent === true
    ? stay({ ...self, outgoing: { ...outgoing, isRefusalDue: true } })
    : requestRefused(self, { reason, atSeconds: nowSeconds, isRelayed: false })
}

const rejectRelayed = (self: Relation.Relation, nowSeconds: number): Step => {
  const { outgoing, refused } = self
  if (outgoing !== undefined)
    return outgoing.isUnsent === true || outgoing.isRefusalDue === true
      ? stay({ ...self, outgoing: { ...outgoing, isRefusalDue: false } })
      : requestRefused(self, { reason: "", atSeconds: nowSeconds, isRelayed: true })
  // It may answer the notice that we ended the trust as well.
  const { outputs, relation } = Revocation.delivered(self)
  return {
    relation: refused === undefined ? relation : { ...relation, refused: { ...refused, isRelayed: true } },
    outputs
  }
}

const requestRefused = (self: Relation.Relation, refused: Relation.Refused): Step => ({
  relation: { ...self, outgoing: undefined, refused },
  outputs: [Output.Report({ fact: "RejectedByPeer" })]
})

/** A person here has allowed the key beforehand, so both sides have said yes. */
const requestGranted = (self: Relation.Relation, request: Of<"RequestGranted">, nowSeconds: number): Step => {
  const { isRelayed, network, publicKey, services } = request
  const isKnown = Relation.isTrustedUnder(self, publicKey)
  const how = { mutual: true, acceptDue: true, servicesDue: services, ...(network === undefined ? {} : { network }) }
  const granted = isKnown
    ? // Trust that a person gave does not become the network's, which could then end it.
      amendTrusted(self, { acceptDue: true, servicesDue: [...(self.trusted?.servicesDue ?? []), ...services] })
    : trust(self, publicKey, how, nowSeconds)
  return {
    relation: granted.relation,
    outputs: [
      Output.Report({ fact: "RequestReceived" }),
      ...(services.length === 0 ? [] : [Output.OpenServices({ publicKey, services })]),
      ...(isRelayed ? [Output.AnswerRelayed({ publicKey, accept: true })] : []),
      Output.SendAccept({ publicKey }),
      ...granted.outputs
    ]
  }
}

/** Refused with the reason, unless the key is trusted or was asked for here: then it comes in without an invitation. */
const requestBarred = (self: Relation.Relation, request: Of<"RequestBarred">, nowSeconds: number): Step => {
  const { isRelayed, justification, publicKey, reason } = request
  if (Relation.isOutgoingTo(self, publicKey) || Relation.isTrustedUnder(self, publicKey)) {
    return isRelayed
      ? requestRelayed(self, Input.RequestRelayed({ publicKey, justification }), nowSeconds)
      : requestReceived(self, Input.RequestReceived({ publicKey, justification, confirmed: true }), nowSeconds)
  }
  return {
    relation: self,
    outputs: [
      Output.Report({ fact: "RequestReceived" }),
      Output.SendReject({ publicKey, reason, isDecision: false }),
      ...(isRelayed ? [Output.AnswerRelayed({ publicKey, accept: false })] : [])
    ]
  }
}

const acceptRelayed = (self: Relation.Relation, nowSeconds: number): Step => {
  if (self.trusted !== undefined) return stay(self)
  return self.outgoing === undefined ? Revocation.accepted(self, nowSeconds) : heardAccept(self, nowSeconds)
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
  const { publicKey, justification, isInsisting } = request
  const sent = Output.SendRequest({ publicKey, justification, isInsisting })
  if (Relation.isTrustedUnder(self, publicKey)) {
    const answer = Output.Answer({ result: "AlreadyTrusted" })
    return { relation: self, outputs: isInsisting ? [answer, sent] : [answer] }
  }
  const acceptedAtSeconds = Relation.isOutgoingTo(self, publicKey) ? self.outgoing?.acceptedAtSeconds : undefined
  const outgoing: Relation.Outgoing = {
    ...{ publicKey, justification, requestedAtSeconds: nowSeconds, acceptedAtSeconds },
    isUnsent: true,
    isRefusalDue: self.refused?.isRelayed === false || self.outgoing?.isRefusalDue === true
  }
  return {
    relation: { ...self, trusted: undefined, outgoing, revoked: undefined, refused: undefined },
    outputs: [Output.Answer({ result: "Sent" }), sent]
  }
}

const requestLeft = (self: Relation.Relation): Step =>
  stay(self.outgoing === undefined ? self : { ...self, outgoing: { ...self.outgoing, isUnsent: false } })

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
      Output.AnswerRelayed({ publicKey, accept: false, isDecision: true }),
      Output.SendReject({ publicKey, reason, isDecision: true }),
      Output.Report({ fact: "Rejected" })
    ]
  }
}

/** The only way into trust: everything undecided about the peer ends with it. */
const trust = (
  self: Relation.Relation,
  publicKey: Uint8Array,
  how: Pick<Relation.Trusted, "mutual" | "acceptDue"> & Partial<Pick<Relation.Trusted, "servicesDue" | "network">>,
  nowSeconds: number
): Step => {
  const network = self.trusted?.network ?? 0
  const trusted = { publicKey, approvedAtSeconds: nowSeconds, network, reported: false, servicesDue: [], ...how }
  const fact = how.mutual ? "ApprovedMutually" : "Approved"
  return {
    relation: { ...Relation.none, trusted },
    outputs: [Output.ReportTrust({ publicKey }), Output.Report({ fact })]
  }
}

const amendTrusted = (self: Relation.Relation, changes: Partial<Relation.Trusted>): Step =>
  stay(self.trusted === undefined ? self : { ...self, trusted: { ...self.trusted, ...changes } })

const due = (self: Relation.Relation, nowSeconds: number): Step => {
  const { trusted, outgoing } = self
  if (trusted !== undefined) {
    const { publicKey, servicesDue: services } = trusted
    const reports = trusted.reported ? [] : [Output.ReportTrust({ publicKey })]
    const opens = services.length === 0 ? [] : [Output.OpenServices({ publicKey, services })]
    const accepts = trusted.acceptDue ? [Output.SendAccept({ publicKey })] : []
    return { relation: self, outputs: [...reports, ...opens, ...accepts] }
  }
  const ended = Revocation.due(self, nowSeconds)
  if (outgoing?.acceptedAtSeconds === undefined) return ended
  return { relation: ended.relation, outputs: [...ended.outputs, Output.OpenTunnel({ publicKey: outgoing.publicKey })] }
}

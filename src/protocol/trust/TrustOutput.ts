/** What the trust handshake wants done, and whether it still does when its turn comes. */
import { Data } from "effect"
import * as Relation from "./Relation.ts"

/** What the owner must do, in order. */
export type Output = Data.TaggedEnum<{
  /** Directly, else by relay. */
  SendRequest: { readonly publicKey: Uint8Array; readonly justification: string; readonly isInsisting: boolean }
  SendAccept: { readonly publicKey: Uint8Array }
  /** `publicKey` is empty when the peer was only heard of by relay; then only the relay can carry it. */
  SendReject: { readonly publicKey: Uint8Array; readonly reason: string; readonly isDecision: boolean }
  /** Directly, else by a signed notice that the registry relays. */
  SendRevoke: { readonly publicKey: Uint8Array }
  /** Let the peer use these services of this node, as its invitation promised. */
  OpenServices: { readonly publicKey: Uint8Array; readonly services: ReadonlyArray<string> }
  /** Answer the relayed request at the registry, which also lets both sides find each other. */
  AnswerRelayed: { readonly publicKey: Uint8Array; readonly accept: boolean; readonly isDecision?: boolean }
  /** Reach the peer, and say which key opened the tunnel. */
  OpenTunnel: { readonly publicKey: Uint8Array }
  ReportTrust: { readonly publicKey: Uint8Array }
  ReportRevocation: {}
  DropPeer: {}
  Report: { readonly fact: Fact }
  /** The result of a `…Chosen` input for whoever chose. */
  Answer: { readonly result: Choice }
}>
/** Constructors of `Output`. */
export const Output = Data.taggedEnum<Output>()

/** A relation and what to do. */
export interface Step {
  readonly relation: Relation.Relation
  readonly outputs: ReadonlyArray<Output>
}

/** Nothing to do. */
export const stay = (relation: Relation.Relation): Step => ({ relation, outputs: [] })

/** What became of a person's choice. */
export type Choice =
  | "Sent"
  | "AlreadyTrusted"
  | "Approved"
  | "Rejected"
  | "Revoked"
  | "NotPending"
  | "NotTrusted"
  /** Refused by `TrustTable`: too many requests of ours are unanswered. */
  | "TooManyOutgoing"

/** What the node reports (node §8). */
export type Fact =
  | "RequestReceived"
  | "RequestPending"
  | "Approved"
  | "ApprovedMutually"
  | "AcceptedByRelay"
  | "Rejected"
  | "RejectedByPeer"
  | "Revoked"
  | "RevokedByPeer"

/**
 * Whether an output still fits what has become of the relation, asked again just before it is performed: a delayed
 * accept must not follow a revocation, nor a delayed revocation at the registry a new trust.
 */
export const isCurrent = (output: Output, relation: Relation.Relation): boolean => {
  switch (output._tag) {
    case "SendRequest": {
      const { isInsisting, publicKey } = output
      return Relation.isOutgoingTo(relation, publicKey) || (isInsisting && Relation.isTrustedUnder(relation, publicKey))
    }
    case "OpenTunnel":
      return Relation.isOutgoingTo(relation, output.publicKey)
    case "SendAccept":
    case "ReportTrust":
    case "OpenServices":
      return Relation.isTrustedUnder(relation, output.publicKey)
    case "SendReject":
      return !Relation.isTrustedUnder(relation, output.publicKey) && !isUndecided(relation, output)
    case "SendRevoke":
      return relation.revoked?.noticeDue === true
    case "DropPeer":
    case "ReportRevocation":
      return relation.trusted === undefined
    case "AnswerRelayed":
      return output.accept === isWanted(relation, output.publicKey) && !isUndecided(relation, output)
    case "Report":
    case "Answer":
      return true
  }
}

/** The peer has asked again since a person here refused it: the answer to that is not given yet. */
const isUndecided = (
  { pending }: Relation.Relation,
  { isDecision = false }: { readonly isDecision?: boolean }
): boolean => isDecision && pending !== undefined

const isWanted = (relation: Relation.Relation, publicKey: Uint8Array): boolean =>
  Relation.isTrustedUnder(relation, publicKey) || Relation.isOutgoingTo(relation, publicKey)

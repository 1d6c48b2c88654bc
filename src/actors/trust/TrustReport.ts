/** What the node reports of trust (node §8), derived from the facts of the state machine. */
import type { ProtocolEvent } from "../../protocol/ProtocolEvent.ts"
import type * as TrustHandshake from "../../protocol/trust/TrustHandshake.ts"
import type * as TrustOutput from "../../protocol/trust/TrustOutput.ts"
import type { NodeId } from "../../protocol/wire/Address.ts"

/** The event for a fact, with the words of the input that caused it. */
export const event = (peer: NodeId, input: TrustHandshake.Input, fact: TrustOutput.Fact): ProtocolEvent => {
  switch (fact) {
    case "RequestReceived":
      return { _tag: "HandshakeReceived", peer, kind: "request", justification: justificationOf(input) }
    case "RequestPending":
      return { _tag: "HandshakePending", peer, justification: justificationOf(input) }
    case "AcceptedByRelay":
      return { _tag: "HandshakeReceived", peer, kind: "relayed_accept", justification: "" }
    case "RejectedByPeer":
      return { _tag: "HandshakeReceived", peer, kind: "reject", justification: "" }
    case "Approved":
      return { _tag: "PeerTrusted", peer, mutual: false }
    case "ApprovedMutually":
      return { _tag: "PeerTrusted", peer, mutual: true }
    case "Rejected":
      return { _tag: "HandshakeRejected", peer, reason: "reason" in input ? input.reason : "" }
    case "Revoked":
      return { _tag: "TrustRevoked", peer, by: "here" }
    case "RevokedByPeer":
      return { _tag: "TrustRevoked", peer, by: "peer" }
  }
}

const justificationOf = (input: TrustHandshake.Input): string => ("justification" in input ? input.justification : "")

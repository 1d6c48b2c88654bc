/** What one membership reports, with the ids that hold in the whole node (`LocalNode`). */
import type { ProtocolEvent } from "../../protocol/ProtocolEvent.ts"
import * as LocalNode from "../../protocol/wire/LocalNode.ts"
import type { Member, Roster } from "../membership/Roster.ts"

/** The same event; nothing for one of a node that has no id outside. */
export const of = (roster: Roster, member: Member, event: ProtocolEvent): ProtocolEvent | undefined => {
  if (member.card.slot === LocalNode.HOME_SLOT) return event
  switch (event._tag) {
    case "NodeRegistered":
    case "NodeReregistered":
    case "NodeDeregistered": {
      const address = roster.outsideAddress(member, event.address)
      return address === undefined ? undefined : { ...event, address }
    }
    case "SynReceived":
    case "StoreFull":
    case "ConnectionOpened":
    case "ConnectionClosed":
    case "DatagramReceived":
    case "MessageReceived":
    case "FileReceived": {
      const peer = roster.outsideAddress(member, event.peer)
      return peer === undefined ? undefined : { ...event, peer }
    }
    case "PeerEstablished":
    case "PeerRekeyed":
    case "PeerRestarted":
    case "PeerLost":
    case "PathChanged":
    case "BirthdayEnded":
    case "KeyRefused":
    case "KeyAnnounced":
    case "KeyCancelled":
    case "KeyMoved":
    case "KeyAccepted":
    case "KeyForked":
    case "RecoveryKeyEnrolled":
    case "RecoveryKeyContested":
    case "HandshakeReceived":
    case "HandshakePending":
    case "HandshakeRejected":
    case "PeerTrusted":
    case "TrustRevoked": {
      const peer = roster.outside(member, event.peer)
      return peer === undefined ? undefined : { ...event, peer }
    }
    case "PacketDropped":
      return event.peer === undefined ? event : { ...event, peer: roster.outside(member, event.peer) }
    case "AdmissionChanged": {
      const { peer: inside, ...change } = event
      const peer = inside === undefined ? undefined : roster.outside(member, inside)
      return peer === undefined ? change : { ...change, peer }
    }
    default:
      return event
  }
}

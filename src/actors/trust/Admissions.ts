/** The face of what a person here allows beforehand (security rule 2): invitations (decision 52) and listed keys. */
import type { Effect } from "effect"
import type { Invitation } from "../../protocol/trust/Invitation.ts"
import type * as InvitationTable from "../../protocol/trust/InvitationTable.ts"
import type { ListedKey } from "../../protocol/trust/ListedKeys.ts"
import type * as NetworkToken from "../../protocol/trust/NetworkToken.ts"
import type { NodeId } from "../../protocol/wire/Address.ts"
import type { TrustError } from "./TrustError.ts"

/** What an invitation says and allows. */
export interface InviteOptions {
  /** Where the redeemer meets this node: host:port each. */
  readonly registry: string
  readonly beacon: string
  /** SHA-256 of the registry's certificate in hexadecimal; empty for plain TCP. */
  readonly fingerprint: string
  readonly hints: ReadonlyArray<string>
  /** Names of services to open to whoever redeems it. */
  readonly services: ReadonlyArray<string>
  readonly lifeSeconds: number
  readonly uses: number
  /** Fingerprint of the only key that may redeem it; empty for any. */
  readonly boundTo: string
  /** For the person who invites. */
  readonly note: string
}

/** An invitation that was made. */
export interface Invited {
  readonly id: string
  /** The string to hand over; it is shown once. */
  readonly text: string
  readonly expiresAtSeconds: number
}

/** One invitation as its maker sees it. */
export interface InvitationRow extends Omit<InvitationTable.Entry, "key"> {
  readonly state: InvitationTable.State
}

/** An invitation was redeemed: the request is on its way to this node. */
export interface Redeemed {
  readonly node: NodeId
  /** `already_trusted`: only what it opens was asked for. */
  readonly status: "sent" | "already_trusted"
}

/** One network that this node is in. */
export interface NetworkRow {
  readonly name: string
  readonly number: number
  /** Of the network's key. */
  readonly fingerprint: string
  /** Of this node's token. */
  readonly text: string
  readonly expiresAtSeconds: number
  /** Members come in by it; false when this node's own token has expired or was revoked. */
  readonly isOpen: boolean
  /** Of the list of revoked members; 0 for none. */
  readonly serial: number
  readonly revoked: ReadonlyArray<NetworkToken.Revoked>
  /** The list, for other members; empty for none. */
  readonly list: string
}

/** Networks whose members come in without anybody here (decision 77). */
export interface Networks {
  /** Takes a token that was issued to this node; from then on it shows it, and lets other members in. */
  readonly joinNetwork: (token: string) => Effect.Effect<NetworkRow, TrustError>
  /** False when this node is in no such network. Trust that it brought stays. */
  readonly leaveNetwork: (name: string) => Effect.Effect<boolean, TrustError>
  readonly networks: Effect.Effect<ReadonlyArray<NetworkRow>>
  /** Takes a list of revoked members, ends the trust that the network gave them, and tells other members. `false`: no news. */
  readonly reviseNetwork: (list: string) => Effect.Effect<boolean, TrustError>
  /** No network brings this key in: a person here has ended its trust. */
  readonly barMember: (publicKey: Uint8Array) => Effect.Effect<void, TrustError>
}

/** What may be asked of it. */
export interface Admissions extends Networks {
  readonly invite: (options: InviteOptions) => Effect.Effect<Invited, TrustError>
  /** Oldest first; those that ended stay for a while. */
  readonly invitations: Effect.Effect<ReadonlyArray<InvitationRow>>
  /** False when the id is not known. Who came in with it stays trusted. */
  readonly revokeInvitation: (id: string) => Effect.Effect<boolean, TrustError>
  /** Asks the node that made it; returns when the request is on its way. `text` is for the person there. */
  readonly redeem: (invitation: Invitation, text: string) => Effect.Effect<Redeemed, TrustError>
  /** Requests of this key need nobody here. */
  readonly listKey: (fingerprint: string, note: string) => Effect.Effect<void, TrustError>
  /** False when it was not listed. Trust that it brought stays. */
  readonly unlistKey: (fingerprint: string) => Effect.Effect<boolean, TrustError>
  readonly listedKeys: Effect.Effect<ReadonlyArray<ListedKey>>
}

/**
 * What has changed of what a person here allows beforehand (security rule 2), told from the state before and after, so that
 * no way to change it goes unnoticed: invitations, listed keys, networks.
 */
import type { ProtocolEvent } from "../ProtocolEvent.ts"
import type { Admission } from "./Admission.ts"
import type * as InvitationTable from "./InvitationTable.ts"
import type * as NetworkTable from "./NetworkTable.ts"

/** One change. */
export type AdmissionChange = Omit<Extract<ProtocolEvent, { readonly _tag: "AdmissionChanged" }>, "_tag">

/** In no particular order; what only went out of date is no change. */
export const between = (before: Admission, after: Admission): ReadonlyArray<AdmissionChange> =>
  before === after
    ? []
    : [
        ...invitations(before.invitations, after.invitations),
        ...appeared("key.listed", before.listedKeys, after.listedKeys),
        ...appeared("key.unlisted", after.listedKeys, before.listedKeys),
        ...networks(before.networks, after.networks)
      ]

const appeared = (
  change: AdmissionChange["change"],
  before: ReadonlyMap<string, unknown>,
  after: ReadonlyMap<string, unknown>
): ReadonlyArray<AdmissionChange> =>
  [...after.keys()].filter((subject) => !before.has(subject)).map((subject) => ({ change, subject }))

const invitations = (before: InvitationTable.InvitationTable, after: InvitationTable.InvitationTable) => [
  ...appeared("invitation.made", before, after),
  ...[...after.values()].flatMap((entry): ReadonlyArray<AdmissionChange> => {
    const known = before.get(entry.id)
    const redeemed = entry.redemptions.slice(known?.redemptions.length ?? 0)
    const isRevoked = entry.revokedAtSeconds !== undefined && known?.revokedAtSeconds === undefined
    return [
      ...redeemed.map(({ node }) => ({ change: "invitation.redeemed", subject: entry.id, peer: node }) as const),
      ...(isRevoked ? [{ change: "invitation.revoked", subject: entry.id } as const] : [])
    ]
  })
]

const networks = (before: NetworkTable.NetworkTable, after: NetworkTable.NetworkTable) => {
  const named = (change: AdmissionChange["change"], rows: Iterable<NetworkTable.Membership>) =>
    Array.from(rows, ({ token }): AdmissionChange => ({ change, subject: token.name }))
  const held = [...after].flatMap(([network, now]) => {
    const then = before.get(network)
    return then === undefined ? [] : [{ now, then }]
  })
  return [
    ...named(
      "network.joined",
      [...after].flatMap(([network, now]) => (before.get(network)?.token === now.token ? [] : [now]))
    ),
    ...named(
      "network.left",
      [...before].flatMap(([network, then]) => (after.has(network) ? [] : [then]))
    ),
    ...named(
      "network.revised",
      held.flatMap(({ now, then }) => (now.revocations === then.revocations ? [] : [now]))
    )
  ]
}

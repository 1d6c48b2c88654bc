/**
 * What a person allows beforehand, over several memberships: an invitation is of the rendezvous that it names, a listed key is
 * listed for all of them, since trust is in keys.
 */
import { Effect } from "effect"
import { type Trust, TrustError } from "../trust/Trust.ts"
import type { Roster, Upright } from "./Roster.ts"

type Admissions = Trust["Service"]["admissions"]

/** The service, in local ids. */
export const make = (roster: Roster): Admissions => {
  /** The membership at the registry that is meant; home if none is known to be it, which the key then has to prove. */
  const at = <A>(
    place: { readonly registry: string; readonly fingerprint: string },
    use: (admissions: Admissions, member: Upright) => Effect.Effect<A, TrustError>
  ) =>
    Effect.suspend(() => {
      const all = roster.up()
      const member = all.find(({ card }) => isAt(card, place)) ?? all[0]
      return member === undefined ? Effect.fail(nowhere) : use(member.up.trust.admissions, member)
    })
  const each = <A>(use: (admissions: Admissions) => Effect.Effect<A, TrustError>) =>
    Effect.suspend(() => {
      const all = roster.up()
      return all.length === 0 ? Effect.fail(nowhere) : Effect.forEach(all, ({ up }) => use(up.trust.admissions))
    })
  return {
    invite: (options) => at(options, (admissions) => admissions.invite(options)),
    invitations: Effect.map(
      Effect.suspend(() => Effect.forEach(roster.up(), ({ up }) => up.trust.admissions.invitations)),
      (rows) => rows.flat()
    ),
    revokeInvitation: (id) =>
      Effect.map(
        each((admissions) => admissions.revokeInvitation(id)),
        (known) => known.includes(true)
      ),
    redeem: (invitation, text) =>
      at(invitation, (admissions, member) =>
        Effect.map(admissions.redeem(invitation, text), (redeemed) => ({
          ...redeemed,
          node: roster.outside(member, redeemed.node) ?? redeemed.node
        }))
      ),
    listKey: (fingerprint, note) => Effect.asVoid(each((admissions) => admissions.listKey(fingerprint, note))),
    unlistKey: (fingerprint) =>
      Effect.map(
        each((admissions) => admissions.unlistKey(fingerprint)),
        (known) => known.includes(true)
      ),
    joinNetwork: (token) =>
      Effect.flatMap(
        each((admissions) => admissions.joinNetwork(token)),
        ([row]) => (row === undefined ? Effect.fail(nowhere) : Effect.succeed(row))
      ),
    leaveNetwork: (name) =>
      Effect.map(
        each((admissions) => admissions.leaveNetwork(name)),
        (known) => known.includes(true)
      ),
    reviseNetwork: (list) =>
      Effect.map(
        each((admissions) => admissions.reviseNetwork(list)),
        (isNews) => isNews.includes(true)
      ),
    barMember: (publicKey) => Effect.asVoid(each((admissions) => admissions.barMember(publicKey))),
    networks: Effect.suspend(() => roster.up()[0]?.up.trust.admissions.networks ?? Effect.succeed([])),
    listedKeys: Effect.suspend(() => roster.up()[0]?.up.trust.admissions.listedKeys ?? Effect.succeed([]))
  }
}

/** Its certificate says which registry it is; where none is known, its address. */
const isAt = (
  card: Upright["card"],
  { fingerprint, registry }: { readonly registry: string; readonly fingerprint: string }
): boolean =>
  fingerprint !== "" && card.fingerprint !== undefined ? card.fingerprint === fingerprint : card.registry === registry

const nowhere = new TrustError({ reason: "RelayFailed", node: 0, detail: "this node is registered nowhere yet" })

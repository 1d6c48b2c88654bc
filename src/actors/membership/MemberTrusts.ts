/**
 * The trust lists of a node's memberships as one (node §2). Each membership shakes hands by itself, since what is signed names
 * the ids of one registry; trust is in a key, so a peer that is trusted in one membership is trusted wherever it is met, and
 * revoking it revokes it everywhere.
 */
import { Effect } from "effect"
import * as Bytes from "../../core/data/Bytes.ts"
import type { NodeId } from "../../protocol/wire/Address.ts"
import { type Trust, TrustError, type TrustedPeer } from "../trust/Trust.ts"
import * as MemberAdmissions from "./MemberAdmissions.ts"
import * as MemberKeys from "./MemberKeys.ts"
import type { Member, Roster } from "./Roster.ts"

/** The service, in local ids. */
export const make = (roster: Roster): Trust["Service"] => {
  const at = <A>(local: NodeId, use: (trust: Trust["Service"], node: NodeId) => Effect.Effect<A, TrustError>) =>
    Effect.suspend((): Effect.Effect<A, TrustError> => {
      const member = roster.of(local)
      if (member?.up === undefined) return Effect.fail(notYet(local, member))
      return Effect.mapError(
        use(member.up.trust, roster.inside(member, local)),
        ({ detail, reason }) => new TrustError({ reason, node: local, detail })
      )
    })
  return {
    request: (local, justification) => at(local, (trust, node) => trust.request(node, justification)),
    approve: (local, fingerprint) => at(local, (trust, node) => trust.approve(node, fingerprint)),
    reject: (local, reason) => at(local, (trust, node) => trust.reject(node, reason)),
    revoke: (local) => revoke(roster, local, at),
    pending: Effect.suspend(() =>
      Effect.map(
        Effect.forEach(roster.up(), (member) => Effect.map(member.up.trust.pending, outside(roster, member))),
        (rows) => rows.flat()
      )
    ),
    trusted: Effect.suspend(() => trusted(roster)),
    standing: (local) =>
      Effect.suspend(() => {
        const member = roster.of(local)
        if (member?.up === undefined) return Effect.succeed({ standing: "none" as const, refusal: undefined })
        const id = roster.inside(member, local)
        return Effect.map(member.up.trust.standing(id), (own) =>
          own.standing !== "trusted" && member.keys.isTrusted(id) ? { ...own, standing: "trusted" as const } : own
        )
      }),
    admissions: MemberAdmissions.make(roster),
    poll: Effect.suspend(() =>
      Effect.forEach(roster.up(), ({ up }) => up.trust.poll, { concurrency: "unbounded", discard: true })
    )
  }
}

/** Those of each list, also of one whose registry is away since the start, and those who are trusted elsewhere and have shown the same key here. */
const trusted = Effect.fnUntraced(function* (roster: Roster) {
  const lists = yield* Effect.forEach(roster.all(), (member) =>
    Effect.map(member.up?.trust.trusted ?? member.shelf.trusted, outside(roster, member))
  )
  const rows: ReadonlyArray<TrustedPeer> = lists.flat()
  const met = roster.up().flatMap((member) =>
    [...member.met.keys()].flatMap((id): ReadonlyArray<TrustedPeer> => {
      const node = roster.outside(member, id)
      const publicKey = MemberKeys.keyOf(member, id)
      if (node === undefined || publicKey === undefined || member.ownKeys.isTrusted(id)) return []
      const elsewhere = rows.find((row) => Bytes.equals(row.publicKey, publicKey))
      return elsewhere === undefined ? [] : [{ ...elsewhere, node, publicKey }]
    })
  )
  return met.length === 0 ? rows : [...rows, ...met]
})

const revoke = Effect.fnUntraced(function* (
  roster: Roster,
  local: NodeId,
  at: (
    local: NodeId,
    use: (trust: Trust["Service"], node: NodeId) => Effect.Effect<void, TrustError>
  ) => Effect.Effect<void, TrustError>
) {
  const rows = yield* trusted(roster)
  const publicKey = rows.find(({ node }) => node === local)?.publicKey
  const same = publicKey === undefined ? [] : rows.filter((row) => Bytes.equals(row.publicKey, publicKey))
  const [own, met] = [
    same.filter((row) => isListed(roster, row.node)),
    same.filter((row) => !isListed(roster, row.node))
  ]
  // Nor does it come in by a network at another of them.
  if (publicKey !== undefined) yield* Effect.ignore(MemberAdmissions.make(roster).barMember(publicKey))
  if (publicKey === undefined || own.length === 0) return yield* at(local, (trust, node) => trust.revoke(node))
  // Those that need no network first: that trust holds everywhere, too.
  yield* Effect.forEach(
    roster.all(),
    (member) => (member.up === undefined ? shelved(member, publicKey) : Effect.void),
    {
      discard: true
    }
  )
  yield* Effect.forEach(
    own.filter(({ node }) => isListed(roster, node)),
    ({ node }) => at(node, (trust, id) => trust.revoke(id)),
    { discard: true }
  )
  // Where it was only met, its streams end as well.
  yield* Effect.forEach(
    met,
    ({ node }) => {
      const member = roster.of(node)
      return member?.up?.node.dropPeer(roster.inside(member, node)) ?? Effect.void
    },
    { discard: true }
  )
})

/** Its registry may answer just now: then the list is its actor's already. */
const shelved = Effect.fnUntraced(function* (member: Member, publicKey: Uint8Array) {
  yield* member.shelf.revoke(publicKey)
  const { up } = member
  if (up === undefined) return
  const rows = yield* up.trust.trusted
  const still = rows.filter((row) => Bytes.equals(row.publicKey, publicKey))
  yield* Effect.forEach(still, ({ node }) => Effect.ignore(up.trust.revoke(node)), { discard: true })
})

const isListed = (roster: Roster, local: NodeId): boolean => {
  const member = roster.of(local)
  return member?.trusted.has(roster.inside(member, local)) === true
}

const outside =
  (roster: Roster, member: Member) =>
  <A extends { readonly node: NodeId }>(rows: ReadonlyArray<A>): ReadonlyArray<A> =>
    rows.flatMap((row) => {
      const node = roster.outside(member, row.node)
      return node === undefined ? [] : [node === row.node ? row : { ...row, node }]
    })

const notYet = (node: NodeId, member: Member | undefined): TrustError =>
  new TrustError({
    reason: "RelayFailed",
    node,
    detail:
      member === undefined
        ? "this node is registered nowhere yet"
        : `this node is not registered at the rendezvous ${member.card.alias} yet: ${member.detail}`
  })

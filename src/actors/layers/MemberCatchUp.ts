/** What a membership that registers late has missed: what people here have allowed, and ended, in the others meanwhile. */
import { Effect } from "effect"
import * as Bytes from "../../core/data/Bytes.ts"
import type { Member, Roster } from "../membership/Roster.ts"
import type { Trust } from "../trust/Trust.ts"

/** All of it, before the membership counts as up. */
export const all = (roster: Roster, member: Member, trust: Trust["Service"]): Effect.Effect<void> =>
  Effect.andThen(shareListed(roster, member, trust), endRevoked(member, trust))

/** Keys and networks that need nobody here are so for all memberships; one that was not there when they changed hears of it now. */
const shareListed = Effect.fnUntraced(function* (roster: Roster, member: Member, trust: Trust["Service"]) {
  const [home] = roster.up()
  if (home === undefined || home === member) return
  const listed = yield* home.up.trust.admissions.listedKeys
  const known = yield* trust.admissions.listedKeys
  const added = listed.filter(
    (one) => !known.some((row) => row.fingerprint === one.fingerprint && row.note === one.note)
  )
  const gone = known.filter((row) => !listed.some(({ fingerprint }) => fingerprint === row.fingerprint))
  yield* Effect.ignore(
    Effect.andThen(
      Effect.forEach(added, ({ fingerprint, note }) => trust.admissions.listKey(fingerprint, note), { discard: true }),
      Effect.forEach(gone, ({ fingerprint }) => trust.admissions.unlistKey(fingerprint), { discard: true })
    )
  )
  const networks = yield* home.up.trust.admissions.networks
  const held = yield* trust.admissions.networks
  const left = held.filter(({ name }) => !networks.some((row) => row.name === name))
  yield* Effect.forEach(left, ({ name }) => Effect.ignore(trust.admissions.leaveNetwork(name)), { discard: true })
  for (const { list, text } of networks) {
    if (!held.some((row) => row.text === text)) yield* Effect.ignore(trust.admissions.joinNetwork(text))
    if (list !== "") yield* Effect.ignore(trust.admissions.reviseNetwork(list))
  }
})

/** Trust that was ended while the list was taken from its shelf. */
const endRevoked = Effect.fnUntraced(function* ({ shelf }: Member, trust: Trust["Service"]) {
  const isEnded = (key: Uint8Array) => shelf.revoked.some((revoked) => Bytes.equals(revoked, key))
  const ended = (yield* trust.trusted).filter(({ publicKey }) => isEnded(publicKey))
  yield* Effect.forEach(ended, ({ node }) => Effect.ignore(trust.revoke(node)), { discard: true })
})

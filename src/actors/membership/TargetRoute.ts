/**
 * Which registry is asked about a target: that of the slot for an id, that of the alias for `name@alias`. A plain name leads
 * where it has led before; a new one is asked of all, and if several know it, each with another key, of none: an agent that
 * says `alice` must not reach whoever was called so elsewhere since (security rule 1).
 */
import { Effect } from "effect"
import * as Bytes from "../../core/data/Bytes.ts"
import { NodeId } from "../../protocol/wire/Address.ts"
import * as LocalNode from "../../protocol/wire/LocalNode.ts"
import { type LookedUp, RegistryError, type Route } from "../registry/RegistryClient.ts"
import { KeyChanged, NameMoved } from "../trust/PeerKeys.ts"
import type { Member, Roster } from "./Roster.ts"

/** Chooses; fails with `NoRendezvous` for an alias that nobody has, and with `Ambiguous`. */
export const route = (roster: Roster, target: string | NodeId): Effect.Effect<Route, RegistryError> => {
  if (typeof target === "number") {
    const member = roster.of(target)
    return member === undefined ? nowhere : Effect.succeed(to(roster, member, roster.inside(member, target)))
  }
  const at = target.lastIndexOf("@")
  if (at >= 0) {
    const member = roster.called(target.slice(at + 1))
    return member === undefined
      ? fail("NoRendezvous", `no rendezvous is called ${target.slice(at + 1)} here; see: pilotctl rendezvous list`)
      : Effect.succeed(to(roster, member, target.slice(0, at)))
  }
  return Effect.map(choose(roster, target), (member) => to(roster, member, target))
}

/** The target as the registry of a member knows it; nothing for another's. */
export const inside = (roster: Roster, member: Member, target: string | NodeId): string | NodeId | undefined => {
  if (typeof target === "number") return roster.of(target) === member ? roster.inside(member, target) : undefined
  const at = target.lastIndexOf("@")
  if (at < 0) return target
  return target.slice(at + 1) === member.card.alias ? target.slice(0, at) : undefined
}

/** What a registry found, as it reads outside. */
export const found = (roster: Roster, member: Member, value: LookedUp): LookedUp => {
  if (member.card.slot === LocalNode.HOME_SLOT) return value
  // An id that no slot has room for is nobody's.
  const node = roster.outside(member, value.node) ?? NodeId(0)
  const address = { ...value.address, node }
  return {
    ...value,
    node,
    address,
    hostname: roster.outsideName(member, value.hostname),
    raw: { ...value.raw, node_id: node, rendezvous: member.card.alias }
  }
}

const to = (roster: Roster, member: Member, target: string | NodeId): Route => ({
  registry: member.registry,
  keys: member.keys,
  target,
  found: (value) => found(roster, member, value),
  failed: (error) => {
    if (error instanceof KeyChanged)
      return new KeyChanged({ ...error, node: roster.outside(member, NodeId(error.node)) ?? error.node })
    return error instanceof NameMoved
      ? new NameMoved({ ...error, name: roster.outsideName(member, error.name) })
      : error
  }
})

const choose = Effect.fnUntraced(function* (roster: Roster, name: string): Effect.fn.Return<Member, RegistryError> {
  const members = roster.all()
  const [home] = members
  if (home === undefined) return yield* nowhere
  if (members.length === 1) return home
  const pinned = members.filter(({ keys }) => keys.guess(name) !== undefined)
  const [known] = pinned
  if (known !== undefined) {
    const keys = pinned.map((member) => member.keys.pinned(member.keys.guess(name)!))
    return areEqual(keys) ? best(pinned) : yield* ambiguous(name, pinned)
  }
  const answers = yield* Effect.forEach(members, (member) => ask(member, name), { concurrency: "unbounded" })
  const knowing = members.filter((_, index) => typeof answers[index] === "object")
  // None knows it: home says so in its own words.
  if (knowing.length === 0) return home
  // A new plain name is home's to give: while it is away, others cannot take it.
  if (answers[0] === "Unasked")
    return yield* fail(
      "Unavailable",
      `the rendezvous ${home.card.alias} cannot be asked who ${name} is: say ${namesOf(name, knowing)}`
    )
  return areEqual(answers.filter((answer) => typeof answer === "object"))
    ? best(knowing)
    : yield* ambiguous(name, knowing)
})

/** The key behind the name at one registry. One that was away a moment ago is not waited for. */
const ask = ({ registry, state }: Member, name: string): Effect.Effect<Uint8Array | "Unknown" | "Unasked"> =>
  state === "away"
    ? Effect.succeed("Unasked")
    : registry.resolveHostname(name).pipe(
        Effect.flatMap(({ node }) => registry.lookup(node)),
        Effect.map(({ publicKey }) => publicKey),
        Effect.timeoutOrElse({ duration: ASK_TIMEOUT, orElse: () => Effect.succeed("Unasked" as const) }),
        Effect.catch(({ reason }) =>
          Effect.succeed(reason === "NotFound" || reason === "Refused" ? ("Unknown" as const) : ("Unasked" as const))
        )
      )

/** The same peer in several memberships is reached where the registry answers; at home if that does. */
const best = (members: ReadonlyArray<Member>): Member => members.find(({ state }) => state === "joined") ?? members[0]!

const areEqual = (keys: ReadonlyArray<Uint8Array | undefined>): boolean =>
  keys.every((key) => key !== undefined && keys[0] !== undefined && Bytes.equals(key, keys[0]))

const ambiguous = (name: string, members: ReadonlyArray<Member>) =>
  fail("Ambiguous", `several rendezvous know a ${name}, with different keys: say ${namesOf(name, members)}`)

const namesOf = (name: string, members: ReadonlyArray<Member>): string =>
  members.map(({ card }) => `${name}@${card.alias}`).join(" or ")

const fail = (reason: RegistryError["reason"], detail: string): Effect.Effect<never, RegistryError> =>
  Effect.fail(new RegistryError({ reason, operation: "resolve_hostname", detail }))

const nowhere = fail("Unavailable", "this node is registered nowhere yet")

/** Of one registry, while the others have answered. */
const ASK_TIMEOUT = "3 seconds"

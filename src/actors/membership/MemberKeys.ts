/**
 * Keys over several memberships (security rule 1): pins belong to the ids and names of one registry, trust to a key wherever
 * it is met. `forMember` is what the actors of one membership ask, `make` what the rest of the node asks, in local ids.
 */
import { Effect } from "effect"
import * as Bytes from "../../core/data/Bytes.ts"
import type { NodeId } from "../../protocol/wire/Address.ts"
import { KeyChanged, NameMoved, type PeerKeys } from "../trust/PeerKeys.ts"
import type { Member, Roster } from "./Roster.ts"

/** The keys of one membership as its own actors see them; `member` is asked for late, since it holds what is made here. */
export const forMember = (roster: Roster, own: PeerKeys["Service"], member: () => Member): PeerKeys["Service"] => ({
  ...own,
  // What a trusted key has opened is as good as pinned: nobody else may have that id here any more.
  pinned: (node) => own.pinned(node) ?? trustedElsewhere(roster, member(), node),
  isTrusted: (node) =>
    own.isTrusted(node) ||
    (own.chains.rival(node) === undefined && roster.isTrustedElsewhere(member(), keyOf(member(), node))),
  // An identity that has left the earlier key scheme has left it everywhere (security rule 5).
  isLaterOnly: (publicKey) => roster.all().some(({ ownKeys }) => ownKeys.isLaterOnly(publicKey)),
  setTrusted: (trusted) => {
    own.setTrusted(trusted)
    const self = member()
    self.trusted = trusted
    self.trustedTexts = new Set(Array.from(trusted.values(), Bytes.toHex))
  }
})

/** A tunnel of the membership has opened under this key. */
export const opened = ({ met }: Member, node: NodeId, publicKey: Uint8Array): void => {
  met.delete(node)
  if (met.size >= MET_MAX) met.delete(met.keys().next().value!)
  met.set(node, publicKey)
}

/** The key a node of the membership is known by: the pinned one, else the one its tunnel opened under. */
export const keyOf = ({ met, ownKeys }: Member, node: NodeId): Uint8Array | undefined =>
  ownKeys.pinned(node) ?? met.get(node)

const trustedElsewhere = (roster: Roster, member: Member, node: NodeId): Uint8Array | undefined => {
  const key = member.met.get(node)
  return roster.isTrustedElsewhere(member, key) ? key : undefined
}

/** All pins and all trust of the node. */
export const make = (roster: Roster): PeerKeys["Service"] => {
  const at = <A>(local: NodeId, none: A, use: (keys: PeerKeys["Service"], node: NodeId) => A): A => {
    const member = roster.of(local)
    return member === undefined ? none : use(member.keys, roster.inside(member, local))
  }
  let named: ReadonlyArray<ReadonlyMap<string, Uint8Array>> = []
  let names: ReadonlyMap<string, Uint8Array> = new Map()
  return {
    names: () => {
      const now = roster.all().map(({ keys }) => keys.names())
      if (now.length === named.length && now.every((map, index) => map === named[index])) return names
      named = now
      names = new Map(
        roster
          .all()
          .flatMap((member) =>
            [...member.keys.names()].map(([name, key]) => [roster.outsideName(member, name), key] as const)
          )
      )
      return names
    },
    pinned: (local) => at(local, undefined, (keys, node) => keys.pinned(node)),
    guess: (name) => {
      const { member, inside } = split(roster, name)
      const node = member?.keys.guess(inside)
      return node === undefined || member === undefined ? undefined : roster.outside(member, node)
    },
    isTrusted: (local) => at(local, false, (keys, node) => keys.isTrusted(node)),
    pinNode: (local, publicKey) =>
      Effect.mapError(
        at(local, Effect.void as Effect.Effect<void, KeyChanged>, (keys, node) => keys.pinNode(node, publicKey)),
        (error) => new KeyChanged({ ...error, node: local })
      ),
    pinName: (name, publicKey) => {
      const { member, inside } = split(roster, name)
      return Effect.mapError(
        member?.keys.pinName(inside, publicKey) ?? Effect.void,
        (error) => new NameMoved({ ...error, name })
      )
    },
    acceptKey: (local, publicKey, name) =>
      at(local, Effect.void, (keys, node) =>
        keys.acceptKey(node, publicKey, name === undefined ? undefined : split(roster, name).inside)
      ),
    isLaterOnly: (publicKey) => roster.all().some(({ keys }) => keys.isLaterOnly(publicKey)),
    chains: {
      learn: (local, chain) => at(local, Effect.void, ({ chains }, node) => chains.learn(node, chain)),
      settle: Effect.suspend(() => Effect.forEach(roster.all(), ({ keys }) => keys.chains.settle, { discard: true })),
      standings: () =>
        new Map(
          roster.all().flatMap((member) =>
            [...member.keys.chains.standings()].flatMap(([node, standing]) => {
              const local = roster.outside(member, node)
              return local === undefined ? [] : [[local, standing] as const]
            })
          )
        ),
      follows: (local, former) => at(local, false, ({ chains }, node) => chains.follows(node, former)),
      formerKeys: (local) => at<ReadonlyArray<Uint8Array>>(local, [], ({ chains }, node) => chains.formerKeys(node)),
      rival: (local) => at<Uint8Array | undefined>(local, undefined, ({ chains }, node) => chains.rival(node)),
      refuse: (local) =>
        at<Effect.Effect<Uint8Array | undefined>>(local, Effect.undefined, ({ chains }, node) => chains.refuse(node)),
      // Each membership has listeners of its own.
      listen: () => Effect.void
    },
    laterOpened: (publicKey) => roster.all()[0]?.keys.laterOpened(publicKey),
    // Each membership has a trust list of its own, which tells its own keys.
    setTrusted: () => {}
  }
}

/** `name@alias` in two; a plain name is home's. */
export const split = (
  roster: Roster,
  name: string
): { readonly member: Member | undefined; readonly inside: string } => {
  const at = name.lastIndexOf("@")
  return at < 0
    ? { member: roster.all()[0], inside: name }
    : { member: roster.called(name.slice(at + 1)), inside: name.slice(0, at) }
}

/** Of one membership; the one that opened longest ago is forgotten first. */
export const MET_MAX = 4096

/**
 * What one reader (a peer, a registry) has learnt about the keys of one identity, and when: the ground on which
 * `KeyStanding` decides. Only grows, by statements that are genuine and belong to keys already known here; so the order in
 * which they arrive, and who brought them, does not matter beyond the moment at which each was first seen.
 */
import * as Bytes from "../../core/data/Bytes.ts"
import * as KeyChain from "./KeyChain.ts"
import * as KeyStatement from "./KeyStatement.ts"

/** A statement, and the wall-clock second at which this reader first saw it. */
export interface Learnt {
  readonly statement: KeyStatement.KeyStatement
  /** 0 for what came together with the first key and says who may decide about it: nothing else was believed before. */
  readonly atSeconds: number
}

/** All that is known. */
export interface KeyHistory {
  /** The key that this reader began with, or that a person here decided on. */
  readonly anchor: Uint8Array
  /** In the order of arrival. */
  readonly learnt: ReadonlyArray<Learnt>
  /** New keys, in hexadecimal, that a person here has refused: they never follow. */
  readonly refused: ReadonlySet<string>
}

/** Statements kept of one identity; the last few places are for those of a recovery key, which decide. */
export const LEARNT_MAX = 32
const RECOVERY_PLACES = 8
/** New keys that a person has refused; the oldest makes room. */
const REFUSED_MAX = 8

/** Nothing but a first key. */
export const begin = (anchor: Uint8Array): KeyHistory => ({
  anchor: Bytes.copy(anchor),
  learnt: [],
  refused: new Set()
})

/** When and how a chain was seen. */
export interface Seen {
  readonly atSeconds: number
  /** Together with the anchor itself. */
  readonly isFirst: boolean
  readonly verify: KeyStatement.Verify
}

/**
 * With the statements of a chain that are new, genuine and about keys known here; the same history when none is.
 * Signatures are checked for those only.
 */
export const learn = (self: KeyHistory, chain: KeyChain.KeyChain, seen: Seen): KeyHistory => {
  const ids = new Set(self.learnt.map(({ statement }) => KeyStatement.idOf(statement)))
  let learnt = self.learnt
  let open = chain.filter((statement) => !ids.has(KeyStatement.idOf(statement)))
  // A statement may connect another one that stands before it.
  for (let round = 0; round <= chain.length && open.length > 0; round++) {
    const keys = keysOf(self.anchor, learnt)
    const near = open.filter((statement) => isAbout(statement, keys))
    if (near.length === 0) break
    for (const statement of near) {
      const id = KeyStatement.idOf(statement)
      if (ids.has(id) || !hasRoom(learnt, statement) || !KeyStatement.isGenuine(statement, seen.verify)) continue
      ids.add(id)
      learnt = [...learnt, { statement, atSeconds: isGround(self, statement, seen) ? 0 : seen.atSeconds }]
    }
    open = open.filter((statement) => !near.includes(statement))
  }
  return learnt === self.learnt ? self : { ...self, learnt }
}

/**
 * A person's decision for a key: what led elsewhere is forgotten, what is about this key and those it has led to stays,
 * so its recovery key goes on to count.
 */
export const decided = (self: KeyHistory, key: Uint8Array): KeyHistory => ({
  anchor: Bytes.copy(key),
  learnt: self.learnt.filter(
    ({ statement }) =>
      Bytes.equals(statement.next, key) || (Bytes.equals(statement.key, key) && statement.kind === "enrol")
  ),
  refused: new Set([...self.refused].filter((refused) => refused !== Bytes.toHex(key)))
})

/** A person's decision against a new key, for ever. */
export const refuse = (self: KeyHistory, next: Uint8Array): KeyHistory => ({
  ...self,
  refused: new Set([...self.refused, Bytes.toHex(next)].slice(-REFUSED_MAX))
})

/** What is known, for others: the newest statements, in the order of their making. */
export const chain = (self: KeyHistory): KeyChain.KeyChain =>
  self.learnt
    .map(({ statement }) => statement)
    .sort((one, other) => one.sequence - other.sequence || one.unixSeconds - other.unixSeconds)
    .slice(-KeyChain.STATEMENTS_MAX)

const isGround = ({ anchor }: KeyHistory, { kind, next }: KeyStatement.KeyStatement, { isFirst }: Seen): boolean =>
  isFirst && (kind === "enrol" || (kind === "rotate" && Bytes.equals(next, anchor)))

const hasRoom = (learnt: ReadonlyArray<Learnt>, { signer }: KeyStatement.KeyStatement): boolean =>
  learnt.length < (signer === "recovery" ? LEARNT_MAX : LEARNT_MAX - RECOVERY_PLACES)

/** Keys before and after count too: a key consents to its predecessor. */
const keysOf = (anchor: Uint8Array, learnt: ReadonlyArray<Learnt>): ReadonlySet<string> => {
  const keys = new Set([Bytes.toHex(anchor)])
  for (const { statement } of learnt) {
    keys.add(Bytes.toHex(statement.key))
    if (statement.kind === "rotate") keys.add(Bytes.toHex(statement.next))
  }
  return keys
}

const isAbout = ({ key, kind, next }: KeyStatement.KeyStatement, keys: ReadonlySet<string>): boolean =>
  keys.has(Bytes.toHex(key)) || (kind === "rotate" && keys.has(Bytes.toHex(next)))

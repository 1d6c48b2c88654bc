/**
 * What the registry knows about a node's keys beyond the present one (security rule 9): it is one reader of the node's chain
 * among others, and waits like them. A node that keeps a chain says so when it registers, and from then on its key moves by
 * the chain only; others rotate as the protocol has it.
 */
import * as Bytes from "../../core/data/Bytes.ts"
import * as Json from "../../core/data/Json.ts"
import * as KeyChain from "../identity/KeyChain.ts"
import * as KeyHistory from "../identity/KeyHistory.ts"
import * as KeyHistoryText from "../identity/KeyHistoryText.ts"
import * as KeyStanding from "../identity/KeyStanding.ts"
import type * as KeyStatement from "../identity/KeyStatement.ts"

/** Of a node that keeps a chain. */
export interface NodeKeys {
  /** `undefined` as long as nothing was said. */
  readonly history: KeyHistory.KeyHistory | undefined
  /** Keys that this node had: nobody registers with one of them again. Oldest first. */
  readonly retired: ReadonlyArray<Uint8Array>
  /** When the node first registered here, Unix time. */
  readonly sinceSeconds: number
}

/** Of a node that has said nothing yet. */
export const begin = (sinceSeconds: number): NodeKeys => ({ history: undefined, retired: NONE, sinceSeconds })

/**
 * With what a chain says that is new and genuine; the same object when there is no news. A recovery key that is enrolled
 * within an hour of the first registration is in force at once: nobody has had anything from the node yet.
 */
export const learn = (
  self: NodeKeys,
  publicKey: Uint8Array,
  chain: KeyChain.KeyChain,
  seen: { readonly atSeconds: number; readonly verify: KeyStatement.Verify }
): NodeKeys => {
  if (chain.length === 0) return self
  const before = self.history ?? KeyHistory.begin(publicKey)
  const history = KeyHistory.learn(before, chain, {
    ...seen,
    isFirst: seen.atSeconds - self.sinceSeconds <= FIRST_SECONDS
  })
  return history === before ? self : { ...self, history }
}

/** The standing, of a node that has said something. */
export const standing = (self: NodeKeys, unixSeconds: number): KeyStanding.KeyStanding | undefined =>
  self.history === undefined ? undefined : KeyStanding.at(self.history, unixSeconds)

/** After the key has moved from `before`. */
export const moved = (self: NodeKeys, before: Uint8Array): NodeKeys => ({
  ...self,
  retired: [...self.retired, Bytes.copy(before)].slice(-RETIRED_MAX)
})

/** What others are told: the chain as base64, absent when there is nothing to say. */
export const members = (self: NodeKeys | undefined, unixSeconds: number): Json.JsonObject => {
  if (self?.history === undefined || self.history.learnt.length === 0) return {}
  const sequence = standing(self, unixSeconds)?.sequence
  return {
    key_chain: KeyChain.toText(KeyHistory.chain(self.history)),
    ...(sequence !== undefined && { key_generation: sequence })
  }
}

/** For the store; empty for a node that keeps no chain. */
export const encode = (self: NodeKeys | undefined): string => {
  if (self === undefined) return ""
  const history = self.history === undefined ? undefined : KeyHistoryText.encode(self.history)
  return JSON.stringify({ history, retired: self.retired.map(Bytes.toBase64), since: self.sinceSeconds })
}

/** Reads that. What cannot be read is a node that keeps a chain and has said nothing. */
export const decode = (text: string): NodeKeys | undefined => {
  if (text === "") return undefined
  const object = Json.parseObject(text) ?? {}
  const stored = Json.member(object, "history")
  const history = Json.isObject(stored) ? KeyHistoryText.decode(stored) : undefined
  const retired = Json.strings(object, "retired").flatMap((key) => Bytes.fromBase64(key) ?? [])
  return { history, retired, sinceSeconds: Json.integer(object, "since") }
}

const NONE: ReadonlyArray<Uint8Array> = []
/** A first look around before a recovery key is made. */
const FIRST_SECONDS = 3600
/** As many rotations as one chain can tell of. */
const RETIRED_MAX = 16

/**
 * Keys that a person here has listed beforehand: their requests for trust need nobody at this end (security rule 2). A
 * fingerprint stands for its key; names and node ids are never listed.
 */
import { Result } from "effect"

/** One listed key. */
export interface ListedKey {
  /** As `Fingerprint.format` writes it. */
  readonly fingerprint: string
  /** For the person who listed it. */
  readonly note: string
  readonly listedAtSeconds: number
}

/** By fingerprint, oldest first. */
export type ListedKeys = ReadonlyMap<string, ListedKey>

/** None. */
export const empty: ListedKeys = new Map()

/** Lists a key, or changes its note. */
export const add = (self: ListedKeys, listed: ListedKey): Result.Result<ListedKeys, "TooMany"> =>
  self.size >= LISTED_KEYS_MAX && !self.has(listed.fingerprint)
    ? Result.fail("TooMany")
    : Result.succeed(new Map(self).set(listed.fingerprint, listed))

/** Strikes a key out; the same list when it was not there. Trust that it brought stays until it is ended. */
export const remove = (self: ListedKeys, fingerprint: string): ListedKeys => {
  if (!self.has(fingerprint)) return self
  const keys = new Map(self)
  keys.delete(fingerprint)
  return keys
}

/** Keys of one node. */
export const LISTED_KEYS_MAX = 1024

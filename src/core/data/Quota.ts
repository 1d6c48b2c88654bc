/** How much is under way at once, in all and per key, so that no single key takes every place. */

/** Counters, mutable inside one owner. Keys without anything under way take no memory. */
export interface Quota<K> {
  readonly limits: Limits
  count: number
  readonly perKey: Map<K, number>
}

/** Places in all, and of one key. */
export interface Limits {
  readonly countMax: number
  readonly perKeyMax: number
}

/** Nothing under way. */
export const make = <K>(limits: Limits): Quota<K> => ({ limits, count: 0, perKey: new Map() })

/** Takes a place; false, and nothing taken, when there is none. */
export const enter = <K>(self: Quota<K>, key: K): boolean => {
  const ofKey = self.perKey.get(key) ?? 0
  if (self.count >= self.limits.countMax || ofKey >= self.limits.perKeyMax) return false
  self.count++
  self.perKey.set(key, ofKey + 1)
  return true
}

/** Gives a place back; nothing for a key that has none. */
export const leave = <K>(self: Quota<K>, key: K): void => {
  const ofKey = self.perKey.get(key)
  if (ofKey === undefined) return
  self.count--
  if (ofKey === 1) self.perKey.delete(key)
  else self.perKey.set(key, ofKey - 1)
}

/** Whether anything of this key is under way. */
export const has = <K>(self: Quota<K>, key: K): boolean => self.perKey.has(key)

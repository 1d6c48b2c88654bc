/** Randomness that depends on nothing but its seed: the same numbers on every machine. */

/** Whole numbers in [0, below); 0 if there are none. */
export type Random = (below: number) => number

/** A small generator (mulberry32). */
export const make = (seed: number): Random => {
  let state = seed >>> 0
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * below)
  }
}

/** The seed of one case: near seeds and near indices have nothing in common. */
export const mix = (name: string, ...numbers: ReadonlyArray<number>): number => {
  let hash = 0x811c9dc5
  const take = (value: number) => {
    hash = Math.imul(hash ^ value, 0x01000193)
    hash ^= hash >>> 15
  }
  for (let index = 0; index < name.length; index++) take(name.charCodeAt(index))
  for (const number of numbers) {
    take(number >>> 0)
    take(Math.imul(number, 0x9e3779b1) >>> 0)
  }
  return hash >>> 0
}

/** One of them. */
export const pick = <A>(values: ReadonlyArray<A>, next: Random): A => values[next(values.length)]!

/** Random bytes. */
export const bytes = (sizeBytes: number, next: Random): Uint8Array => {
  const result = new Uint8Array(sizeBytes)
  for (let index = 0; index < sizeBytes; index++) result[index] = next(256)
  return result
}

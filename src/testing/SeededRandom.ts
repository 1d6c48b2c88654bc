/** Reproducible random numbers for simulations: the same seed gives the same run. Not for keys. */
import type { Random } from "effect"

/** Mutable; each number drawn moves it on. */
export interface SeededRandom {
  /** Uniform in [0, 1). */
  readonly next: () => number
}

/** A generator of its own for each seed (Mulberry32: 32 bits of state, every seed is good). */
export const make = (seed: number): SeededRandom => {
  let state = seed >>> 0
  return {
    next: () => {
      state = (state + 0x6d2b79f5) >>> 0
      let mixed = Math.imul(state ^ (state >>> 15), state | 1)
      mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
      return ((mixed ^ (mixed >>> 14)) >>> 0) / 0x1_0000_0000
    }
  }
}

/** A seed for one purpose, so that what one part draws does not change what another part gets (FNV-1a). */
export const derive = (seed: number, purpose: string): number => {
  let hash = 0x811c9dc5 ^ (seed >>> 0)
  for (let index = 0; index < purpose.length; index++) {
    hash = Math.imul(hash ^ purpose.charCodeAt(index), 0x01000193)
  }
  // The last characters must reach the upper bits too.
  hash = Math.imul(hash ^ (hash >>> 16), 0x45d9f3b)
  return (hash ^ (hash >>> 16)) >>> 0
}

/** True with the given probability. */
export const chance = (self: SeededRandom, probability: number): boolean => self.next() < probability

/** Uniform in [0, limit). */
export const below = (self: SeededRandom, limit: number): number => self.next() * limit

/** A whole number, uniform in [0, limit). */
export const index = (self: SeededRandom, limit: number): number => Math.floor(self.next() * limit)

/** The same numbers as Effect's `Random`. */
export const service = (self: SeededRandom): typeof Random.Random.Service => ({
  nextDoubleUnsafe: self.next,
  // As Effect's own, the whole range of safe integers, both signs.
  nextIntUnsafe: () => Math.floor((self.next() * 2 - 1) * Number.MAX_SAFE_INTEGER)
})

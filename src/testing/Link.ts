/**
 * One direction of a path between two hosts, and what it does to a datagram. Pure but for the generator it draws from and
 * the state of its queue.
 */
import * as SeededRandom from "./SeededRandom.ts"

/** Rates are probabilities per datagram. */
export interface Link {
  readonly delayMs: number
  /** Added to the delay, uniform in [0, jitterMs): datagrams overtake each other within it. */
  readonly jitterMs: number
  readonly lossRate: number
  /** Losses that come together; `undefined` for none. */
  readonly bursts: Bursts | undefined
  /** A second copy, with a delay of its own. */
  readonly duplicationRate: number
  /** Held back by another `delayMs + REORDER_MS`, so that later ones overtake it. */
  readonly reorderRate: number
  /** `Infinity` for a link that is never busy. */
  readonly bitsPerSecond: number
  /** What waits for the link while it is busy; a datagram that does not fit is lost (drop tail). */
  readonly queueBytes: number
  /** A larger IP packet is lost, as on a path whose routers say nothing. */
  readonly mtuBytes: number
}

/** Gilbert–Elliott: a good state without loss, a bad one with; how often each is left, per datagram. */
export interface Bursts {
  readonly beginRate: number
  readonly endRate: number
  /** Loss while it lasts. */
  readonly lossRate: number
}

/** Nothing lost, nothing late. */
export const PERFECT: Link = {
  delayMs: 0,
  jitterMs: 0,
  lossRate: 0,
  bursts: undefined,
  duplicationRate: 0,
  reorderRate: 0,
  bitsPerSecond: Number.POSITIVE_INFINITY,
  queueBytes: Number.POSITIVE_INFINITY,
  mtuBytes: Number.POSITIVE_INFINITY
}

/** What a link remembers. Mutable, owned by whoever sends through it. */
export interface LinkState {
  /** When the last datagram accepted has left. */
  busyUntilMs: number
  isBursting: boolean
}

/** A link that has not been used yet. */
export const idle = (): LinkState => ({ busyUntilMs: 0, isBursting: false })

/** Why a datagram does not arrive. */
export type LossReason = "Loss" | "QueueFull" | "TooLarge"

/** The delay of each copy that arrives, two for a duplicated datagram; or why none does. */
export type Fate =
  | { readonly _tag: "Arrives"; readonly delaysMs: ReadonlyArray<number> }
  | { readonly _tag: "Lost"; readonly reason: LossReason }

/** What becomes of a datagram with this payload, sent now. */
export const transmit = (
  self: Link,
  state: LinkState,
  payloadBytes: number,
  nowMs: number,
  random: SeededRandom.SeededRandom
): Fate => {
  const sizeBytes = payloadBytes + HEADER_BYTES
  if (sizeBytes > self.mtuBytes) return { _tag: "Lost", reason: "TooLarge" }
  const departsAtMs = depart(self, state, sizeBytes, nowMs)
  if (departsAtMs === undefined) return { _tag: "Lost", reason: "QueueFull" }
  if (isLost(self, state, random)) return { _tag: "Lost", reason: "Loss" }
  const waitMs = departsAtMs - nowMs
  const first = waitMs + delayMs(self, random)
  const isDoubled = SeededRandom.chance(random, self.duplicationRate)
  return { _tag: "Arrives", delaysMs: isDoubled ? [first, waitMs + delayMs(self, random)] : [first] }
}

/** Puts the packet into the queue, if it fits. */
const depart = (self: Link, state: LinkState, sizeBytes: number, nowMs: number): number | undefined => {
  if (self.bitsPerSecond === Number.POSITIVE_INFINITY) return nowMs
  const bytesPerMs = self.bitsPerSecond / 8000
  const startsAtMs = Math.max(nowMs, state.busyUntilMs)
  if ((startsAtMs - nowMs) * bytesPerMs + sizeBytes > Math.max(self.queueBytes, sizeBytes)) return undefined
  state.busyUntilMs = startsAtMs + sizeBytes / bytesPerMs
  return state.busyUntilMs
}

const isLost = (self: Link, state: LinkState, random: SeededRandom.SeededRandom): boolean => {
  if (SeededRandom.chance(random, self.lossRate)) return true
  if (self.bursts === undefined) return false
  const { beginRate, endRate, lossRate } = self.bursts
  const changes = SeededRandom.chance(random, state.isBursting ? endRate : beginRate)
  if (changes) state.isBursting = !state.isBursting
  return state.isBursting && SeededRandom.chance(random, lossRate)
}

const delayMs = (self: Link, random: SeededRandom.SeededRandom): number => {
  const directMs = self.delayMs + SeededRandom.below(random, self.jitterMs)
  return SeededRandom.chance(random, self.reorderRate) ? directMs + self.delayMs + REORDER_MS : directMs
}

/** The least a reordered datagram is held back, also on a link without delay. */
export const REORDER_MS = 1
/** IPv4 and UDP headers. */
export const HEADER_BYTES = 28

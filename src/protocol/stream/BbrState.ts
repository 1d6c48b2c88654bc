/**
 * The states of BBR and what each of them does with the rate and the window (draft-ietf-ccwg-bbr §5.6.1, the table of
 * control behaviour).
 */

/** Down, Cruise, Refill and Up are the phases of ProbeBW (§5.3.3). */
export type State = "Startup" | "Drain" | "Down" | "Cruise" | "Refill" | "Up" | "ProbeRtt"

/** Multiples of the bandwidth at which segments leave, and of the product of bandwidth and delay that may be in flight. */
export interface Gains {
  readonly pacing: number
  readonly window: number
}

/** What the states do. */
export const gains: Readonly<Record<State, Gains>> = {
  // 4·ln 2: the least that lets the rate double in each round (§5.3.1.1).
  Startup: { pacing: 2.77, window: 2 },
  Drain: { pacing: 0.35, window: 2 },
  Down: { pacing: 0.9, window: 2 },
  Cruise: { pacing: 1, window: 2 },
  Refill: { pacing: 1, window: 2 },
  Up: { pacing: 1.25, window: 2.25 },
  ProbeRtt: { pacing: 1, window: 0.5 }
}

/** The flow is in its steady cycle. */
export const isProbeBw = (state: State): boolean =>
  state === "Down" || state === "Cruise" || state === "Refill" || state === "Up"

/** The flow tries to find more, so that losses are its own doing (§5.3.3.6 BBRIsProbingBW). */
export const isProbing = (state: State): boolean => state === "Startup" || state === "Refill" || state === "Up"

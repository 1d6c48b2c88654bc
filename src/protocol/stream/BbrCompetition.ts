/**
 * Holds its own against flows that fill every queue they find. BBR keeps no more than two products of bandwidth and delay
 * in flight, so round trips of three times the path's are somebody else's doing; whoever goes on leaving queues alone then
 * is left almost nothing. While that lasts, the stream may use what CUBIC would have in its place (decision 0024).
 *
 * Flows of ours among themselves do not get there: together they stay below the limit, and their common drains for the
 * path's delay (draft-ietf-ccwg-bbr §5.3.4) end it if they do.
 */
import type { Acknowledgement, CongestionSizes } from "./CongestionController.ts"
import { Cubic } from "./Cubic.ts"

/** Mutable inside the controller that owns it. */
export class BbrCompetition {
  readonly #sizes: CongestionSizes
  /** What CUBIC would do; only while it matters. */
  #cubic: Cubic | undefined = undefined
  #baseMs = Number.POSITIVE_INFINITY
  #baseAtMs = 0
  #roundMinMs = Number.POSITIVE_INFINITY
  #queuedRounds = 0

  constructor(sizes: CongestionSizes) {
    this.#sizes = sizes
  }

  /** Bytes that may be in flight for its sake. */
  get window(): number {
    return this.#cubic?.congestionWindow ?? 0
  }

  /** The rate that goes with the window. */
  pacingBytesPerMs(smoothedRttMs: number): number {
    return this.#cubic?.pacingBytesPerMs(smoothedRttMs) ?? 0
  }

  /** `isSettled`: the flow is not itself filling the queue, as it does at its start. */
  acknowledged(told: Acknowledgement, isRoundStart: boolean, isSettled: boolean, window: number, nowMs: number): void {
    this.#measure(told.rttMs, nowMs)
    this.#cubic?.acknowledged(told, nowMs)
    if (!isRoundStart) return
    const isQueued = this.#roundMinMs < Number.POSITIVE_INFINITY && this.#roundMinMs > QUEUED_RATIO * this.#baseMs
    this.#queuedRounds = isQueued && isSettled ? this.#queuedRounds + 1 : 0
    this.#roundMinMs = Number.POSITIVE_INFINITY
    if (this.#cubic !== undefined || this.#queuedRounds < QUEUED_ROUNDS) return
    // From here as a flow of CUBIC that joins: it doubles until it, too, has lost something.
    this.#cubic = new Cubic({ ...this.#sizes, initialWindowBytes: window })
  }

  congested(bytesInFlight: number): void {
    this.#cubic?.congested(bytesInFlight)
  }

  timedOut(bytesInFlight: number): void {
    this.#cubic?.timedOut(bytesInFlight)
  }

  undo(): void {
    this.#cubic?.undo()
  }

  #measure(rttMs: number, nowMs: number): void {
    if (rttMs === 0) return
    if (rttMs <= this.#baseMs || nowMs > this.#baseAtMs + BASE_MS) {
      this.#baseMs = rttMs
      this.#baseAtMs = nowMs
    }
    if (rttMs < this.#roundMinMs) this.#roundMinMs = rttMs
    if (rttMs >= QUIET_RATIO * this.#baseMs + QUIET_MS) return
    this.#cubic = undefined
    this.#queuedRounds = 0
  }
}

/** More than BBR flows by themselves ever make of the path's delay (§5.6.4.2: a window gain of two). */
const QUEUED_RATIO = 3
const QUEUED_ROUNDS = 4
/** The queue is gone, or is such as BBR lives with. */
const QUIET_RATIO = 2
/** Round trips of a path without delay say more about processes than about queues. */
const QUIET_MS = 10
/** A path whose delay has grown for good is known as such after a minute. */
const BASE_MS = 60_000

/**
 * What keeps the birthday probing of one node within its bounds, whoever the peer and whichever the membership: one try at a time,
 * and so many bytes to each host. Shared through `Doors`.
 */

import { GuessLimit } from "../../nat/GuessLimit.ts"
import type { BirthdayOutcome } from "../../protocol/ProtocolEvent.ts"

/** The right to a try, until it is given back or its time is up. */
export interface Turn {
  readonly untilMs: number
}

/** Plain counts since the start: tries on either side, those that found a path, and those for which this host had no sockets. */
export interface BirthdayCounters {
  tries: number
  hits: number
  refused: number
}

/** Mutable, one per process that is a node. */
export class BirthdayDesk {
  readonly limit = new GuessLimit()
  readonly counters: BirthdayCounters = { tries: 0, hits: 0, refused: 0 }
  #turn: Turn | undefined

  /** The turn, if nobody has it; a peer that died with it loses it when the time is up. */
  take(lastsMs: number, nowMs: number): Turn | undefined {
    if (this.#turn !== undefined && nowMs < this.#turn.untilMs) return undefined
    this.#turn = { untilMs: nowMs + lastsMs }
    return this.#turn
  }

  /** What became of a try. */
  count(outcome: BirthdayOutcome): void {
    this.counters.tries += 1
    if (outcome === "hit") this.counters.hits += 1
    if (outcome === "refused") this.counters.refused += 1
  }

  /** The try is over. */
  giveBack(turn: Turn | undefined): void {
    if (this.#turn === turn) this.#turn = undefined
  }
}

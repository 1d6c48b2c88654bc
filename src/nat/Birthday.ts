/**
 * Birthday probing: a direct path between a node whose translator draws a new port for every destination (`opener`) and one whose
 * translator keeps one mapping but filters by port (`guesser`). The opener sends to the guesser's mapping from many sockets, so that
 * many of its outside ports let the guesser in; the guesser sends to ports of the opener's host drawn at random. One that meets is a path.
 */
import type { BirthdayOutcome } from "../protocol/ProtocolEvent.ts"

/** How much is tried. */
export interface Config {
  /** The relay carries the streams for so long before anything is tried. */
  readonly afterMs: number
  /** Extra sockets of the opener. */
  readonly sockets: number
  /** Ports that the guesser tries. */
  readonly guesses: number
  /** Datagrams leave in small groups, so often. */
  readonly tickMs: number
  readonly guessesPerTick: number
  readonly knocksPerTick: number
  /** After all sockets have sent: until they do again, lest their mappings go. */
  readonly knockPauseMs: number
  /** Between repetitions of a message; what has not been repeated for `leaseMs` does not hold any more. */
  readonly tellMs: number
  readonly leaseMs: number
  /** Questions that are left unanswered before the peer is given up. */
  readonly asks: number
  /** For what is under way when the last port has been tried. */
  readonly lingerMs: number
  /** The opener's sockets are open no longer. */
  readonly lastsMs: number
  /** Until the same peer is tried again: after a path was found and lost again, and after none was. */
  readonly restFoundMs: number
  readonly restMs: number
}

/**
 * Our own choices: a hundred probes a second for ten seconds, which is less than a call on the telephone, find a path in 98 of
 * 100 tries.
 */
export const defaults: Config = {
  afterMs: 3_000,
  sockets: 256,
  guesses: 1_024,
  tickMs: 50,
  guessesPerTick: 5,
  knocksPerTick: 32,
  knockPauseMs: 4_000,
  tellMs: 1_000,
  leaseMs: 3_500,
  asks: 6,
  lingerMs: 2_000,
  lastsMs: 20_000,
  restFoundMs: 600_000,
  restMs: 3_600_000
}

/** On which side of a try a node is. */
export type Role = "opener" | "guesser"

/** One try, for whoever wants to know why. */
export interface Report {
  readonly role: Role
  readonly outcome: BirthdayOutcome | "running"
  /** Why the peer does not guess; else empty. */
  readonly detail: string
  /** Of the opener. */
  readonly sockets: number
  /** Datagrams that this node sent for it. */
  readonly probes: number
  readonly startedAtMs: number
  readonly tookMs: number
}

/** How probable a path is, with so many different ports on each side of so many that may be drawn. */
export const chance = (sockets: number, guesses: number, ports = PORTS): number => {
  let missed = 1
  for (let guess = 0; guess < guesses && missed > 0; guess++)
    missed *= Math.max(0, ports - sockets - guess) / (ports - guess)
  return 1 - missed
}

/** Draws ports, none of them twice: a shuffled deck of which only what was drawn is kept. Mutable, one for each try. */
export class PortDeck {
  readonly #moved = new Map<number, number>()
  #drawn = 0

  /** The next one; `random` is any unsigned number of 32 bits. */
  draw(random: number): number {
    const left = PORTS - (this.#drawn % PORTS)
    const first = PORTS - left
    const chosen = first + (random % left)
    const card = this.#moved.get(chosen) ?? chosen
    this.#moved.set(chosen, this.#moved.get(first) ?? first)
    this.#moved.set(first, card)
    this.#drawn += 1
    return PORT_MIN + card
  }
}

/** Translators leave the ports below to others. */
export const PORT_MIN = 1_024
const PORTS = 65_536 - PORT_MIN

/**
 * What one path is worth, measured by sealed probes that were answered on it: nobody without the keys can make a path look
 * better than it is, and no other path's answers count.
 *
 * Mutable; one per path, owned by its `PathSelector`.
 */

/** A snapshot, for choosing and for telling. */
export interface Quality {
  readonly sent: number
  readonly answered: number
  /** Smoothed as RFC 6298 §2 does it; `undefined` before the first answer. */
  readonly rttMs: number | undefined
  /** Of the last probes, from 0 to 1; `undefined` while too few are decided. */
  readonly loss: number | undefined
}

/** Probes and their answers. */
export class PathQuality {
  #sent = 0
  #answered = 0
  #rttMs: number | undefined
  /** By sequence number, when each was sent. */
  readonly #waiting = new Map<number, number>()
  /** The last ones decided, oldest first: whether each was answered. */
  #decided: ReadonlyArray<boolean> = []

  /** A probe went by the path. */
  probed(sequence: number, nowMs: number): void {
    this.expire(nowMs)
    this.#sent += 1
    this.#waiting.set(sequence, nowMs)
    if (this.#waiting.size > WAITING_MAX) this.#decide(this.#waiting.keys().next().value!, false)
  }

  /** An answer came by the same path: how long it took; `undefined` if nothing like it was asked, or too long ago. */
  answered(sequence: number, nowMs: number): number | undefined {
    this.expire(nowMs)
    const sentAtMs = this.#waiting.get(sequence)
    if (sentAtMs === undefined) return undefined
    const sampleMs = nowMs - sentAtMs
    this.#rttMs = this.#rttMs === undefined ? sampleMs : this.#rttMs + (sampleMs - this.#rttMs) / SMOOTHING
    this.#answered += 1
    this.#decide(sequence, true)
    return sampleMs
  }

  /** Gives up what has waited too long. */
  expire(nowMs: number): void {
    for (const [sequence, sentAtMs] of this.#waiting) {
      if (nowMs - sentAtMs <= LOST_MS) return
      this.#decide(sequence, false)
    }
  }

  get snapshot(): Quality {
    const lost = this.#decided.filter((isAnswered) => !isAnswered).length
    const loss = this.#decided.length < DECIDED_MIN ? undefined : lost / this.#decided.length
    return { sent: this.#sent, answered: this.#answered, rttMs: this.#rttMs, loss }
  }

  /**
   * To compare paths by, in milliseconds: the round trip, and what losses cost on average, each about the time until it is
   * repaired. `undefined` while too little is known.
   */
  get costMs(): number | undefined {
    const { loss, rttMs } = this.snapshot
    return rttMs === undefined || this.#answered < DECIDED_MIN ? undefined : rttMs + (loss ?? 0) * LOSS_COST_MS
  }

  #decide(sequence: number, isAnswered: boolean): void {
    this.#waiting.delete(sequence)
    this.#decided = [...this.#decided, isAnswered].slice(-DECIDED_MAX)
  }
}

/** RFC 6298 §2: alpha is 1/8. */
const SMOOTHING = 8
/** No answer within this is none. */
const LOST_MS = 3_000
/** Probes under way on one path. */
const WAITING_MAX = 8
/** Probes that loss is counted over, and how few say nothing yet. */
const DECIDED_MAX = 16
const DECIDED_MIN = 3
/** About a retransmission time-out. */
const LOSS_COST_MS = 500

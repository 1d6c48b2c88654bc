/**
 * What became of the tasks that this node gave away, counted by the key of who had them and by kind. It is this node's own
 * experience, nobody else's word, and what peers are chosen by. Mutable, with one owner; bounded, the row that was touched
 * longest ago goes first.
 */
import { Schema } from "effect"
import type * as TaskRecord from "./TaskRecord.ts"

/** One row. Counts are halved when they come to `WEIGHT_MAX` together, so that the past counts less and less. */
export const Tally = Schema.Struct({
  /** Ed25519, base64. */
  peerKey: Schema.String,
  kind: Schema.String,
  done: Schema.Int,
  failed: Schema.Int,
  /** Not done in time, or not accepted in time. */
  late: Schema.Int,
  declined: Schema.Int,
  /** Unix milliseconds of the last one. */
  lastAtMs: Schema.Int
})
/** One row. */
export type Tally = typeof Tally.Type

/** What a task may count as. */
export type Verdict = "done" | "failed" | "late" | "declined"

/** What is to be stored, or was forgotten; and what it was before, unless it is new. */
export interface LedgerChange {
  readonly _tag: "Put" | "Removed"
  readonly tally: Tally
  readonly before?: Tally | undefined
}

/** The rows of one node. */
export class TaskLedger {
  readonly #max: number
  /** The one that was touched last comes last. */
  readonly #rows = new Map<string, Tally>()
  readonly #changed = new Map<string, LedgerChange>()

  constructor(stored: Iterable<Tally> = [], max = LEDGER_MAX) {
    this.#max = max
    for (const tally of [...stored].toSorted((a, b) => a.lastAtMs - b.lastAtMs)) this.#rows.set(keyOf(tally), tally)
  }

  /** All rows, the one touched last first. */
  get all(): ReadonlyArray<Tally> {
    return [...this.#rows.values()].toReversed()
  }

  /** What changed since it was asked last, each row once. */
  drain(): ReadonlyArray<LedgerChange> {
    const changes = [...this.#changed.values()]
    this.#changed.clear()
    return changes
  }

  /** Counts one. */
  record(peerKey: string, kind: string, verdict: Verdict, nowMs: number): void {
    const key = keyOf({ peerKey, kind })
    const known = this.#rows.get(key)
    const before = known ?? { peerKey, kind, ...NOTHING, lastAtMs: nowMs }
    const counted = { ...before, [verdict]: before[verdict] + 1, lastAtMs: nowMs }
    const tally = weightOf(counted) < WEIGHT_MAX ? counted : halved(counted)
    this.#rows.delete(key)
    this.#rows.set(key, tally)
    this.#change("Put", tally, known)
    const [oldest] = this.#rows
    if (this.#rows.size <= this.#max || oldest === undefined) return
    this.#rows.delete(oldest[0])
    this.#change("Removed", oldest[1], oldest[1])
  }

  #change(_tag: LedgerChange["_tag"], tally: Tally, previous: Tally | undefined): void {
    const key = keyOf(tally)
    const earlier = this.#changed.get(key)
    this.#changed.set(key, { _tag, tally, before: earlier === undefined ? previous : earlier.before })
  }

  /**
   * How likely the peer is to do it well, between 0 and 1: the share of what went well, as if it had done one and failed at one
   * before. Whoever is unknown has a half. Declining is honest, and counts half. `keys` are all that the peer has had.
   */
  expectation(keys: ReadonlyArray<string>, kind: string): number {
    const tallies = keys.flatMap((peerKey) => this.#rows.get(keyOf({ peerKey, kind })) ?? [])
    const sum = (count: (tally: Tally) => number) => tallies.reduce((total, tally) => total + count(tally), 0)
    const good = sum(({ done }) => done) + 1
    return good / (good + sum(({ declined, failed, late }) => failed + late + declined / 2) + 1)
  }
}

/** What the end of a submitted task says of who had it; nothing if it was taken back, or never heard of. */
export const verdictOf = (before: TaskRecord.TaskRecord, task: TaskRecord.TaskRecord): Verdict | undefined => {
  switch (task.status) {
    case "SUCCEEDED":
    case "COMPLETED":
      return task.completedAtMs > task.expiresAtMs ? "late" : "done"
    case "FAILED":
      return "failed"
    case "DECLINED":
      return "declined"
    case "EXPIRED":
      return before.told === 0 ? undefined : "late"
    default:
      return undefined
  }
}

const keyOf = ({ kind, peerKey }: Pick<Tally, "peerKey" | "kind">): string => `${peerKey} ${kind}`

const weightOf = ({ declined, done, failed, late }: Tally): number => done + failed + late + declined

const halved = (tally: Tally): Tally => ({
  ...tally,
  done: Math.floor(tally.done / 2),
  failed: Math.floor(tally.failed / 2),
  late: Math.floor(tally.late / 2),
  declined: Math.floor(tally.declined / 2)
})

const NOTHING = { done: 0, failed: 0, late: 0, declined: 0 }
/** Rows: peers times kinds. */
export const LEDGER_MAX = 1_024
/** Tasks of one row that are counted before the past begins to fade. */
export const WEIGHT_MAX = 1_000

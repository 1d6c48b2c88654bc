/**
 * The tasks that wait to be begun, by what handler they are for: larger priority first, then the older one. Those that pause after
 * a failure stand apart until their time has come, so that thousands of them are in nobody's way. Mutable, with one owner.
 */
import { SortedList } from "../../core/data/SortedList.ts"
import type { TaskRecord } from "./TaskRecord.ts"

type Entry = Pick<TaskRecord, "id" | "kind" | "priority" | "createdAtMs" | "notBeforeMs">

/** Of one kind. */
interface Waiting {
  readonly ready: SortedList<Entry>
  readonly paused: SortedList<Entry>
}

/** The queues of all kinds. */
export class TaskQueue {
  readonly #kinds = new Map<string, Waiting>()

  /** Waiting, of all kinds. */
  get size(): number {
    let size = 0
    for (const { paused, ready } of this.#kinds.values()) size += ready.size + paused.size
    return size
  }

  /** Puts it where it belongs. */
  add(entry: Entry): void {
    const waiting = this.#kinds.get(entry.kind) ?? {
      ready: new SortedList<Entry>(compare),
      paused: new SortedList<Entry>(compareTimes)
    }
    this.#kinds.set(entry.kind, waiting)
    if (entry.notBeforeMs > 0) waiting.paused.add(entry)
    else waiting.ready.add(entry)
  }

  /** Takes it away, with the very members that it was added with. */
  remove(entry: Entry): void {
    const waiting = this.#kinds.get(entry.kind)
    if (waiting === undefined) return
    const { paused, ready } = waiting
    if (!ready.remove(entry)) paused.remove(entry)
    if (ready.size + paused.size === 0) this.#kinds.delete(entry.kind)
  }

  /** The first that may be begun now, of the kinds named. A pause that is over stays so, even if the clock is put back. */
  first(kinds: ReadonlyArray<string>, nowMs: number): string | undefined {
    const heads = kinds.flatMap((kind) => {
      const waiting = this.#kinds.get(kind)
      return waiting === undefined ? [] : (headOf(waiting, nowMs) ?? [])
    })
    return heads.toSorted(compare)[0]?.id
  }

  /** When the next of these kinds may be begun, 0 for now; `undefined` when none waits. */
  nextAtMs(kinds: ReadonlyArray<string>): number | undefined {
    const times = kinds.flatMap((kind) => {
      const waiting = this.#kinds.get(kind)
      if (waiting === undefined) return []
      return waiting.ready.size > 0 ? 0 : (waiting.paused.first?.notBeforeMs ?? [])
    })
    return times.length === 0 ? undefined : times.reduce((least, time) => Math.min(least, time))
  }
}

const headOf = ({ paused, ready }: Waiting, nowMs: number): Entry | undefined => {
  for (let next = paused.first; next !== undefined && next.notBeforeMs <= nowMs; next = paused.first) {
    paused.remove(next)
    ready.add(next)
  }
  return ready.first
}

const compare = (a: Entry, b: Entry): number =>
  b.priority - a.priority || a.createdAtMs - b.createdAtMs || compareIds(a, b)

const compareTimes = (a: Entry, b: Entry): number => a.notBeforeMs - b.notBeforeMs || compareIds(a, b)

const compareIds = (a: Entry, b: Entry): number => (a.id < b.id ? -1 : a.id > b.id ? 1 : 0)

/**
 * The tasks that wait to be begun, by what handler they are for: larger priority first, then the older one. Mutable, with one
 * owner.
 */
import type { TaskRecord } from "./TaskRecord.ts"

type Entry = Pick<TaskRecord, "id" | "kind" | "priority" | "createdAtMs" | "notBeforeMs">

/** Binary insertion keeps each kind sorted; what is removed is found the same way. */
export class TaskQueue {
  readonly #kinds = new Map<string, Array<Entry>>()

  /** Waiting, of all kinds. */
  get size(): number {
    let size = 0
    for (const entries of this.#kinds.values()) size += entries.length
    return size
  }

  /** Puts it where it belongs. It must not be there already. */
  add(entry: Entry): void {
    const entries = this.#kinds.get(entry.kind) ?? []
    entries.splice(placeOf(entries, entry), 0, entry)
    this.#kinds.set(entry.kind, entries)
  }

  /** Takes it away, with the very members that it was added with. */
  remove(entry: Entry): void {
    const entries = this.#kinds.get(entry.kind)
    const place = entries === undefined ? -1 : placeOf(entries, entry)
    if (entries?.[place]?.id !== entry.id) return
    entries.splice(place, 1)
    if (entries.length === 0) this.#kinds.delete(entry.kind)
  }

  /** The first that may be begun now, of the kinds named. */
  first(kinds: ReadonlyArray<string>, nowMs: number): string | undefined {
    const heads = kinds.flatMap((kind) => this.#kinds.get(kind)?.find((entry) => entry.notBeforeMs <= nowMs) ?? [])
    return heads.toSorted(compare)[0]?.id
  }

  /** When the next of these kinds may be begun; `undefined` when none waits. */
  nextAtMs(kinds: ReadonlyArray<string>): number | undefined {
    const times = kinds.flatMap((kind) => (this.#kinds.get(kind) ?? []).map((entry) => entry.notBeforeMs))
    return times.length === 0 ? undefined : times.reduce((least, time) => Math.min(least, time))
  }
}

const placeOf = (entries: ReadonlyArray<Entry>, entry: Entry): number => {
  let low = 0
  let high = entries.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (compare(entries[middle]!, entry) < 0) low = middle + 1
    else high = middle
  }
  return low
}

const compare = (a: Entry, b: Entry): number =>
  b.priority - a.priority || a.createdAtMs - b.createdAtMs || (a.id < b.id ? -1 : a.id > b.id ? 1 : 0)

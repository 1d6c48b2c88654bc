/**
 * A table of named deadlines: a machine with several timers keeps them here, wakes at the earliest, and never does
 * arithmetic on instants elsewhere. Few names, so a plain scan is faster than any order kept.
 */

/** Mutable, with one owner. */
export class Deadlines<Name extends string> {
  readonly #atMs = new Map<Name, number>()

  /** Sets or moves one. */
  set(name: Name, atMs: number): void {
    this.#atMs.set(name, atMs)
  }

  /** Sets one unless it is due earlier already. */
  setEarlier(name: Name, atMs: number): void {
    const current = this.#atMs.get(name)
    if (current === undefined || atMs < current) this.#atMs.set(name, atMs)
  }

  /** Forgets one. */
  clear(name: Name): void {
    this.#atMs.delete(name)
  }

  /** Forgets all. */
  clearAll(): void {
    this.#atMs.clear()
  }

  /** When it is due, if it is set. */
  get(name: Name): number | undefined {
    return this.#atMs.get(name)
  }

  /** Whether it is set and due. */
  isDue(name: Name, nowMs: number): boolean {
    const atMs = this.#atMs.get(name)
    return atMs !== undefined && atMs <= nowMs
  }

  /** When to wake up; `undefined` while nothing is set. */
  get earliestMs(): number | undefined {
    let earliestMs: number | undefined
    for (const atMs of this.#atMs.values()) if (earliestMs === undefined || atMs < earliestMs) earliestMs = atMs
    return earliestMs
  }

  /**
   * Takes the earliest that is due out of the table; `undefined` when none is. Called until then, it gives each expiry
   * once and in order, also those that handling an earlier one has moved.
   */
  takeDue(nowMs: number): Name | undefined {
    let due: Name | undefined
    let dueAtMs = nowMs
    for (const [name, atMs] of this.#atMs) {
      if (due === undefined ? atMs <= nowMs : atMs < dueAtMs) {
        due = name
        dueAtMs = atMs
      }
    }
    if (due !== undefined) this.#atMs.delete(due)
    return due
  }
}

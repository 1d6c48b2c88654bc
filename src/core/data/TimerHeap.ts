/** What happens when in virtual time: a binary heap by instant, then by order of insertion. */

/** One thing to happen. `fire` is gone once it happened or was cancelled. */
export interface Timer {
  readonly dueAtMs: number
  readonly sequence: number
  fire: (() => void) | undefined
}

/** Mutable, with one owner. Cancelled timers stay until they are due or make up most of the heap. */
export class TimerHeap {
  #timers: Array<Timer> = []
  #sequence = 0
  #cancelled = 0

  /** Timers that will fire. */
  get size(): number {
    return this.#timers.length - this.#cancelled
  }

  /** When the next one fires; `undefined` for never. */
  get nextAtMs(): number | undefined {
    while (this.#timers.length > 0 && this.#timers[0]!.fire === undefined) {
      this.#cancelled--
      this.#removeFirst()
    }
    return this.#timers[0]?.dueAtMs
  }

  /** Adds a timer; among equal instants the earlier insertion fires first. */
  add(dueAtMs: number, fire: () => void): Timer {
    const timer: Timer = { dueAtMs, sequence: this.#sequence++, fire }
    this.#timers.push(timer)
    this.#rise(this.#timers.length - 1)
    return timer
  }

  /** Nothing for one that has fired. */
  cancel(timer: Timer): void {
    if (timer.fire === undefined) return
    timer.fire = undefined
    this.#cancelled++
    if (this.#cancelled > CANCELLED_MIN && this.#cancelled * 2 > this.#timers.length) this.#compact()
  }

  /** Removes the first timer that is due at `nowMs` and says what to do. */
  takeDue(nowMs: number): (() => void) | undefined {
    const nextAtMs = this.nextAtMs
    if (nextAtMs === undefined || nextAtMs > nowMs) return undefined
    const timer = this.#timers[0]!
    const { fire } = timer
    timer.fire = undefined
    this.#removeFirst()
    return fire
  }

  #compact(): void {
    const live = this.#timers.filter((timer) => timer.fire !== undefined)
    // A sorted array is a heap.
    this.#timers = live.sort((a, b) => (isBefore(a, b) ? -1 : 1))
    this.#cancelled = 0
  }

  #removeFirst(): void {
    const last = this.#timers.pop()
    if (last === undefined || this.#timers.length === 0) return
    this.#timers[0] = last
    this.#sink(0)
  }

  #rise(from: number): void {
    const timers = this.#timers
    for (let index = from; index > 0; ) {
      const parent = (index - 1) >> 1
      if (!isBefore(timers[index]!, timers[parent]!)) return
      swap(timers, index, parent)
      index = parent
    }
  }

  #sink(from: number): void {
    const timers = this.#timers
    for (let index = from; ; ) {
      const left = 2 * index + 1
      const right = left + 1
      let first = index
      if (left < timers.length && isBefore(timers[left]!, timers[first]!)) first = left
      if (right < timers.length && isBefore(timers[right]!, timers[first]!)) first = right
      if (first === index) return
      swap(timers, index, first)
      index = first
    }
  }
}

const isBefore = (a: Timer, b: Timer): boolean =>
  a.dueAtMs < b.dueAtMs || (a.dueAtMs === b.dueAtMs && a.sequence < b.sequence)

const swap = (timers: Array<Timer>, a: number, b: number): void => {
  const timer = timers[a]!
  timers[a] = timers[b]!
  timers[b] = timer
}

/** Below it, compacting would cost more than it frees. */
const CANCELLED_MIN = 1024

/** What is to happen, and when: the heart of a simulation on virtual time. */

/** Events by time, and by order of insertion at the same time: a binary heap. */
export class EventQueue<Event extends { readonly atMs: number }> {
  readonly #heap: Array<{ readonly event: Event; readonly order: number }> = []
  #order = 0

  /** The event that `pop` would give. */
  peek(): Event | undefined {
    return this.#heap[0]?.event
  }

  /** Adds one. */
  push(event: Event): void {
    this.#heap.push({ event, order: this.#order++ })
    let index = this.#heap.length - 1
    while (index > 0) {
      const parent = (index - 1) >> 1
      if (!this.#isBefore(index, parent)) return
      this.#swap(index, parent)
      index = parent
    }
  }

  /** Removes and returns the earliest; `undefined` if none is left. */
  pop(): Event | undefined {
    const first = this.#heap[0]
    const last = this.#heap.pop()
    if (first === undefined || last === undefined) return undefined
    if (this.#heap.length > 0) {
      this.#heap[0] = last
      this.#sink()
    }
    return first.event
  }

  #sink(): void {
    for (let index = 0; ; ) {
      const left = 2 * index + 1
      let least = left
      if (left >= this.#heap.length) return
      if (left + 1 < this.#heap.length && this.#isBefore(left + 1, left)) least = left + 1
      if (!this.#isBefore(least, index)) return
      this.#swap(least, index)
      index = least
    }
  }

  #isBefore(a: number, b: number): boolean {
    const first = this.#heap[a]
    const second = this.#heap[b]
    if (first === undefined || second === undefined) return false
    return (
      first.event.atMs < second.event.atMs || (first.event.atMs === second.event.atMs && first.order < second.order)
    )
  }

  #swap(a: number, b: number): void {
    const first = this.#heap[a]
    const second = this.#heap[b]
    if (first === undefined || second === undefined) return
    this.#heap[a] = second
    this.#heap[b] = first
  }
}

/** A first-in, first-out queue that never holds more than its capacity and says what it turned away. */

/** Mutable, with one owner. Every operation costs constant time on average; memory follows the fill. */
export class BoundedQueue<A> {
  readonly capacity: number
  /** A ring: `#size` values from `#head` on, the rest `undefined`. */
  #ring: Array<A | undefined> = []
  #head = 0
  #size = 0

  constructor(capacity: number) {
    this.capacity = capacity
  }

  /** Values held. */
  get size(): number {
    return this.#size
  }

  /** Nothing to take. */
  get isEmpty(): boolean {
    return this.#size === 0
  }

  /** The next `offer` will be refused. */
  get isFull(): boolean {
    return this.#size >= this.capacity
  }

  /** Appends, or drops the newest: false when full. */
  offer(value: A): boolean {
    if (this.isFull) return false
    if (this.#size === this.#ring.length) this.#grow()
    this.#ring[(this.#head + this.#size) % this.#ring.length] = value
    this.#size += 1
    return true
  }

  /** Appends, or drops the oldest to make room: returns what was dropped (the value itself when nothing fits). */
  slide(value: A): A | undefined {
    if (this.capacity <= 0) return value
    const dropped = this.isFull ? this.take() : undefined
    this.offer(value)
    return dropped
  }

  /** Removes the oldest. */
  take(): A | undefined {
    if (this.#size === 0) return undefined
    const value = this.#ring[this.#head]
    // The slot lets go of the value, which may hold a whole datagram alive.
    this.#ring[this.#head] = undefined
    this.#head = (this.#head + 1) % this.#ring.length
    this.#size -= 1
    return value
  }

  /** The oldest, left in place. */
  peek(): A | undefined {
    return this.#size === 0 ? undefined : this.#ring[this.#head]
  }

  /** Removes everything, oldest first. */
  drain(): ReadonlyArray<A> {
    const values: Array<A> = []
    while (this.#size > 0) values.push(this.take()!)
    this.#ring = []
    this.#head = 0
    return values
  }

  #grow(): void {
    const grown = new Array<A | undefined>(Math.min(this.capacity, Math.max(8, 2 * this.#ring.length)))
    for (let index = 0; index < this.#size; index++) grown[index] = this.#ring[(this.#head + index) % this.#ring.length]
    this.#ring = grown
    this.#head = 0
  }
}

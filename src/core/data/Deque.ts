/**
 * A double-ended queue in one circular array: adding and taking at the front, adding at the back and reading by index are
 * O(1), which `Array.shift` and `unshift` are not beyond some thousands. Mutable inside its one owner, which bounds it.
 */
export class Deque<A> {
  #items: Array<A | undefined> = []
  #head = 0
  #length = 0

  /** How many are in it. */
  get length(): number {
    return this.#length
  }

  /** The one at `index` from the front. */
  at(index: number): A | undefined {
    if (index < 0 || index >= this.#length) return undefined
    return this.#items[(this.#head + index) & (this.#items.length - 1)]
  }

  /** The one at the front. */
  get first(): A | undefined {
    return this.at(0)
  }

  /** The one at the back. */
  get last(): A | undefined {
    return this.at(this.#length - 1)
  }

  /** Appends one. */
  push(item: A): void {
    if (this.#length === this.#items.length) this.#grow()
    this.#items[(this.#head + this.#length) & (this.#items.length - 1)] = item
    this.#length += 1
  }

  /** Puts one before the first. */
  unshift(item: A): void {
    if (this.#length === this.#items.length) this.#grow()
    this.#head = (this.#head - 1) & (this.#items.length - 1)
    this.#items[this.#head] = item
    this.#length += 1
  }

  /** Puts one at an index up to the length; those from there on move back by one, which costs as many steps. */
  insert(index: number, item: A): void {
    this.push(item)
    const mask = this.#items.length - 1
    for (let at = this.#length - 1; at > index; at--)
      this.#items[(this.#head + at) & mask] = this.#items[(this.#head + at - 1) & mask]
    this.#items[(this.#head + index) & mask] = item
  }

  /** Takes one out, if there is one at `index`; the shorter side closes the gap, which costs as many steps. */
  remove(index: number): void {
    if (index < 0 || index >= this.#length) return
    const mask = this.#items.length - 1
    if (index < this.#length / 2) {
      for (let at = index; at > 0; at--)
        this.#items[(this.#head + at) & mask] = this.#items[(this.#head + at - 1) & mask]
      this.shift()
      return
    }
    this.#length -= 1
    for (let at = index; at < this.#length; at++)
      this.#items[(this.#head + at) & mask] = this.#items[(this.#head + at + 1) & mask]
    this.#items[(this.#head + this.#length) & mask] = undefined
  }

  /** Removes and returns the first. */
  shift(): A | undefined {
    if (this.#length === 0) return undefined
    const item = this.#items[this.#head]
    // Forgotten at once: a removed element must not stay alive until its place is used again.
    this.#items[this.#head] = undefined
    this.#head = (this.#head + 1) & (this.#items.length - 1)
    this.#length -= 1
    return item
  }

  /** Drops everything, and the memory that `shift` keeps for what comes next. */
  clear(): void {
    this.#items = []
    this.#head = 0
    this.#length = 0
  }

  #grow(): void {
    const items: Array<A | undefined> = new Array(Math.max(CAPACITY_MIN, this.#items.length * 2)).fill(undefined)
    for (let index = 0; index < this.#length; index++) items[index] = this.at(index)
    this.#items = items
    this.#head = 0
  }
}

/** Capacities are powers of two, so that an index wraps by a mask. */
const CAPACITY_MIN = 8

/**
 * Values in an order of their own, which must tell any two apart: binary insertion keeps them sorted, and what is removed is found
 * the same way. A place in thousands is some ten comparisons and one move of memory.
 */

/** Mutable, with one owner. */
export class SortedList<A> {
  readonly #compare: (a: A, b: A) => number
  readonly #values: Array<A> = []

  constructor(compare: (a: A, b: A) => number) {
    this.#compare = compare
  }

  /** How many there are. */
  get size(): number {
    return this.#values.length
  }

  /** The one before all others. */
  get first(): A | undefined {
    return this.#values[0]
  }

  /** Puts a value where it belongs; one that is its equal is replaced. */
  add(value: A): void {
    const place = this.#placeOf(value)
    this.#values.splice(place, this.#isAt(place, value) ? 1 : 0, value)
  }

  /** Takes away the value that is equal to this one; false if there is none. */
  remove(value: A): boolean {
    const place = this.#placeOf(value)
    if (!this.#isAt(place, value)) return false
    this.#values.splice(place, 1)
    return true
  }

  #isAt(place: number, value: A): boolean {
    const there = this.#values[place]
    return there !== undefined && this.#compare(there, value) === 0
  }

  #placeOf(value: A): number {
    let low = 0
    let high = this.#values.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.#compare(this.#values[middle]!, value) < 0) low = middle + 1
      else high = middle
    }
    return low
  }
}

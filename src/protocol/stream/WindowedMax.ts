/**
 * The greatest value of the last so many rounds in constant space (Kathleen Nichols's windowed filter, as the BBR draft
 * names it in §5.5.5): the best, and the best of what came after it, twice over.
 */

/** Mutable inside its owner. Rounds never decrease. */
export class WindowedMax {
  readonly #values: [number, number, number] = [0, 0, 0]
  readonly #rounds: [number, number, number] = [0, 0, 0]

  /** The greatest value within the length given to the last `update`. */
  get value(): number {
    return this.#values[0]
  }

  /** Adds the value of one round; what is older than `length` rounds is forgotten. */
  update(value: number, round: number, length: number): void {
    if (value >= this.#values[0] || round - this.#rounds[2] > length) return this.#fill(0, value, round)
    if (value >= this.#values[1]) this.#fill(1, value, round)
    else if (value >= this.#values[2]) this.#fill(2, value, round)
    this.#expire(value, round, length)
  }

  #expire(value: number, round: number, length: number): void {
    if (round - this.#rounds[0] > length) {
      this.#shift(value, round)
      if (round - this.#rounds[0] > length) this.#shift(value, round)
    } else if (this.#rounds[1] === this.#rounds[0] && round - this.#rounds[1] > length / 4) {
      this.#fill(1, value, round)
    } else if (this.#rounds[2] === this.#rounds[1] && round - this.#rounds[2] > length / 2) {
      this.#fill(2, value, round)
    }
  }

  #shift(value: number, round: number): void {
    this.#values[0] = this.#values[1]
    this.#rounds[0] = this.#rounds[1]
    this.#values[1] = this.#values[2]
    this.#rounds[1] = this.#rounds[2]
    this.#fill(2, value, round)
  }

  #fill(from: 0 | 1 | 2, value: number, round: number): void {
    for (let index = from; index < 3; index++) {
      this.#values[index] = value
      this.#rounds[index] = round
    }
  }
}

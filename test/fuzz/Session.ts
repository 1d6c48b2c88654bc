/** A target that gives many inputs, one after another, to something with a state: a connection, a tunnel, a registry. */
import { isDeepStrictEqual } from "node:util"
import * as Bytes from "../../src/core/data/Bytes.ts"
import * as Fuzzer from "./Fuzzer.ts"
import * as Mutation from "./Mutation.ts"
import * as Random from "./Random.ts"

/** One case while it is played. */
export class Session {
  /** For all that is no mutation. */
  readonly next: Random.Random
  /** How many inputs the case should have. */
  readonly inputs: number
  readonly taken: Array<Uint8Array> = []
  readonly #seed: number
  readonly #shrunk: ReadonlyArray<Uint8Array> | undefined

  constructor(next: Random.Random, inputs: number, shrunk: ReadonlyArray<Uint8Array> | undefined) {
    this.next = next
    this.inputs = inputs
    this.#seed = next(2 ** 32)
    this.#shrunk = shrunk
  }

  /** True with a probability of one in `count`. */
  oneIn(count: number): boolean {
    return this.next(count) === 0
  }

  /** The next input. While a case is shrunk it is what is left of it; empty if it is left out. */
  mutate(samples: ReadonlyArray<Uint8Array>, format: Mutation.Format = "binary"): Uint8Array {
    return this.take((next) => Mutation.make(samples, next, format))
  }

  /** The same for an input that is made in another way. Its randomness is its own, whatever came before. */
  take(make: (next: Random.Random) => Uint8Array): Uint8Array {
    const index = this.taken.length
    const input =
      this.#shrunk === undefined
        ? make(Random.make(Random.mix("input", this.#seed, index)))
        : (this.#shrunk[index] ?? Bytes.empty)
    this.taken.push(Bytes.copy(input))
    return input
  }

  /** Breaks the case unless it holds. */
  check(rule: string, holds: boolean): void {
    if (!holds) throw new Error(rule)
  }

  /** Breaks the case unless both are the same. */
  same(what: string, actual: unknown, expected: unknown): void {
    if (!isDeepStrictEqual(actual, expected))
      throw new Error(`${what} changed: ${JSON.stringify(expected)} became ${JSON.stringify(actual)}`)
  }
}

/** The target that plays such cases. */
export const target = (options: {
  readonly name: string
  readonly covers: ReadonlyArray<unknown>
  readonly inputs: number
  readonly keepsInputs?: boolean
  readonly play: (session: Session) => void
}): Fuzzer.Target => ({
  name: options.name,
  covers: options.covers,
  keepsInputs: options.keepsInputs ?? false,
  inputsPerCase: options.inputs,
  play: (next, shrunk) => {
    const session = new Session(next, options.inputs, shrunk)
    try {
      options.play(session)
    } catch (cause) {
      throw new Fuzzer.Broken(cause instanceof Error ? cause.message : String(cause), session.taken, cause)
    }
    return session.taken
  }
})

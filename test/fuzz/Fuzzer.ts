/**
 * Runs targets over mutated inputs. A case is a target, a seed and an index, nothing else: a failure names all three and
 * the smallest input that still fails, and `again` plays it.
 */
import * as Bytes from "../../src/core/data/Bytes.ts"
import * as Mutation from "./Mutation.ts"
import * as Random from "./Random.ts"

/** Anything that takes bytes of somebody else. Throws when it broke a rule. */
export interface Target {
  readonly name: string
  /** Exported functions and classes that it reaches; the test of the list compares them with the sources. */
  readonly covers: ReadonlyArray<unknown>
  /** How many inputs a case has; a decoder takes one, a whole connection many. */
  readonly inputsPerCase: number
  /** A shorter input would be one that the target never makes: shrinking only leaves inputs out. */
  readonly keepsInputs?: boolean
  /** Plays the case; `shrunk` takes the place of its inputs. Returns the inputs it took. */
  readonly play: (next: Random.Random, shrunk?: ReadonlyArray<Uint8Array>) => ReadonlyArray<Uint8Array>
}

/** What a run did. */
export interface Ran {
  readonly inputs: number
  readonly cases: number
}

/** A broken rule, with what is needed to see it again. */
export class Found extends Error {
  readonly target: string
  readonly seed: number
  readonly index: number

  constructor(target: Target, seed: number, index: number, inputs: ReadonlyArray<Uint8Array>, cause: unknown) {
    const left = [...inputs.entries()].filter(([, { length }]) => length > 0)
    const shown = left.map(([which, input]) => `  input ${which} hex:${Bytes.toHex(input)}`).join("\n")
    const why = cause instanceof Error ? cause.message : String(cause)
    super(
      `${target.name}: ${why}\n  seed ${seed}, case ${index}, ${left.length} input(s) left after shrinking:\n${shown}\n` +
        `  again: npm run soak -- fuzz ${target.name} --seed ${seed} --from ${index} --inputs 1`,
      { cause }
    )
    this.target = target.name
    this.seed = seed
    this.index = index
  }
}

/** Plays cases from `from` on until so many inputs were taken; throws the first `Found`. */
export const run = (target: Target, options: { seed: number; inputs: number; from?: number }): Ran => {
  const { from = 0, inputs, seed } = options
  let taken = 0
  let index = from
  for (; taken < inputs; index++) taken += playCase(target, seed, index)
  return { inputs: taken, cases: index - from }
}

/** One case; returns its number of inputs. */
export const playCase = (target: Target, seed: number, index: number): number => {
  try {
    return target.play(randomOf(target, seed, index)).length
  } catch (cause) {
    throw new Found(target, seed, index, shrink(target, seed, index, cause), cause)
  }
}

/** All that a case has of chance. */
export const randomOf = (target: Target, seed: number, index: number): Random.Random =>
  Random.make(Random.mix(target.name, seed, index))

/** Given inputs in place of mutated ones. */
export const replay = (target: Target, seed: number, index: number, inputs: ReadonlyArray<Uint8Array>): void => {
  target.play(randomOf(target, seed, index), inputs)
}

/** Thrown by a target; carries what it had taken by then. */
export class Broken extends Error {
  readonly inputs: ReadonlyArray<Uint8Array>

  constructor(message: string, inputs: ReadonlyArray<Uint8Array>, cause?: unknown) {
    super(message, { cause })
    this.inputs = inputs
  }
}

/** How a decoder is made a target. */
export interface DecoderOptions {
  readonly name: string
  readonly covers: ReadonlyArray<unknown>
  readonly format?: Mutation.Format
  /** Valid inputs; asked for once. */
  readonly samples: () => ReadonlyArray<Uint8Array>
  /** Must neither throw nor write to its input; what it returns may weigh a fixed multiple of the input. */
  readonly decode: (bytes: Uint8Array, next: Random.Random) => unknown
}

/** A target of one input per case, which calls `decode`. */
export const decoder = (options: DecoderOptions): Target => {
  let samples: ReadonlyArray<Uint8Array> | undefined
  return {
    name: options.name,
    covers: options.covers,
    inputsPerCase: 1,
    play: (next, shrunk) => {
      samples ??= options.samples()
      const mutated = Mutation.make(samples, next, options.format ?? "binary")
      const bytes = shrunk === undefined ? mutated : (shrunk[0] ?? Bytes.empty)
      const before = Bytes.copy(bytes)
      const broken = (why: string, cause?: unknown) => new Broken(why, [before], cause)
      let output: unknown
      try {
        output = options.decode(bytes, next)
      } catch (cause) {
        throw broken(cause instanceof Error ? `${cause.name}: ${cause.message}` : String(cause), cause)
      }
      const limit = WEIGHT_BASE + WEIGHT_FACTOR * bytes.length
      if (weight(output, limit) > limit) throw broken("grew beyond its input")
      if (!Bytes.equals(bytes, before)) throw broken("wrote to its input")
      return [before]
    }
  }
}

/** Objects, characters and owned bytes in a value, counted up to a little more than `limit`. */
export const weight = (value: unknown, limit: number): number => {
  const pending: Array<unknown> = [value]
  let total = 0
  while (pending.length > 0 && total <= limit) {
    const current = pending.pop()
    total += 1
    if (typeof current === "string") total += current.length
    else if (current instanceof Uint8Array) total += current.byteLength
    else if (typeof current === "object" && current !== null) {
      for (const [key, member] of Object.entries(current)) {
        total += key.length
        pending.push(member)
      }
    }
  }
  return total
}

/** Fewer inputs, then shorter ones, as long as the case still breaks; a fixed number of tries. */
const shrink = (target: Target, seed: number, index: number, cause: unknown): ReadonlyArray<Uint8Array> => {
  if (!(cause instanceof Broken)) return []
  let tries = 0
  let best = cause.inputs
  const attempt = (candidate: ReadonlyArray<Uint8Array>): boolean => {
    if (++tries > SHRINK_TRIES) return false
    try {
      replay(target, seed, index, candidate)
      return false
    } catch {
      best = candidate
      return true
    }
  }
  // A case that goes another way when its inputs are given is shown as it was.
  if (!attempt(best)) return cause.inputs
  // An input that is left out becomes empty, so that the others keep their turn.
  for (let size = best.length; size > 0; size >>= 1) {
    for (let at = 0; at < best.length; at += size) {
      if (best.slice(at, at + size).some(({ length }) => length > 0))
        attempt(best.map((input, which) => (which >= at && which < at + size ? Bytes.empty : input)))
    }
  }
  for (let which = 0; which < best.length && target.keepsInputs !== true; which++) {
    for (let size = best[which]!.length >> 1; size > 0; size >>= 1) {
      for (let at = 0; at < best[which]!.length; ) {
        const input = best[which]!
        const cut = Bytes.concat(input.subarray(0, at), input.subarray(at + size))
        if (!attempt(best.with(which, cut))) at += size
      }
    }
  }
  return best
}

const SHRINK_TRIES = 3000
/** What a result and its error cost beside their content. */
const WEIGHT_BASE = 400
/** A three-byte empty list is one object; a mapped IP of 4 bytes is 15 characters. */
const WEIGHT_FACTOR = 8

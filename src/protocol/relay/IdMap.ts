/**
 * Requests that travel under ids of our own, so that those of many parties never meet (mcp §6.11): numbers on our side, and
 * on theirs the raw text that they chose, because its JSON type and digits matter (mcp §2.1). Mutable inside its one owner,
 * whose duty its bound is.
 */
import * as JsonScanner from "./JsonScanner.ts"

/** Requests of one side. */
export class IdMap<A> {
  readonly #byNumber = new Map<number, { readonly key: string; readonly value: A }>()
  readonly #byId = new Map<string, number>()
  #last = 0

  /** How many wait. */
  get size(): number {
    return this.#byNumber.size
  }

  /** Takes a request in, and gives its number. The same id twice means the later one when it is looked for. */
  add(id: string, value: A): number {
    const number = ++this.#last
    const key = keyOf(id)
    this.#byNumber.set(number, { key, value })
    this.#byId.set(key, number)
    return number
  }

  /** The request of that number. */
  get(number: number): A | undefined {
    return this.#byNumber.get(number)?.value
  }

  /** The number of the request that its side calls `id`. */
  numberOf(id: string): number | undefined {
    return this.#byId.get(keyOf(id))
  }

  /** The request of that number, which waits no longer. */
  take(number: number): A | undefined {
    const entry = this.#byNumber.get(number)
    if (entry === undefined) return undefined
    this.#byNumber.delete(number)
    if (this.#byId.get(entry.key) === number) this.#byId.delete(entry.key)
    return entry.value
  }

  /** Every request with its number, in order. */
  entries(): ReadonlyArray<readonly [number, A]> {
    return [...this.#byNumber].map(([number, { value }]) => [number, value])
  }
}

/** The number in the raw text of an id of ours; NaN, which nothing has, for any other. */
export const numberIn = (raw: string): number => (/^\d{1,15}$/.test(raw) ? Number(raw) : Number.NaN)

/** Strings by their value, since escapes may differ; numbers by their digits; so 0 and "0" are two ids (mcp §2.1). */
const keyOf = (id: string): string => {
  const bytes = UTF8.encode(id)
  const value = JsonScanner.string(bytes, { start: 0, end: bytes.length })
  return value === undefined ? `n${id}` : `s${value}`
}

const UTF8 = new TextEncoder()

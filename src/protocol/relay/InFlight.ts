/**
 * The requests of one direction that wait for an answer. Mutable inside the session that owns it; its bound is the
 * owner's duty, who asks `size` before adding (mcp §6.8).
 */
import * as JsonScanner from "./JsonScanner.ts"

/** One unanswered request; `id` is raw text. `at` is the owner's mark, such as the sequence number that carried it. */
export interface Call {
  readonly id: string
  readonly method: string
  readonly at: number
}

/** Calls by id. */
export class InFlight {
  readonly #waiting = new Map<string, Call>()
  /** Given up by the client: most servers send no answer any more, and some do. */
  readonly #cancelled = new Map<string, Call>()

  /** How many clients still wait for; calls they cancelled do not count. */
  get size(): number {
    return this.#waiting.size
  }

  /** Records a request. A client that uses an id twice has one call less to wait for: the one given back. */
  add(id: string, method: string, at: number): Call | undefined {
    const key = keyOf(id)
    const replaced = this.#waiting.get(key)
    this.#waiting.set(key, { id, method, at })
    return replaced
  }

  /** The call a response belongs to; it waits no longer. */
  settle(id: string): Call | undefined {
    return take(this.#waiting, id) ?? take(this.#cancelled, id)
  }

  /** Notes that the client gave a call up, and gives it; its late answer still finds it (mcp §6.8). */
  cancel(id: string): Call | undefined {
    const call = take(this.#waiting, id)
    if (call === undefined) return undefined
    this.#cancelled.set(keyOf(call.id), call)
    const [oldest] = this.#cancelled.keys()
    if (this.#cancelled.size > CANCELLED_MAX && oldest !== undefined) this.#cancelled.delete(oldest)
    return call
  }

  /** Every call that waits and meets the condition, in order; they wait no longer. */
  drain(matches: (call: Call) => boolean = () => true): ReadonlyArray<Call> {
    const drained: Array<Call> = []
    for (const [key, call] of this.#waiting) {
      if (!matches(call)) continue
      drained.push(call)
      this.#waiting.delete(key)
    }
    return drained
  }
}

/**
 * A server that keeps numbers as doubles answers 2^53 + 1 with 2^53, and 1.0 with 1: if the exact id is unknown, one
 * equal as a double is meant.
 */
const take = (calls: Map<string, Call>, id: string): Call | undefined => {
  const exact = keyOf(id)
  let key = calls.has(exact) ? exact : undefined
  if (key === undefined && exact.startsWith("n")) {
    const value = Number(id)
    for (const [candidate, call] of calls) if (candidate.startsWith("n") && Number(call.id) === value) key ??= candidate
  }
  const call = key === undefined ? undefined : calls.get(key)
  if (key !== undefined) calls.delete(key)
  return call
}

/** Strings by their value, since escapes may differ; numbers by their digits; so 0 and "0" are two ids (mcp §2.1). */
const keyOf = (id: string): string => {
  const bytes = UTF8.encode(id)
  const value = JsonScanner.string(bytes, { start: 0, end: bytes.length })
  return value === undefined ? `n${id}` : `s${value}`
}

/** Cancelled calls remembered for their late answers (mcp §6.8). */
const CANCELLED_MAX = 256
const UTF8 = new TextEncoder()

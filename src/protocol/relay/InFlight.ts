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
  /** How many servers were lost with it. */
  readonly lost: number
  /** What to send to another server if this one is lost; absent if it must not run twice (mcp §6.3). */
  readonly message: Uint8Array | undefined
}

/** A request goes to another server at most so often: it may be what kills them. */
export const REISSUES_MAX = 2

/** Calls by id. */
export class InFlight {
  readonly #waiting = new Map<string, Call>()
  /** Given up by the client, and its server still works on it (mcp §6.7): as many as may park. */
  readonly #parked = new Map<string, Call>()
  /** Given up by the client: most servers send no answer any more, and some do. */
  readonly #cancelled = new Map<string, Call>()
  #keptBytes = 0

  /** How many clients still wait for; calls they cancelled do not count. */
  get size(): number {
    return this.#waiting.size
  }

  /**
   * Records a request. A client that uses an id twice has one call less to wait for: the one given back. A `message` that
   * may be sent again is kept only while there is room.
   */
  add(id: string, method: string, at: number, lost = 0, message?: Uint8Array): Call | undefined {
    const key = keyOf(id)
    const replaced = this.#waiting.get(key)
    this.#forget(replaced)
    const isKept = message !== undefined && this.#keptBytes + message.length <= KEPT_BYTES_MAX
    if (isKept) this.#keptBytes += message.length
    // Copied, because it may be a view of a large chunk that would stay alive with it.
    this.#waiting.set(key, { id, method, at, lost, message: isKept ? message.slice() : undefined })
    return replaced
  }

  /** Whether that very id waits. */
  has(id: string): boolean {
    return this.#waiting.has(keyOf(id))
  }

  /** The call a response belongs to; it waits no longer. */
  settle(id: string): Call | undefined {
    const call = take(this.#waiting, id)
    this.#forget(call)
    return call ?? take(this.#parked, id) ?? take(this.#cancelled, id)
  }

  /** Notes that the client gave a call up, and gives it; its late answer still finds it (mcp §6.8). */
  cancel(id: string): Call | undefined {
    const call = take(this.#waiting, id)
    if (call === undefined) return undefined
    this.#forget(call)
    this.#cancelled.set(keyOf(call.id), { ...call, message: undefined })
    const [oldest] = this.#cancelled.keys()
    if (this.#cancelled.size > CANCELLED_MAX && oldest !== undefined) this.#cancelled.delete(oldest)
    return call
  }

  /** Notes that the client waits for a call no longer, which goes on all the same until `settle` or `unpark`, and gives it. */
  park(id: string): Call | undefined {
    const call = take(this.#waiting, id)
    if (call === undefined) return undefined
    this.#forget(call)
    this.#parked.set(keyOf(call.id), { ...call, message: undefined })
    return call
  }

  /** Whether a parked call has that id: its answer could not be told from another one's. */
  isParked(id: string): boolean {
    return this.#parked.size > 0 && this.#parked.has(keyOf(id))
  }

  /** Parked calls that meet the condition, in order; they go on no longer. */
  unpark(matches: (call: Call) => boolean = () => true): ReadonlyArray<Call> {
    const over = [...this.#parked].filter(([, call]) => matches(call))
    for (const [key] of over) this.#parked.delete(key)
    return over.map(([, call]) => call)
  }

  /** Every call that waits, in order. */
  get waiting(): ReadonlyArray<Call> {
    return [...this.#waiting.values()]
  }

  /** Every call that waits and meets the condition, in order; they wait no longer. */
  drain(matches: (call: Call) => boolean = () => true): ReadonlyArray<Call> {
    const drained: Array<Call> = []
    for (const [key, call] of this.#waiting) {
      if (!matches(call)) continue
      drained.push(call)
      this.#waiting.delete(key)
      this.#forget(call)
    }
    return drained
  }

  #forget(call: Call | undefined): void {
    this.#keptBytes -= call?.message?.length ?? 0
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
  if (!id.startsWith('"')) return `n${id}`
  if (!id.includes("\\")) return `s${id.slice(1, -1)}`
  const bytes = UTF8.encode(id)
  const value = JsonScanner.string(bytes, { start: 0, end: bytes.length })
  return value === undefined ? `n${id}` : `s${value}`
}

/** Messages kept to be sent again, of one session. */
const KEPT_BYTES_MAX = 4_194_304
/** Cancelled calls remembered for their late answers (mcp §6.8). */
const CANCELLED_MAX = 256
const UTF8 = new TextEncoder()

/**
 * What peers have used of their limits: one row for each rule and peer. Strangers share a row, since keys cost them
 * nothing. What is paid for is counted afterwards, so that one large request passes and the next ones wait for it.
 *
 * Mutable, with one owner.
 */

import type { Rule } from "./Policy.ts"
import type { Limit } from "./PolicyDocument.ts"

/** What is left to a peer under one rule. Absent: not bounded. */
export interface Left {
  readonly rule: string
  readonly requests?: number
  readonly bytes?: number
  readonly concurrent?: number
}

/** The table. */
export class LimitTable {
  readonly #rows = new Map<string, Row>()

  /** Rows that are kept. */
  get size(): number {
    return this.#rows.size
  }

  /**
   * Takes one request, with these bytes, under all of the rules or under none. Gives 0, or the milliseconds after which it
   * is worth asking again. `holds`: it also counts among those at the same time, until `release`.
   */
  take(rules: ReadonlyArray<Rule>, who: string, sizeBytes: number, holds: boolean, nowMs: number): number {
    const rows: Array<Row> = []
    let waitMs = 0
    for (const rule of rules) {
      const row = this.#row(rule, who, nowMs)
      if (row === undefined) return FULL_WAIT_MS
      rows.push(row)
      waitMs = Math.max(waitMs, row.waitMs(holds, nowMs))
    }
    if (waitMs > 0) return waitMs
    for (const row of rows) row.take(sizeBytes, holds, nowMs)
    return 0
  }

  /** More bytes of something that was let in; gives how long it should pause now, in milliseconds. */
  spend(rules: ReadonlyArray<Rule>, who: string, sizeBytes: number, nowMs: number): number {
    let waitMs = 0
    for (const rule of rules) waitMs = Math.max(waitMs, this.#row(rule, who, nowMs)?.spend(sizeBytes, nowMs) ?? 0)
    return waitMs
  }

  /** Something that was held is over. */
  release(rules: ReadonlyArray<Rule>, who: string): void {
    for (const rule of rules) this.#rows.get(keyOf(rule, who))?.release()
  }

  /** What is left, for whoever explains a decision. */
  left(rules: ReadonlyArray<Rule>, who: string, nowMs: number): ReadonlyArray<Left> {
    return rules.map((rule) => ({
      rule: rule.name,
      ...(this.#rows.get(keyOf(rule, who)) ?? new Row(rule.limit ?? {}, nowMs)).left(nowMs)
    }))
  }

  #row(rule: Rule, who: string, nowMs: number): Row | undefined {
    const key = keyOf(rule, who)
    const known = this.#rows.get(key)
    if (known !== undefined) return known
    if (this.#rows.size >= ROWS_MAX && !this.#makeRoom(nowMs)) return undefined
    const row = new Row(rule.limit ?? {}, nowMs)
    this.#rows.set(key, row)
    return row
  }

  /** Rows that are as good as new are forgotten. */
  #makeRoom(nowMs: number): boolean {
    for (const [key, row] of this.#rows) if (row.isIdle(nowMs)) this.#rows.delete(key)
    return this.#rows.size < ROWS_MAX
  }
}

class Row {
  readonly #requests: Allowance | undefined
  readonly #bytes: Allowance | undefined
  readonly #concurrentMax: number
  #concurrent = 0

  constructor({ bytesPerMinute, concurrent, requestsPerMinute }: Limit, nowMs: number) {
    this.#requests = requestsPerMinute === undefined ? undefined : new Allowance(requestsPerMinute, nowMs)
    this.#bytes = bytesPerMinute === undefined ? undefined : new Allowance(bytesPerMinute, nowMs)
    this.#concurrentMax = concurrent ?? Number.POSITIVE_INFINITY
  }

  waitMs(holds: boolean, nowMs: number): number {
    if (holds && this.#concurrent >= this.#concurrentMax) return HELD_WAIT_MS
    return Math.max(this.#requests?.waitMs(1, nowMs) ?? 0, this.#bytes?.waitMs(1, nowMs) ?? 0)
  }

  take(sizeBytes: number, holds: boolean, nowMs: number): void {
    this.#requests?.take(1, nowMs)
    this.#bytes?.take(sizeBytes, nowMs)
    if (holds) this.#concurrent++
  }

  spend(sizeBytes: number, nowMs: number): number {
    this.#bytes?.take(sizeBytes, nowMs)
    return this.#bytes?.waitMs(1, nowMs) ?? 0
  }

  release(): void {
    this.#concurrent = Math.max(0, this.#concurrent - 1)
  }

  isIdle(nowMs: number): boolean {
    const isFull = (allowance: Allowance | undefined) => allowance === undefined || allowance.isFull(nowMs)
    return this.#concurrent === 0 && isFull(this.#requests) && isFull(this.#bytes)
  }

  left(nowMs: number): Omit<Left, "rule"> {
    const isBounded = this.#concurrentMax !== Number.POSITIVE_INFINITY
    return {
      ...(this.#requests === undefined ? {} : { requests: this.#requests.left(nowMs) }),
      ...(this.#bytes === undefined ? {} : { bytes: this.#bytes.left(nowMs) }),
      ...(isBounded ? { concurrent: Math.max(0, this.#concurrentMax - this.#concurrent) } : {})
    }
  }
}

/** So much a minute, evenly refilled; what was paid in excess is owed. */
class Allowance {
  readonly #perMinute: number
  #balance: number
  #atMs: number

  constructor(perMinute: number, nowMs: number) {
    this.#perMinute = perMinute
    this.#balance = perMinute
    this.#atMs = nowMs
  }

  waitMs(amount: number, nowMs: number): number {
    this.#refill(nowMs)
    const missing = amount - this.#balance
    return missing <= ROUNDING ? 0 : Math.ceil((missing / this.#perMinute) * MINUTE_MS)
  }

  take(amount: number, nowMs: number): void {
    this.#refill(nowMs)
    this.#balance -= amount
  }

  left(nowMs: number): number {
    this.#refill(nowMs)
    return Math.max(0, Math.floor(this.#balance + ROUNDING))
  }

  isFull(nowMs: number): boolean {
    this.#refill(nowMs)
    return this.#balance >= this.#perMinute
  }

  #refill(nowMs: number): void {
    const passedMs = Math.max(0, nowMs - this.#atMs)
    this.#balance = Math.min(this.#perMinute, this.#balance + (passedMs / MINUTE_MS) * this.#perMinute)
    this.#atMs = nowMs
  }
}

const keyOf = (rule: Rule, who: string): string => `${rule.index} ${who}`

/** Rows of rules and peers; beyond them what has a limit is refused. */
export const ROWS_MAX = 16_384
const MINUTE_MS = 60_000
const ROUNDING = 1e-9
/** Nobody knows when another one ends. */
const HELD_WAIT_MS = 1000
const FULL_WAIT_MS = 60_000

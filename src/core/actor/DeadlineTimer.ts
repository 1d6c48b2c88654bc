/**
 * One timer of one actor. It is moved only to an earlier deadline: a later one is left to fire and be asked again, so
 * that pushing a deadline ahead with every packet costs a comparison and nothing else.
 */
import type { Context } from "effect"
import { GRAIN_MS, type Timer, type Timers } from "./Timers.ts"

/** Mutable, owned by one actor. While nothing is armed it is not among the timers of its clock. */
export class DeadlineTimer {
  /** When it will fire; `Infinity` while nothing is armed. */
  armedAtMs = Number.POSITIVE_INFINITY
  /** It has fired since `takeFired`. */
  #hasFired = false
  #armed: Timer | undefined
  readonly #timers: Timers
  readonly #context: Context.Context<never>
  readonly #onFired: () => void

  /** `onFired` must not throw. */
  constructor(timers: Timers, context: Context.Context<never>, onFired: () => void) {
    this.#timers = timers
    this.#context = context
    this.#onFired = onFired
  }

  /** Whether it has fired and nobody took note yet. */
  get hasFired(): boolean {
    return this.#hasFired
  }

  /** Takes note of a firing. */
  takeFired(): boolean {
    const hasFired = this.#hasFired
    this.#hasFired = false
    return hasFired
  }

  /**
   * Makes sure that it fires at `deadlineMs` or before, and at once for a deadline already due if `mayFireNow`. Else it
   * waits at least a millisecond, the grain of Node's timers.
   */
  arm(deadlineMs: number, mayFireNow: boolean): void {
    if (this.#hasFired || deadlineMs >= this.armedAtMs) return
    const { nowMs } = this.#timers
    if (mayFireNow && deadlineMs <= nowMs) {
      this.cancel()
      this.#hasFired = true
      return
    }
    const before = this.#armed
    this.armedAtMs = nowMs + Math.max(GRAIN_MS, Math.ceil(deadlineMs - nowMs))
    this.#armed = this.#timers.arm(this.armedAtMs, () => this.#fire(), this.#context)
    if (before !== undefined) this.#timers.cancel(before)
  }

  /** Forgets the armed deadline and an untaken firing. */
  cancel(): void {
    const armed = this.#armed
    this.#armed = undefined
    this.armedAtMs = Number.POSITIVE_INFINITY
    this.#hasFired = false
    if (armed !== undefined) this.#timers.cancel(armed)
  }

  #fire(): void {
    this.#armed = undefined
    this.armedAtMs = Number.POSITIVE_INFINITY
    this.#hasFired = true
    this.#onFired()
  }
}

/**
 * One timer of one actor. It is moved only to an earlier deadline: a later one is left to fire and be asked again, so
 * that pushing a deadline ahead with every packet costs a comparison and nothing else.
 */
import { type Clock, type Context, Duration, Effect, type Fiber } from "effect"
import * as MonotonicTime from "./MonotonicTime.ts"

/** Mutable, owned by one actor. While nothing is armed it holds no fiber and no timer. */
export class DeadlineTimer {
  /** When it will fire; `Infinity` while nothing is armed. */
  armedAtMs = Number.POSITIVE_INFINITY
  /** It has fired since `takeFired`. */
  #hasFired = false
  #sleeping: Fiber.Fiber<void> | undefined
  readonly #clock: Clock.Clock
  readonly #context: Context.Context<never>
  readonly #onFired: () => void

  constructor(clock: Clock.Clock, context: Context.Context<never>, onFired: () => void) {
    this.#clock = clock
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
    this.cancel()
    const nowMs = MonotonicTime.nowMsUnsafe(this.#clock)
    if (mayFireNow && deadlineMs <= nowMs) {
      this.#hasFired = true
      return
    }
    const waitMs = Math.max(GRAIN_MS, Math.ceil(deadlineMs - nowMs))
    this.armedAtMs = nowMs + waitMs
    const sleeping = Effect.runForkWith(this.#context)(this.#clock.sleep(Duration.millis(waitMs)))
    this.#sleeping = sleeping
    sleeping.addObserver(() => {
      // A cancelled sleep is no longer ours.
      if (this.#sleeping === sleeping) this.#fire()
    })
  }

  /** Forgets the armed deadline and an untaken firing. */
  cancel(): void {
    const sleeping = this.#sleeping
    this.#sleeping = undefined
    this.armedAtMs = Number.POSITIVE_INFINITY
    this.#hasFired = false
    sleeping?.interruptUnsafe()
  }

  #fire(): void {
    this.#sleeping = undefined
    this.armedAtMs = Number.POSITIVE_INFINITY
    this.#hasFired = true
    this.#onFired()
  }
}

const GRAIN_MS = 1

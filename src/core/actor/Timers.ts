/**
 * The timers of all actors on one clock: a heap, and one sleeping fiber for the earliest of them, so that a thousand idle
 * connections keep one timer of the system armed and moving a deadline is no fiber.
 */
import { type Clock, type Context, Duration, Effect, type Fiber } from "effect"
import { type Timer, TimerHeap } from "../data/TimerHeap.ts"
import * as MonotonicTime from "./MonotonicTime.ts"

export type { Timer } from "../data/TimerHeap.ts"

/** Mutable, shared by whoever lives on the clock. While nothing is armed it holds no fiber. */
export class Timers {
  readonly #clock: Clock.Clock
  readonly #heap = new TimerHeap()
  #sleeping: Fiber.Fiber<void> | undefined
  #wakesAtMs = Number.POSITIVE_INFINITY

  private constructor(clock: Clock.Clock) {
    this.#clock = clock
  }

  /** Those of a clock; there is one set of them for each. */
  static of(clock: Clock.Clock): Timers {
    const known = BY_CLOCK.get(clock)
    if (known !== undefined) return known
    const made = new Timers(clock)
    BY_CLOCK.set(clock, made)
    return made
  }

  /** Monotonic milliseconds of the clock. */
  get nowMs(): number {
    return MonotonicTime.nowMsUnsafe(this.#clock)
  }

  /**
   * Calls `fire`, which must not throw, at `dueAtMs` or up to a millisecond later, the grain of Node's timers. `context`
   * is that of the fiber that sleeps, if it takes a new one.
   */
  arm(dueAtMs: number, fire: () => void, context: Context.Context<never>): Timer {
    const timer = this.#heap.add(dueAtMs, fire)
    if (dueAtMs < this.#wakesAtMs) this.#sleep(dueAtMs, context)
    return timer
  }

  /** Nothing for one that has fired. */
  cancel(timer: Timer): void {
    this.#heap.cancel(timer)
    if (this.#heap.size === 0) this.#stopSleeping()
  }

  #sleep(untilMs: number, context: Context.Context<never>): void {
    this.#stopSleeping()
    this.#wakesAtMs = untilMs
    const waitMs = Math.max(GRAIN_MS, Math.ceil(untilMs - this.nowMs))
    const sleeping = Effect.runForkWith(context)(this.#clock.sleep(Duration.millis(waitMs)))
    this.#sleeping = sleeping
    sleeping.addObserver(() => {
      // An interrupted sleep is no longer ours.
      if (this.#sleeping === sleeping) this.#wake(context)
    })
  }

  #stopSleeping(): void {
    const sleeping = this.#sleeping
    this.#sleeping = undefined
    this.#wakesAtMs = Number.POSITIVE_INFINITY
    sleeping?.interruptUnsafe()
  }

  #wake(context: Context.Context<never>): void {
    this.#sleeping = undefined
    const { nowMs } = this
    // Those due, and none that they arm; all that fire before the next sleep, so that it is decided once.
    const due: Array<() => void> = []
    for (let fire = this.#heap.takeDue(nowMs); fire !== undefined; fire = this.#heap.takeDue(nowMs)) due.push(fire)
    this.#wakesAtMs = Number.NEGATIVE_INFINITY
    try {
      for (const fire of due) fire()
    } finally {
      this.#wakesAtMs = Number.POSITIVE_INFINITY
      const { nextAtMs } = this.#heap
      if (nextAtMs !== undefined) this.#sleep(nextAtMs, context)
    }
  }
}

const BY_CLOCK = new WeakMap<Clock.Clock, Timers>()

/** Node's timers resolve no less. */
export const GRAIN_MS = 1

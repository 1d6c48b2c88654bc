/**
 * Wakes whoever waits for something to change. Like a latch that closes by itself, but costs nothing while nobody waits, and
 * runs the waiting fibers at once instead of in the next turn: raise it where what follows may see what they did.
 */
import { Effect } from "effect"

/** Mutable, raised by its one owner. Whoever was woken looks again whether what it waits for is there. */
export class Signal {
  #waiting: Array<() => void> | undefined

  /** Until the next `raise`. */
  get wait(): Effect.Effect<void> {
    return Effect.callback<void>((resume) => this.#add(resume))
  }

  /** The same, and not at all if what is waited for is there already: a fiber may have given way since it looked. */
  waitUnless(isThere: () => boolean): Effect.Effect<void> {
    return Effect.callback<void>((resume) => (isThere() ? resume(Effect.void) : this.#add(resume)))
  }

  /** Somebody waits. */
  get isAwaited(): boolean {
    return this.#waiting !== undefined && this.#waiting.length > 0
  }

  #add(resume: (woken: Effect.Effect<void>) => void): Effect.Effect<void> {
    const wake = () => resume(Effect.void)
    this.#waiting ??= []
    this.#waiting.push(wake)
    return Effect.sync(() => {
      this.#waiting = this.#waiting?.filter((other) => other !== wake)
    })
  }

  /** Wakes all who wait now. */
  raise(): void {
    const waiting = this.#waiting
    if (waiting === undefined) return
    this.#waiting = undefined
    for (const wake of waiting) wake()
  }
}

/**
 * Where the turns of all actors on one scheduler come from. Those woken together share one callback of the event loop, and
 * those that they wake follow in the same one, up to a bound: what a datagram sets going between socket, tunnel, stream and
 * program would else go round the loop once for each of them.
 */
import type { Scheduler } from "effect"

/** Mutable, shared by whoever lives on the scheduler. */
export class Turns {
  readonly #dispatcher: Scheduler.SchedulerDispatcher
  #next: Array<() => void> = []
  #isScheduled = false
  #isRunning = false

  private constructor(scheduler: Scheduler.Scheduler) {
    this.#dispatcher = scheduler.makeDispatcher()
  }

  /** Those of a scheduler; there is one set of them for each. */
  static of(scheduler: Scheduler.Scheduler): Turns {
    const known = BY_SCHEDULER.get(scheduler)
    if (known !== undefined) return known
    const made = new Turns(scheduler)
    BY_SCHEDULER.set(scheduler, made)
    return made
  }

  /** Runs `turn`, which must not throw, soon: after the caller, and after those asked for before it. */
  schedule(turn: () => void): void {
    this.#next.push(turn)
    if (this.#isScheduled) return
    this.#isScheduled = true
    this.#dispatcher.scheduleTask(this.#scheduled, 0)
  }

  /**
   * Runs now what is scheduled. For callbacks of the event loop that bring work and have nothing left to do, in place of a
   * callback of its own.
   */
  run(): void {
    if (this.#isRunning) return
    this.#isRunning = true
    for (let round = 0; round < ROUNDS_MAX && this.#next.length > 0; round++) {
      const turns = this.#next
      this.#next = []
      for (const turn of turns) turn()
    }
    this.#isRunning = false
  }

  readonly #scheduled = (): void => {
    this.run()
    this.#isScheduled = this.#next.length > 0
    if (this.#isScheduled) this.#dispatcher.scheduleTask(this.#scheduled, 0)
  }
}

const BY_SCHEDULER = new WeakMap<Scheduler.Scheduler, Turns>()

/** Tunnel, stream, stream again for what its program did, tunnel: then sockets, timers and other fibers. */
export const ROUNDS_MAX = 4

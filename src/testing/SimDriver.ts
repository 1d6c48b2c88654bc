/**
 * Runs effects in a simulated world for programs inside and outside of it. While somebody outside waits, and only then,
 * time passes in the world, in slices between turns of the real event loop; it stands still as soon as one of them has
 * what it waited for, so that a test decides what happens next before anything else does.
 */
import { Context, Effect, Exit, type Fiber, Metric, Scheduler } from "effect"
import type { VirtualTime } from "./VirtualTime.ts"

/** What a driver is told of the world. */
export interface Options {
  readonly time: VirtualTime
  /** Makes an error that says which simulation it was, and when. */
  readonly problem: (detail: string) => Error
}

/** Mutable; one for each world. */
export class SimDriver {
  /** The world does not live longer than that. */
  limitMs = Number.POSITIVE_INFINITY
  readonly #options: Options
  /** Everybody outside who waits; called with what ends the waiting from outside. */
  readonly #waiting = new Set<(failure: Error) => void>()
  #completed: Array<() => void> = []
  #isScheduled = false
  #failure: Error | undefined

  constructor(options: Options) {
    this.#options = options
  }

  /** The first violation, if there was one. */
  get failure(): Error | undefined {
    return this.#failure
  }

  /** Ends the world: everybody who waits for it dies of this, whoever asks later too. The first one counts. */
  fail(failure: Error): void {
    this.#failure ??= failure
    this.#options.time.pause()
  }

  /** Lets the world go on for its shutdown, whatever has happened. */
  forgive(): void {
    this.#failure = undefined
    this.limitMs = this.#options.time.nowMs + SHUTDOWN_MS
  }

  /** Runs an effect in the world. `services` win over those of the caller. */
  run<A, E, R, S>(effect: Effect.Effect<A, E, R>, services: Context.Context<S>): Effect.Effect<A, E, Exclude<R, S>> {
    const { time } = this.#options
    const provided = Effect.provideContext(effect, services)
    return Effect.contextWith((context: Context.Context<Exclude<R, S>>) => {
      const counted = Context.add(context, Metric.FiberRuntimeMetrics, time.census)
      const start = () => Effect.runForkWith(counted)(provided, { scheduler: time })
      const isInside = Context.get(context, Scheduler.Scheduler) === time
      return isInside ? joined(start) : this.#observed(start)
    })
  }

  #observed<A, E>(start: () => Fiber.Fiber<A, E>): Effect.Effect<A, E> {
    return Effect.callback<A, E>((resume) => {
      if (this.#failure !== undefined) return resume(Effect.die(this.#failure))
      const fiber = start()
      const forget = this.#await(fiber, resume)
      return Effect.callback<void>((stopped) => {
        forget()
        fiber.interruptUnsafe()
        this.#await(fiber, () => stopped(Effect.void))
      })
    })
  }

  /** Tells of the end of a fiber, in a turn of the real event loop; the result withdraws. */
  #await<A, E>(fiber: Fiber.Fiber<A, E>, resume: (outcome: Effect.Effect<A, E>) => void): () => void {
    const fail = (failure: Error) => settle(Exit.die(failure))
    const settle = (exit: Exit.Exit<A, E>) => {
      if (this.#waiting.delete(fail)) this.#complete(() => resume(exit))
    }
    this.#waiting.add(fail)
    const unobserve = fiber.addObserver(settle)
    this.#schedule(0)
    return () => {
      this.#waiting.delete(fail)
      unobserve()
    }
  }

  #complete(resume: () => void): void {
    this.#completed.push(resume)
    this.#options.time.pause()
    this.#schedule(0)
  }

  /** `turns` real turns from now, so that what a test does next is done before the world goes on. */
  #schedule(turns: number): void {
    if (this.#isScheduled) return
    this.#isScheduled = true
    const later = (left: number): void => {
      setImmediate(() => {
        if (left > 0) return later(left - 1)
        this.#slice()
      })
    }
    later(turns)
  }

  #slice(): void {
    if (this.#completed.length === 0 && this.#waiting.size > 0) this.#advance()
    if (this.#failure !== undefined) for (const fail of [...this.#waiting]) fail(this.#failure)
    const completed = this.#completed
    this.#completed = []
    for (const resume of completed) resume()
    // Only now, lest a turn that was asked for before the test went on be the one that continues the world.
    this.#isScheduled = false
    if (this.#waiting.size > 0 || this.#completed.length > 0) this.#schedule(completed.length > 0 ? TURNS_OF_GRACE : 0)
  }

  #advance(): void {
    const { problem, time } = this.#options
    try {
      const stopped = time.run(this.limitMs, STEPS_PER_SLICE)
      if (this.#completed.length > 0 || this.#failure !== undefined) return
      if (stopped === "idle") this.fail(problem("nothing more can happen, and somebody still waits"))
      if (stopped === "time") this.fail(problem(`still running after ${this.limitMs} ms of virtual time`))
    } catch (error) {
      this.fail(error instanceof Error ? error : problem(String(error)))
    }
  }
}

const joined = <A, E>(start: () => Fiber.Fiber<A, E>): Effect.Effect<A, E> =>
  Effect.callback<A, E>((resume) => {
    const fiber = start()
    fiber.addObserver(resume)
    return Effect.callback<void>((stopped) => {
      fiber.interruptUnsafe()
      fiber.addObserver(() => stopped(Effect.void))
    })
  })

/** Between two of them the real event loop turns, so that a test runner's time-outs work. */
const STEPS_PER_SLICE = 20_000
/** Turns that a test has for forking what it does next. */
const TURNS_OF_GRACE = 8
/** Virtual time for closing everything. */
const SHUTDOWN_MS = 600_000

/**
 * Time that passes only when everything else has been done: a `Clock` and a `Scheduler` for Effect, drained synchronously
 * in one thread. What runs in it, and in which order, depends on nothing outside it, so that a run can be repeated bit for
 * bit. Fibers that live in it must not wait for the real world: no promises, no real sockets, no timers of Node.
 */
import { type Clock, type Context, Duration, Effect, type Exit, type Fiber, type Metric, type Scheduler } from "effect"
import { TimerHeap } from "../core/data/TimerHeap.ts"
import type { HostClock } from "./HostClock.ts"

/** Mutable; one for each simulated world. */
export class VirtualTime implements Scheduler.Scheduler {
  readonly executionMode = "async"
  /** Milliseconds since the world began. */
  nowMs = 0
  /** Fibers of this world that have not ended. */
  fibers = 0
  /** Tasks and timers performed. */
  steps = 0
  readonly #timers = new TimerHeap()
  #turn: Array<Task> = []
  #turnIndex = 0
  #nextTurn: Array<Task> = []
  /** Tasks and timers since time last passed. */
  #instantSteps = 0
  #mustPause = false

  /** Timers that wait, sleeping fibers among them. */
  get timers(): number {
    return this.#timers.size
  }

  /** Whether anything can still happen. */
  get isIdle(): boolean {
    return !this.#isReady && this.#timers.nextAtMs === undefined
  }

  get #isReady(): boolean {
    return this.#turnIndex < this.#turn.length || this.#nextTurn.length > 0
  }

  // Scheduler ----------------------------------------------------------------------------------------------------------

  /** As in production, so that a fiber that never waits is interleaved as there. */
  shouldYield(fiber: Fiber.Fiber<unknown, unknown>): boolean {
    return fiber.currentOpCount >= fiber.cache.maxOpsBeforeYield
  }

  /** One queue for all fibers: the event loop of a world. */
  makeDispatcher(): Scheduler.SchedulerDispatcher {
    return this.#dispatcher
  }

  readonly #dispatcher: Scheduler.SchedulerDispatcher = {
    scheduleTask: (run, priority) => void this.#nextTurn.push({ run, priority }),
    flush: () => this.#drain()
  }

  // Timers -------------------------------------------------------------------------------------------------------------

  /** After everything that is to be done already, at this instant: the turn of an event loop. */
  defer(run: () => void): void {
    this.#nextTurn.push({ run, priority: 0 })
  }

  /**
   * Calls `fire` when the time has come; the result cancels it. An instant that has passed means now. Instants are whole
   * microseconds, so that what a clock says is never a rounding error before what a timer waited for.
   */
  at(dueAtMs: number, fire: () => void): () => void {
    if (dueAtMs === Number.POSITIVE_INFINITY) return () => {}
    const instantMs = Math.ceil(dueAtMs * MICROS_PER_MS) / MICROS_PER_MS
    const timer = this.#timers.add(Math.max(this.nowMs, instantMs), fire)
    return () => this.#timers.cancel(timer)
  }

  /** The clock of one host: its time of day and its sleeps follow what it shows. */
  clock(host: HostClock): Clock.Clock {
    const shownMs = () => host.shownMs(this.nowMs)
    const wallMs = () => EPOCH_MS + Math.floor(shownMs()) + host.skewMs
    const monotonicNanos = () => BigInt(Math.round(shownMs() * NANOS_PER_MS))
    return {
      currentTimeMillisUnsafe: wallMs,
      currentTimeMillis: Effect.sync(wallMs),
      currentTimeNanosUnsafe: () => BigInt(wallMs()) * BigInt(NANOS_PER_MS),
      currentTimeNanos: Effect.sync(() => BigInt(wallMs()) * BigInt(NANOS_PER_MS)),
      monotonicTimeNanosUnsafe: monotonicNanos,
      monotonicTimeNanos: Effect.sync(monotonicNanos),
      sleep: (duration) =>
        Effect.callback<void>((resume) =>
          Effect.sync(
            this.at(this.nowMs + host.trueMs(grained(Duration.toMillis(duration))), () => resume(Effect.void))
          )
        )
    }
  }

  /** Counts the fibers that are started with it in their context. */
  readonly census: Metric.FiberRuntimeMetricsService = {
    recordFiberStart: (_context: Context.Context<never>) => {
      this.fibers++
    },
    recordFiberEnd: (_context: Context.Context<never>, _exit: Exit.Exit<unknown, unknown>) => {
      this.fibers--
    }
  }

  // Running ------------------------------------------------------------------------------------------------------------

  /** Makes `run` return after the task at hand. */
  pause(): void {
    this.#mustPause = true
  }

  /**
   * Performs tasks and lets time pass until `untilMs`, until nothing is left, until `pause`, or after about `stepsMax`
   * steps. Returns why it stopped.
   */
  run(untilMs: number, stepsMax = Number.POSITIVE_INFINITY): "time" | "idle" | "paused" | "steps" {
    this.#mustPause = false
    const stopAt = this.steps + stepsMax
    while (true) {
      this.#drain()
      if (this.#mustPause) return "paused"
      if (this.steps >= stopAt) return "steps"
      const nextAtMs = this.#timers.nextAtMs
      if (nextAtMs === undefined || nextAtMs > untilMs) {
        if (untilMs !== Number.POSITIVE_INFINITY) this.nowMs = Math.max(this.nowMs, untilMs)
        return nextAtMs === undefined ? "idle" : "time"
      }
      this.#pass(nextAtMs)
    }
  }

  /** Everything due at one instant fires before any of its consequences, as in one turn of an event loop. */
  #pass(nextAtMs: number): void {
    if (nextAtMs > this.nowMs) this.#instantSteps = 0
    this.nowMs = nextAtMs
    const due: Array<() => void> = []
    for (let fire = this.#timers.takeDue(nextAtMs); fire !== undefined; fire = this.#timers.takeDue(nextAtMs)) {
      due.push(fire)
    }
    for (const fire of due) {
      this.#count()
      fire()
    }
  }

  #drain(): void {
    while (this.#isReady && !this.#mustPause) {
      if (this.#turnIndex >= this.#turn.length) this.#beginTurn()
      const task = this.#turn[this.#turnIndex++]!
      this.#count()
      task.run()
    }
  }

  #count(): void {
    this.steps++
    if (++this.#instantSteps > INSTANT_STEPS_MAX) throw new Livelock(this.nowMs)
  }

  #beginTurn(): void {
    const turn = this.#nextTurn
    this.#nextTurn = []
    this.#turnIndex = 0
    this.#turn = turn.some(({ priority }) => priority !== 0) ? turn.toSorted((a, b) => a.priority - b.priority) : turn
  }
}

/** The time does not pass: tasks keep making tasks at one instant. */
export class Livelock extends Error {
  override readonly name = "Livelock"

  constructor(nowMs: number) {
    super(`${INSTANT_STEPS_MAX} tasks and timers at ${nowMs} ms, and no end: somebody waits without letting time pass`)
  }
}

/** Node's timers count whole milliseconds, and at least one. */
const grained = (delayMs: number): number => Math.max(1, Math.ceil(delayMs))

interface Task {
  readonly run: () => void
  readonly priority: number
}

/** The time of day at which every world begins: 1 March 2026. */
export const EPOCH_MS = 1_772_323_200_000
const MICROS_PER_MS = 1000
const NANOS_PER_MS = 1_000_000
/** More than any honest instant needs; a loop without waiting reaches it in a second. */
const INSTANT_STEPS_MAX = 2_000_000

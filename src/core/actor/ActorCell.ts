/** One running actor. Only `Actor` makes these; everyone else holds its `ActorRef`. */
import { Cause, type Clock, type Context, Deferred, Duration, Effect, Exit, type Fiber, Scope } from "effect"
import { ActorStopped, AskTimeout, MailboxFull } from "./ActorError.ts"
import { ActorExit, type ActorRef, ASK_TIMEOUT_MS } from "./ActorRef.ts"
import { BATCH_MAX, type Behaviour, type Handlers, TIMER_STREAK_MAX } from "./Behaviour.ts"
import { DeadlineTimer } from "./DeadlineTimer.ts"
import { Mailbox, type Writer } from "./Mailbox.ts"
import * as MonotonicTime from "./MonotonicTime.ts"
import * as Restart from "./Restart.ts"

/** The defect by which a handler ends its actor in peace. */
export const STOP_SELF = Symbol.for("effect-pilot/core/actor/StopSelf")

/** Mutable. Everything but `ref` and `stop` runs on the actor's own fiber. */
export class ActorCell<M, E, R> {
  readonly ref: ActorRef<M>
  /** See `ActorRef.stop`. */
  readonly stop: Effect.Effect<void>
  readonly #behaviour: Behaviour<M, E, R>
  readonly #context: Context.Context<R | Scope.Scope>
  readonly #clock: Clock.Clock
  readonly #scope: Scope.Closeable
  readonly #mailbox: Mailbox<M>
  readonly #timer: DeadlineTimer
  readonly #exit = Deferred.makeUnsafe<ActorExit>()
  /** Askers still without an answer, to be told of the end. */
  #askers: Set<() => void> | undefined
  /** Remembers the restarts; made at the first failure. */
  #decide: Restart.Decider | undefined
  #fiber: Fiber.Fiber<unknown, unknown> | undefined
  /** Resumes the fiber while it waits for something to do. */
  #parked: (() => void) | undefined
  #isWakeScheduled = false
  #isStopping = false

  /** `scope` holds `stop` as its finalizer; the cell closes it when the actor ended by itself. */
  constructor(
    behaviour: Behaviour<M, E, R>,
    context: Context.Context<R | Scope.Scope>,
    clock: Clock.Clock,
    scope: Scope.Closeable
  ) {
    this.#scope = scope
    this.#behaviour = behaviour
    this.#context = context
    this.#clock = clock
    this.#mailbox = new Mailbox(behaviour.mailbox, this.#scheduleWake)
    this.#timer = new DeadlineTimer(clock, context, this.#scheduleWake)
    const exit = Deferred.await(this.#exit)
    this.stop = Effect.withFiber((caller) => {
      this.#isStopping = true
      this.#fiber?.interruptUnsafe(caller.id)
      return caller === this.#fiber ? Effect.void : Effect.asVoid(exit)
    })
    this.ref = {
      name: behaviour.name,
      tell: (message) => Effect.suspend(() => this.#tell(message)),
      tellUnsafe: (message) => this.#mailbox.offer(message),
      ask: (message, timeoutMs = ASK_TIMEOUT_MS) => this.#ask(message, timeoutMs),
      stop: this.stop,
      exit,
      dropped: () => this.#mailbox.dropped
    }
  }

  /** Forks the fiber, once. */
  run(): void {
    const lives = Effect.withFiber((fiber) => {
      this.#fiber = fiber
      return Effect.map(this.#live(0), this.#finish)
    })
    Effect.runForkWith(this.#context)(lives, { uninterruptible: true })
  }

  // The mailbox's side -----------------------------------------------------------------------------------------------

  #tell(message: M): Effect.Effect<void, ActorStopped | MailboxFull> {
    const { overflow } = this.#mailbox
    const isDropTold = overflow === "backpressure" || overflow === "fail"
    const delivered = this.#deliver(message)
    return isDropTold || this.#mailbox.isClosed ? delivered : Effect.ignore(delivered)
  }

  #ask<A, E2>(
    message: (reply: Deferred.Deferred<A, E2>) => M,
    timeoutMs: number
  ): Effect.Effect<A, E2 | ActorStopped | MailboxFull | AskTimeout> {
    return Effect.suspend(() => {
      const reply = Deferred.makeUnsafe<A, E2>()
      // Only a sender that waits for room needs a time-out around the whole; it costs two fibers more.
      const mustWait = this.#mailbox.mustWait
      const asked = Effect.flatMap(this.#deliver(message(reply)), () => this.#answer(reply, timeoutMs))
      return mustWait
        ? Effect.timeoutOrElse(asked, {
            duration: timeoutMs,
            orElse: () => Effect.fail(new AskTimeout({ actor: this.ref.name, timeoutMs }))
          })
        : asked
    })
  }

  #deliver(message: M): Effect.Effect<void, ActorStopped | MailboxFull> {
    const mailbox = this.#mailbox
    if (mailbox.mustWait) return this.#waitForRoom(message)
    if (mailbox.offer(message)) return Effect.void
    if (mailbox.isClosed) return Effect.fail(this.#stopped())
    return Effect.fail(new MailboxFull({ actor: this.ref.name, capacity: mailbox.capacity }))
  }

  #waitForRoom(message: M): Effect.Effect<void, ActorStopped> {
    return Effect.callback<void, ActorStopped>((resume) => {
      const writer: Writer<M> = {
        message,
        resume: (accepted) => resume(accepted ? Effect.void : Effect.fail(this.#stopped()))
      }
      this.#mailbox.wait(writer)
      return Effect.sync(() => this.#mailbox.withdraw(writer))
    })
  }

  /** The reply, the actor's end or the time-out, whichever comes first. */
  #answer<A, E2>(reply: Deferred.Deferred<A, E2>, timeoutMs: number): Effect.Effect<A, E2 | ActorStopped | AskTimeout> {
    return Effect.callback<A, E2 | ActorStopped | AskTimeout>((resume) => {
      const fork = Effect.runForkWith(this.#context)
      const waiting = fork(Deferred.await(reply))
      const replied = waiting.pollUnsafe()
      if (replied !== undefined) return resume(replied)
      if (this.#mailbox.isClosed) return resume(Effect.fail(this.#stopped()))

      const sleeping = fork(this.#clock.sleep(Duration.millis(timeoutMs)))
      const settle = (outcome: Effect.Effect<A, E2 | ActorStopped | AskTimeout>) => {
        clear()
        resume(outcome)
      }
      const ended = () => settle(Effect.fail(this.#stopped()))
      // What is interrupted here must not report it: hence no observer may be left on it.
      const clear = () => {
        this.#askers?.delete(ended)
        forgetReply()
        forgetTimeout()
        waiting.interruptUnsafe()
        sleeping.interruptUnsafe()
      }
      this.#askers ??= new Set()
      this.#askers.add(ended)
      const forgetReply = waiting.addObserver(settle)
      const forgetTimeout = sleeping.addObserver(() =>
        settle(Effect.fail(new AskTimeout({ actor: this.ref.name, timeoutMs })))
      )
      return Effect.sync(clear)
    })
  }

  #stopped(): ActorStopped {
    return new ActorStopped({ actor: this.ref.name })
  }

  // The fiber's side -------------------------------------------------------------------------------------------------

  /** One life and, while the policy allows it, the next; the mailbox stays. */
  #live(restarts: number): Effect.Effect<ActorExit, never, R> {
    const { start } = this.#behaviour
    const startedAtMs = MonotonicTime.nowMsUnsafe(this.#clock)
    const begin = Effect.isEffect(start) ? start : Effect.suspend(() => start(this.ref))
    const life = Effect.scoped(Effect.flatMap(begin, (handlers) => ActorCell.#loop(this, handlers)))
    return Effect.flatMap(Effect.flip(Effect.sandbox(Effect.interruptible(life))), (cause) => {
      this.#timer.cancel()
      if (this.#isStopping || isStopSelf(cause)) return Effect.succeed(ActorExit.Stopped())
      return this.#afterFailure(cause, restarts, MonotonicTime.nowMsUnsafe(this.#clock) - startedAtMs)
    })
  }

  #afterFailure(cause: Cause.Cause<E>, restarts: number, aliveMs: number): Effect.Effect<ActorExit, never, R> {
    this.#decide ??= Restart.decider(this.#behaviour.restart)
    const decided = Effect.exit(Effect.interruptible(this.#decide(cause, aliveMs)))
    return Effect.flatMap(decided, (again) => {
      if (this.#isStopping) return Effect.succeed(ActorExit.Stopped())
      if (Exit.isFailure(again) || !again.value) return Effect.succeed(ActorExit.Failed({ cause, restarts }))
      const warn = Effect.logWarning(`${this.ref.name} restarts after a failure`, cause)
      return Effect.flatMap(warn, () => this.#live(restarts + 1))
    })
  }

  /**
   * Messages, then the timer, then the flush; then the next turn, or sleep. Made once for all actors: a generator
   * function of its own would cost each of them half a kilobyte.
   */
  static readonly #loop = Effect.fnUntraced(function* <M, E, R>(
    self: ActorCell<M, E, R>,
    handlers: Handlers<M, E, R>
  ): Effect.fn.Return<never, E, R> {
    const mailbox = self.#mailbox
    const timer = self.#timer
    let streak = 0
    while (true) {
      let handled = 0
      while (handled < BATCH_MAX && mailbox.size > 0) {
        handled++
        const received = handlers.receive(mailbox.take())
        if (received !== undefined) yield* received
      }
      if (timer.takeFired() && self.#isDue(handlers)) {
        handled++
        streak++
        const fired = handlers.timerFired?.()
        if (fired !== undefined) yield* fired
      } else {
        streak = 0
      }
      if (handled > 0) {
        const flushed = handlers.afterBatch?.()
        if (flushed !== undefined) yield* flushed
      }
      const deadlineMs = handlers.deadlineMs?.()
      if (deadlineMs !== undefined) timer.arm(deadlineMs, streak < TIMER_STREAK_MAX)
      yield* mailbox.size > 0 || timer.hasFired ? Effect.yieldNow : self.#park
    }
  })

  #isDue(handlers: Handlers<M, E, R>): boolean {
    const deadlineMs = handlers.deadlineMs?.()
    return deadlineMs !== undefined && deadlineMs <= MonotonicTime.nowMsUnsafe(this.#clock)
  }

  readonly #park = Effect.callback<void>((resume) => {
    this.#parked = () => resume(Effect.void)
  })

  #scheduleWake = (): void => {
    if (this.#parked === undefined || this.#isWakeScheduled) return
    this.#isWakeScheduled = true
    this.#fiber?.currentDispatcher.scheduleTask(this.#wake, 0)
  }

  #wake = (): void => {
    this.#isWakeScheduled = false
    const resume = this.#parked
    this.#parked = undefined
    resume?.()
  }

  #finish = (exit: ActorExit): void => {
    this.#mailbox.close()
    const { onExit } = this.#behaviour
    if (onExit !== undefined) Effect.runForkWith(this.#context)(onExit(exit))
    Deferred.doneUnsafe(this.#exit, Exit.succeed(exit))
    for (const ended of this.#askers ?? []) ended()
    // Its only finalizer is `stop`, which has nothing left to do.
    Scope.closeUnsafe(this.#scope, Exit.void)
  }
}

const isStopSelf = (cause: Cause.Cause<unknown>): boolean =>
  cause.reasons.some((reason) => Cause.isDieReason(reason) && reason.defect === STOP_SELF)

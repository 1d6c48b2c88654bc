/** One running actor. Only `Actor` makes these; everyone else holds its `ActorRef`. */
import { Cause, type Clock, Context, Deferred, Effect, Exit, type Fiber, Scheduler, Scope } from "effect"
import { ActorStopped, AskTimeout, MailboxFull } from "./ActorError.ts"
import { ActorExit, type ActorRef, ASK_TIMEOUT_MS } from "./ActorRef.ts"
import { BATCH_MAX, type Behaviour, type Handlers, type Start, TIMER_STREAK_MAX } from "./Behaviour.ts"
import { DeadlineTimer } from "./DeadlineTimer.ts"
import { Mailbox, type Writer } from "./Mailbox.ts"
import * as MonotonicTime from "./MonotonicTime.ts"
import * as Restart from "./Restart.ts"
import { Timers } from "./Timers.ts"
import { Turns } from "./Turns.ts"

/** The defect by which a handler ends its actor in peace. */
export const STOP_SELF = Symbol.for("effect-pilot/core/actor/StopSelf")

/**
 * Mutable. Turns run straight from the scheduler while all that handlers do is synchronous; what they return, and what
 * they throw, is given to the actor's own fiber, which is suspended otherwise.
 */
export class ActorCell<M, E, R> implements ActorRef<M> {
  readonly #behaviour: Behaviour<M, E, R>
  readonly #context: Context.Context<R | Scope.Scope>
  readonly #clock: Clock.Clock
  readonly #scope: Scope.Closeable
  readonly #mailbox: Mailbox<M>
  readonly #timer: DeadlineTimer
  readonly #turns: Turns
  readonly #exit = Deferred.makeUnsafe<ActorExit>()
  /** Askers still without an answer, to be told of the end. */
  #askers: Set<() => void> | undefined
  /** Remembers the restarts; made at the first failure. */
  #decide: Restart.Decider | undefined
  #fiber: Fiber.Fiber<unknown, unknown> | undefined
  /** Those of this life; nothing between two lives. */
  #handlers: Handlers<M, E, R> | undefined
  /** Gives the fiber something to do, while it has nothing. */
  #resume: ((work: Effect.Effect<void, E, R>) => void) | undefined
  #isWakeScheduled = false
  #isStopping = false
  /** A turn runs outside of the fiber, which must not be interrupted before it is over. */
  #isTurning = false
  /** What this turn does next. */
  #stage: "Begin" | "Messages" | "Timer" | "Flush" | "Arm" = "Begin"
  /** Of this turn. */
  #handled = 0
  /** Turns in a row that began with a deadline already due. */
  #streak = 0

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
    this.#timer = new DeadlineTimer(Timers.of(clock), context, this.#scheduleWake)
    this.#turns = Turns.of(Context.get(context, Scheduler.Scheduler))
  }

  get stop(): Effect.Effect<void> {
    return Effect.withFiber((caller) => {
      this.#isStopping = true
      if (!this.#isTurning) this.#fiber?.interruptUnsafe(caller.id)
      return caller === this.#fiber ? Effect.void : Effect.asVoid(this.exit)
    })
  }

  get name(): string {
    return this.#behaviour.name
  }

  get exit(): Effect.Effect<ActorExit> {
    return Deferred.await(this.#exit)
  }

  /** Forks the fiber, once. */
  run(): void {
    const lives = Effect.withFiber((fiber) => {
      this.#fiber = fiber
      return this.#live(0)
    })
    Effect.runForkWith(this.#context)(lives, { uninterruptible: true })
  }

  // The senders' side -----------------------------------------------------------------------------------------------

  tell(message: M): Effect.Effect<void, ActorStopped | MailboxFull> {
    return Effect.suspend(() => {
      const { overflow } = this.#mailbox
      const isDropTold = overflow === "backpressure" || overflow === "fail"
      const delivered = this.#deliver(message)
      return isDropTold || this.#mailbox.isClosed ? delivered : Effect.ignore(delivered)
    })
  }

  tellUnsafe(message: M): boolean {
    return this.#mailbox.offer(message)
  }

  dropped(): number {
    return this.#mailbox.dropped
  }

  ask<A, E2 = never>(
    message: (reply: Deferred.Deferred<A, E2>) => M,
    timeoutMs = ASK_TIMEOUT_MS
  ): Effect.Effect<A, E2 | ActorStopped | MailboxFull | AskTimeout> {
    return Effect.suspend(() => {
      const answer: Answer<A, E2> = Deferred.makeUnsafe()
      // Only a sender that waits for room needs a time-out around the whole; it costs two fibers more.
      const mustWait = this.#mailbox.mustWait
      const asked = Effect.flatMap(this.#deliver(message(replySlot(answer))), () => this.#answer(answer, timeoutMs))
      return mustWait
        ? Effect.timeoutOrElse(asked, {
            duration: timeoutMs,
            orElse: () => Effect.fail(new AskTimeout({ actor: this.name, timeoutMs }))
          })
        : asked
    })
  }

  #deliver(message: M): Effect.Effect<void, ActorStopped | MailboxFull> {
    const mailbox = this.#mailbox
    if (mailbox.mustWait) return this.#waitForRoom(message)
    if (mailbox.offer(message)) return Effect.void
    if (mailbox.isClosed) return Effect.fail(this.#stopped())
    return Effect.fail(new MailboxFull({ actor: this.name, capacity: mailbox.capacity }))
  }

  #waitForRoom(message: M): Effect.Effect<void, ActorStopped | MailboxFull> {
    return Effect.callback<void, ActorStopped | MailboxFull>((resume) => {
      // The fiber may have given way since it looked.
      if (!this.#mailbox.mustWait) return resume(this.#deliver(message))
      const writer: Writer<M> = {
        message,
        resume: (accepted) => resume(accepted ? Effect.void : Effect.fail(this.#stopped()))
      }
      this.#mailbox.wait(writer)
      return Effect.sync(() => this.#mailbox.withdraw(writer))
    })
  }

  /** The reply, the actor's end or the time-out, whichever comes first. */
  #answer<A, E2>(answer: Answer<A, E2>, timeoutMs: number): Effect.Effect<A, E2 | ActorStopped | AskTimeout> {
    if (Deferred.isDoneUnsafe(answer)) return Deferred.await(answer)
    if (this.#mailbox.isClosed) return Effect.fail(this.#stopped())
    const timers = Timers.of(this.#clock)
    const clear = () => {
      this.#askers?.delete(ended)
      timers.cancel(timer)
    }
    const give = (end: ActorStopped | AskTimeout) => {
      clear()
      Deferred.doneUnsafe(answer, Effect.fail(end))
    }
    const ended = () => give(this.#stopped())
    const expired = () => give(new AskTimeout({ actor: this.name, timeoutMs }))
    const timer = timers.arm(timers.nowMs + timeoutMs, expired, this.#context)
    this.#askers ??= new Set()
    this.#askers.add(ended)
    return Effect.onExit(Deferred.await(answer), () => Effect.sync(clear))
  }

  #stopped(): ActorStopped {
    return new ActorStopped({ actor: this.name })
  }

  // The receiver's side -------------------------------------------------------------------------------------------------

  /** One life and, while the policy allows it, the next; the mailbox stays. Then the end. */
  #live(restarts: number): Effect.Effect<void, never, R> {
    const startedAtMs = MonotonicTime.nowMsUnsafe(this.#clock)
    const life = Effect.scoped(Effect.flatMap(this.#start(), (handlers) => this.#work(handlers)))
    return Effect.catchCause(Effect.interruptible(life), (cause) => {
      this.#handlers = undefined
      this.#timer.cancel()
      if (this.#isStopping || isStopSelf(cause)) return this.#finish(ActorExit.Stopped())
      return this.#afterFailure(cause, restarts, MonotonicTime.nowMsUnsafe(this.#clock) - startedAtMs)
    })
  }

  #afterFailure(cause: Cause.Cause<E>, restarts: number, aliveMs: number): Effect.Effect<void, never, R> {
    this.#decide ??= Restart.decider(this.#behaviour.restart)
    const decided = Effect.exit(Effect.interruptible(this.#decide(cause, aliveMs)))
    return Effect.flatMap(decided, (again) => {
      if (this.#isStopping) return this.#finish(ActorExit.Stopped())
      if (Exit.isFailure(again) || !again.value) return this.#finish(ActorExit.Failed({ cause, restarts }))
      const warn = Effect.logWarning(`${this.name} restarts after a failure`, cause)
      return Effect.flatMap(warn, () => this.#live(restarts + 1))
    })
  }

  #start(): Start<M, E, R> {
    const { start } = this.#behaviour
    return Effect.isEffect(start) ? start : Effect.suspend(() => start.call(this.#behaviour, this))
  }

  /** Turn after turn; here run the first one, and whatever is left of a turn after work. */
  #work(handlers: Handlers<M, E, R>): Effect.Effect<never, E, R> {
    this.#handlers = handlers
    this.#stage = "Begin"
    return Effect.forever(
      Effect.suspend(() => this.#advance(handlers) ?? this.#park),
      { disableYield: true }
    )
  }

  /** Messages, then the timer, then the flush. Stops at work for the fiber, after which it is called again. */
  #advance(handlers: Handlers<M, E, R>): Effect.Effect<void, E, R> | undefined {
    if (this.#stage === "Begin") {
      this.#stage = "Messages"
      this.#handled = 0
    }
    if (this.#stage === "Messages") {
      const mailbox = this.#mailbox
      while (this.#handled < BATCH_MAX && mailbox.size > 0) {
        this.#handled++
        const received = handlers.receive(mailbox.take())
        if (received !== undefined) return received
      }
      this.#stage = "Timer"
    }
    if (this.#stage === "Timer") {
      this.#stage = "Flush"
      const fired = this.#takeTimer(handlers)
      if (fired !== undefined) return fired
    }
    if (this.#stage === "Flush") {
      this.#stage = "Arm"
      const flushed = this.#handled > 0 ? handlers.afterBatch?.() : undefined
      if (flushed !== undefined) return flushed
    }
    this.#stage = "Begin"
    const deadlineMs = handlers.deadlineMs?.()
    if (deadlineMs !== undefined) this.#timer.arm(deadlineMs, this.#streak < TIMER_STREAK_MAX)
    return undefined
  }

  #takeTimer(handlers: Handlers<M, E, R>): Effect.Effect<void, E, R> | void {
    if (!this.#timer.takeFired() || !this.#isDue(handlers)) {
      this.#streak = 0
      return
    }
    this.#handled++
    this.#streak++
    return handlers.timerFired?.()
  }

  #isDue(handlers: Handlers<M, E, R>): boolean {
    const deadlineMs = handlers.deadlineMs?.()
    return deadlineMs !== undefined && deadlineMs <= MonotonicTime.nowMsUnsafe(this.#clock)
  }

  readonly #park = Effect.callback<void, E, R>((resume) => {
    this.#resume = resume
    if (this.#hasMore) this.#scheduleWake()
  })

  get #hasMore(): boolean {
    return this.#mailbox.size > 0 || this.#timer.hasFired
  }

  #scheduleWake = (): void => {
    if (this.#resume === undefined || this.#isWakeScheduled) return
    this.#isWakeScheduled = true
    this.#turns.schedule(this.#wake)
  }

  /** A whole turn, as far as it is synchronous. */
  #wake = (): void => {
    this.#isWakeScheduled = false
    const resume = this.#resume
    const handlers = this.#handlers
    if (resume === undefined || handlers === undefined || this.#isStopping) return
    this.#isTurning = true
    const work = this.#attempt(handlers)
    this.#isTurning = false
    if (this.#isStopping) {
      this.#fiber?.interruptUnsafe()
    } else if (work !== undefined) {
      this.#resume = undefined
      resume(work)
    } else if (this.#hasMore) {
      this.#scheduleWake()
    }
  }

  #attempt(handlers: Handlers<M, E, R>): Effect.Effect<void, E, R> | undefined {
    try {
      return this.#advance(handlers)
    } catch (defect) {
      return Effect.die(defect)
    }
  }

  #finish(exit: ActorExit): Effect.Effect<void> {
    return Effect.sync(() => {
      this.#mailbox.close()
      const told = this.#behaviour.onExit?.(exit)
      if (told !== undefined) Effect.runForkWith(this.#context)(told)
      Deferred.doneUnsafe(this.#exit, Exit.succeed(exit))
      for (const ended of this.#askers ?? []) ended()
      // Its only finalizer is `stop`, which has nothing left to do.
      Scope.closeUnsafe(this.#scope, Exit.void)
    })
  }
}

/** What an asker waits for: the reply, or the end of waiting for it. */
type Answer<A, E> = Deferred.Deferred<A, E | ActorStopped | AskTimeout>

/** The same, as whoever replies sees it: they only complete it, with less than it may hold. */
const replySlot = <A, E>(answer: Answer<A, E>) => answer as Deferred.Deferred<A, E>

const isStopSelf = (cause: Cause.Cause<unknown>): boolean =>
  cause.reasons.some((reason) => Cause.isDieReason(reason) && reason.defect === STOP_SELF)

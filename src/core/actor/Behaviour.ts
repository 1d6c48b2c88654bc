/** What an actor does: what it is made of, and what it does with each message, each batch and each deadline. */
import type { Effect, Scope } from "effect"
import type { ActorExit, ActorRef } from "./ActorRef.ts"
import type { MailboxOptions } from "./Mailbox.ts"
import type { RestartPolicy } from "./Restart.ts"

/**
 * The handlers of one life. Each returns nothing when it finished synchronously, which costs nothing on a hot path, or
 * an effect that the actor runs before it goes on. A failure or defect of either kind ends the life.
 */
export interface Handlers<in M, out E, out R> {
  readonly receive: (message: M) => Effect.Effect<void, E, R> | void
  /** Called after every drained batch (at most `BATCH_MAX` messages) and after `timerFired`: flush what is to be sent. */
  readonly afterBatch?: () => Effect.Effect<void, E, R> | void
  /**
   * When to call `timerFired`, in monotonic milliseconds; `undefined` or `Infinity` for never. Asked at the start and
   * after each batch; only the last answer counts.
   */
  readonly deadlineMs?: () => number | undefined
  /** The deadline is due. It should move the deadline ahead. */
  readonly timerFired?: () => Effect.Effect<void, E, R> | void
}

/** Makes the handlers of one life. */
export type Start<M, E, R> = Effect.Effect<Handlers<M, E, R>, E, R | Scope.Scope>

/** An actor to be spawned. */
export interface Behaviour<in out M, out E, out R> {
  /** For errors and logs; need not be unique. */
  readonly name: string
  readonly mailbox: MailboxOptions
  /**
   * Begins a life, in a fresh scope that ends with it: state, resources and children are made here. As a function it is
   * given the actor's own reference, for children that report to it.
   */
  readonly start: Start<M, E, R> | ((self: ActorRef<M>) => Start<M, E, R>)
  readonly restart: RestartPolicy
  /**
   * Tells the parent of the end: after the last finalizer, once. It begins before `stop` and `exit` return but is not
   * waited for, so that it may wait for the parent's mailbox.
   */
  readonly onExit?: (exit: ActorExit) => Effect.Effect<void>
}

/** Messages handled before the flush, the timer and other fibers get their turn. */
export const BATCH_MAX = 64

/** Times in a row that a deadline may be due again at once; then the timer's grain passes before it is asked again. */
export const TIMER_STREAK_MAX = 8

/** The handle of an actor: everything other code may do with it. Valid after the actor's death, when it refuses. */
import { type Cause, Data, type Deferred, type Effect } from "effect"
import type { ActorStopped, AskTimeout, MailboxFull } from "./ActorError.ts"

/**
 * How an actor ended. `Stopped`: asked to, by `stop`, `Actor.stopSelf` or the end of its scope. `Failed`: its last
 * life ended with `cause` and its restart policy allowed no other, after `restarts` restarts over its whole time.
 */
export type ActorExit = Data.TaggedEnum<{
  Stopped: {}
  Failed: { readonly cause: Cause.Cause<unknown>; readonly restarts: number }
}>
/** Constructors and matchers of `ActorExit`. */
export const ActorExit = Data.taggedEnum<ActorExit>()

/** Messages of one sender arrive in order, each at most once. */
export interface ActorRef<in M> {
  readonly name: string
  /**
   * Delivers one message. A full mailbox suspends the sender under `backpressure`, fails under `fail`, and drops a
   * message (counted, and the sender is not told) under the other two policies.
   */
  readonly tell: (message: M) => Effect.Effect<void, ActorStopped | MailboxFull>
  /** For callbacks and hot paths: false when the message was not taken, because full or stopped; counted. */
  readonly tellUnsafe: (message: M) => boolean
  /**
   * Sends a message that carries a reply slot and waits for the answer, by default `ASK_TIMEOUT_MS` in all. A message
   * that a full mailbox refuses fails at once with `MailboxFull`; one that the actor crashed on ends in `AskTimeout`.
   */
  readonly ask: <A, E = never>(
    message: (reply: Deferred.Deferred<A, E>) => M,
    timeoutMs?: number
  ) => Effect.Effect<A, E | ActorStopped | MailboxFull | AskTimeout>
  /**
   * Interrupts what the actor does, runs its finalizers in reverse order, discards its mailbox, and waits for all of
   * that; called by the actor itself it does not wait. Idempotent.
   */
  readonly stop: Effect.Effect<void>
  /** Waits for the end. */
  readonly exit: Effect.Effect<ActorExit>
  /** Messages not taken or discarded because the mailbox was full or the actor stopped, since the spawn. */
  readonly dropped: () => number
}

/** How long an `ask` waits unless told otherwise. */
export const ASK_TIMEOUT_MS = 5000

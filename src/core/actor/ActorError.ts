/** What can go wrong between actors. Each error names the actor it is about. */
import { Schema } from "effect"

/** The actor has ended, or ended before it answered. */
export class ActorStopped extends Schema.TaggedError<ActorStopped>()("ActorStopped", { actor: Schema.String }) {}

/** The mailbox had no room and its overflow policy did not take the message. */
export class MailboxFull extends Schema.TaggedError<MailboxFull>()("MailboxFull", {
  actor: Schema.String,
  capacity: Schema.Finite
}) {}

/** No answer within the time given: the actor is slow, dropped the message, or failed while handling it. */
export class AskTimeout extends Schema.TaggedError<AskTimeout>()("AskTimeout", {
  actor: Schema.String,
  timeoutMs: Schema.Finite
}) {}

/** A supervisor gave up: its children failed more often than its restart intensity allows. */
export class RestartLimitReached extends Schema.TaggedError<RestartLimitReached>()("RestartLimitReached", {
  actor: Schema.String,
  /** The child whose failure was one too many. */
  child: Schema.String,
  intensity: Schema.Finite,
  periodMs: Schema.Finite
}) {}

/** The name is held by a live actor of the same system. */
export class NameTaken extends Schema.TaggedError<NameTaken>()("NameTaken", { actor: Schema.String }) {}

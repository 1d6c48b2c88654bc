/**
 * A server's process as its session sees it: two byte streams and an end (mcp §2.2). `ChildProcess` starts real ones;
 * tests and other kinds of upstream supply their own.
 */
import { type Effect, Schema } from "effect"
import type { Duplex } from "../../../core/net/Duplex.ts"

/** The command could not be started. `detail` stays on this host (mcp §8, rule 12). */
export class CannotStart extends Schema.TaggedError<CannotStart>()("CannotStart", { detail: Schema.String }) {}

/** Starting one more would pass a bound of this host; later it may not. */
export class TooManyStarts extends Schema.TaggedError<TooManyStarts>()("TooManyStarts", { detail: Schema.String }) {}

/** The standard streams broke, which happens when the process dies. */
export class ChildGone extends Schema.TaggedError<ChildGone>()("ChildGone", { detail: Schema.String }) {}

/** A running child: a process, or the session of an upstream URL that stands for one (`HttpUpstream`). Its scope's end stops it: standard input closes, then SIGTERM, then SIGKILL to its whole group. */
export interface Child {
  /** Absent where no process of ours serves. */
  readonly pid: number | undefined
  /** Standard output is read, standard input written; `end` closes standard input. */
  readonly stdio: Duplex<ChildGone>
  /** Completes when the process has ended, in whatever way, with a word about it for the owner's log. */
  readonly exited: Effect.Effect<string>
  /** The last lines of standard error, oldest first. They stay on this host. */
  readonly stderrTail: Effect.Effect<ReadonlyArray<string>>
  /** Requests that it certainly did not take, although they were written: a successor may have them. */
  readonly unsent?: () => ReadonlyArray<Uint8Array>
}

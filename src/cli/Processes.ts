/** Other processes as a command needs them: starting the program again in the background, asking who lives, signals. */
import { Context, type Effect, Schema } from "effect"

/** A background process could not be started. */
export class SpawnError extends Schema.TaggedError<SpawnError>()("SpawnError", { detail: Schema.String }) {}

/** A started background process. */
export interface Background {
  readonly pid: number
  /** Completes if it ends while this process still lives. */
  readonly exited: Effect.Effect<void>
}

/** The processes of this host. */
export class Processes extends Context.Service<
  Processes,
  {
    readonly ownPid: number
    /**
     * Starts this program with other words, in a session of its own, its output appended to a file of mode 0600. It
     * outlives this process. `nodeOptions` stand before those that this process was started with.
     */
    readonly startAgain: (
      words: ReadonlyArray<string>,
      logPath: string,
      variables: Readonly<Record<string, string>>,
      nodeOptions?: ReadonlyArray<string>
    ) => Effect.Effect<Background, SpawnError>
    /** A process of this id lives and, where the system tells, is one of this program's. */
    readonly isAlive: (pid: number) => Effect.Effect<boolean>
    /** False when there is no such process, or it is not ours to signal. */
    readonly signal: (pid: number, signal: "SIGTERM" | "SIGKILL") => Effect.Effect<boolean>
    /** From now on SIGINT and SIGTERM are the regular end of this process: exit code 0 (node §11). */
    readonly endsOnSignal: Effect.Effect<void>
    /** Of this process since its start, and what of it is in memory now. */
    readonly usage: Effect.Effect<{ readonly processorMs: number; readonly residentBytes: number }>
    /** What the heap holds and does not need goes back to the system; everything stands still meanwhile. */
    readonly giveMemoryBack: Effect.Effect<void>
  }
>()("effect-pilot/cli/Processes") {}

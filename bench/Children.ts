/** Processes of a measurement: they end with the scope, and talk over a channel. */
import { type ChildProcess, execFile, spawn } from "node:child_process"
import { Effect, Schema, type Scope } from "effect"

/** A process ended without what it was started for. */
export class ChildFailed extends Schema.TaggedError<ChildFailed>()("ChildFailed", { detail: Schema.String }) {
  override get message(): string {
    return this.detail
  }
}

/** Starts a command with a channel; killed with the scope, and gone when the scope has ended. `env` is added to ours. */
export const start = (
  [program = "", ...args]: ReadonlyArray<string>,
  env: Readonly<Record<string, string>> = {},
  cwd?: string
): Effect.Effect<ChildProcess, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() =>
      spawn(program, args, {
        stdio: ["ignore", "inherit", "inherit", "ipc"],
        serialization: "advanced",
        env: { ...process.env, ...env },
        cwd
      })
    ),
    (child) =>
      Effect.callback<void>((resume) => {
        if (child.exitCode !== null || child.signalCode !== null) return resume(Effect.void)
        child.once("exit", () => resume(Effect.void))
        // A thread of the shaper may be blocked in reading.
        child.kill("SIGKILL")
      })
  )

/** The next message of a child. */
export const message = (child: ChildProcess): Effect.Effect<unknown, ChildFailed> =>
  Effect.callback<unknown, ChildFailed>((resume) => {
    const forget = () => child.off("exit", ended).off("error", ended).off("message", received)
    const ended = (why: unknown) => {
      forget()
      resume(new ChildFailed({ detail: `${child.spawnargs.join(" ")} ended: ${why}` }))
    }
    const received = (value: unknown) => {
      forget()
      resume(Effect.succeed(value))
    }
    if (child.exitCode !== null) return ended(child.exitCode)
    child.once("exit", ended).once("error", ended).once("message", received)
    return Effect.sync(forget)
  })

/** Waits for the end of a child, however it ends. */
export const ended = (child: ChildProcess): Effect.Effect<void> =>
  Effect.callback((resume) => {
    if (child.exitCode !== null || child.signalCode !== null) return resume(Effect.void)
    const onExit = () => resume(Effect.void)
    child.once("exit", onExit)
    return Effect.sync(() => void child.off("exit", onExit))
  })

/** Runs a command to its end. */
export const run = (
  [program = "", ...args]: ReadonlyArray<string>,
  env: Readonly<Record<string, string | undefined>> = process.env
): Effect.Effect<void, ChildFailed> =>
  Effect.callback((resume) => {
    execFile(program, args, { env }, (error) =>
      resume(error === null ? Effect.void : new ChildFailed({ detail: error.message }))
    )
  })

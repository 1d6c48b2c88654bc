/** A process that outlives this one: in a session of its own, its output appended to a file of mode 0600. */
import { spawn } from "node:child_process"
import { closeSync, openSync } from "node:fs"
import process from "node:process"
import { Effect, Schema } from "effect"

/** It could not be started. */
export class CannotStartInBackground extends Schema.TaggedError<CannotStartInBackground>()("CannotStartInBackground", {
  detail: Schema.String
}) {
  override get message(): string {
    return this.detail
  }
}

/** A started background process. `exited` completes if it ends while this process still lives. */
export interface Started {
  readonly pid: number
  readonly exited: Effect.Effect<void>
}

/** Starts it; `variables` are added to the environment of this process. */
export const start = (
  program: string,
  args: ReadonlyArray<string>,
  logPath: string,
  variables: Readonly<Record<string, string>>
): Effect.Effect<Started, CannotStartInBackground> =>
  Effect.callback((resume) => {
    const log = open(logPath)
    if (typeof log === "string") return resume(new CannotStartInBackground({ detail: log }))
    const child = spawn(program, args, {
      detached: true,
      stdio: ["ignore", log, log],
      env: { ...process.env, ...variables }
    })
    closeSync(log)
    const exited = new Promise<void>((resolve) => {
      child.once("exit", () => resolve())
    })
    child.once("error", (error) => resume(new CannotStartInBackground({ detail: error.message })))
    child.once("spawn", () => {
      // Only a command that waits for the child keeps this process alive.
      child.unref()
      resume(Effect.succeed({ pid: child.pid ?? 0, exited: Effect.promise(() => exited) }))
    })
  })

const open = (path: string): number | string => {
  try {
    return openSync(path, "a", 0o600)
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}

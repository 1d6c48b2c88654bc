/** Processes of the operating system. */
import { spawn } from "node:child_process"
import { closeSync, openSync, readFileSync } from "node:fs"
import process from "node:process"
import { Effect, Layer } from "effect"
import { CliHost } from "./CliHost.ts"
import { type Background, Processes, SpawnError } from "./Processes.ts"

/** The processes of this host. */
export const layer: Layer.Layer<Processes, never, CliHost> = Layer.effect(
  Processes,
  Effect.map(CliHost, ({ nodeOptions, nodePath, programPath }) => ({
    ownPid: process.pid,
    startAgain: (words, logPath, variables) =>
      startAgain(nodePath, [...nodeOptions, programPath, ...words], logPath, variables),
    isAlive: (pid) => Effect.sync(() => canSignal(pid) && isOurProgram(pid)),
    signal: (pid, signal) =>
      Effect.sync(() => {
        try {
          return process.kill(pid, signal)
        } catch {
          return false
        }
      }),
    endsOnSignal: Effect.sync(() => {
      process.exitCode = 0
    })
  }))
)

const startAgain = (
  program: string,
  args: ReadonlyArray<string>,
  logPath: string,
  variables: Readonly<Record<string, string>>
): Effect.Effect<Background, SpawnError> =>
  Effect.callback((resume) => {
    const log = open(logPath)
    if (typeof log === "string") return resume(Effect.fail(new SpawnError({ detail: log })))
    const child = spawn(program, args, {
      detached: true,
      stdio: ["ignore", log, log],
      env: { ...process.env, ...variables }
    })
    closeSync(log)
    const exited = new Promise<void>((resolve) => {
      child.once("exit", () => resolve())
    })
    child.once("error", (error) => resume(Effect.fail(new SpawnError({ detail: error.message }))))
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

const canSignal = (pid: number): boolean => {
  try {
    return process.kill(pid, 0)
  } catch (error) {
    return error instanceof Error && "code" in error && error.code === "EPERM"
  }
}

/** Process ids are used again; where `/proc` tells, another program under the id in a stale file is not taken for ours. */
const isOurProgram = (pid: number): boolean => {
  try {
    return /daemon|rendezvous|keeper|pilot/.test(readFileSync(`/proc/${pid}/cmdline`, "utf8"))
  } catch {
    return true
  }
}

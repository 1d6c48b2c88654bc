/**
 * Processes that tests start: everything of one test lives under one temporary directory, by which it is found again
 * and ended, whatever the test came to.
 */
import { type ChildProcess, spawn } from "node:child_process"
import { mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync } from "node:fs"
import { createServer } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Effect, Schedule, Schema, type Scope } from "effect"
import * as Pilotctl from "../../examples/demo/Pilotctl.ts"
import * as Json from "../../src/core/data/Json.ts"

/** A process ended before it said what it was awaited for. */
export class ProcessEnded extends Schema.TaggedError<ProcessEnded>()("ProcessEnded", {
  code: Schema.String,
  output: Schema.String
}) {}

/** A temporary directory. When the scope ends, the processes that name it are killed and it is removed. */
export const directory: Effect.Effect<string, never, Scope.Scope> = Effect.acquireRelease(
  Effect.sync(() => realpathSync(mkdtempSync(join(tmpdir(), "pilot-")))),
  (path) =>
    Effect.andThen(
      killAll(path),
      Effect.sync(() => rmSync(path, { recursive: true, force: true }))
    )
)

/** The processes whose command line or environment names that directory, this one aside. */
export const living = (path: string): ReadonlyArray<number> =>
  readdirSync("/proc")
    .filter((entry) => /^\d+$/.test(entry) && Number(entry) !== process.pid)
    .filter((pid) => ["cmdline", "environ"].some((file) => procFile(pid, file).includes(path)))
    .map(Number)

/** Those of them that run `word`, such as `_daemon-run`. */
export const running = (path: string, word: string): ReadonlyArray<number> =>
  living(path).filter((pid) => procFile(String(pid), "cmdline").split("\0").includes(word))

/** Kills them and waits until they are gone. */
export const killAll = (path: string): Effect.Effect<void> =>
  until(
    Effect.sync(() => {
      const pids = living(path)
      for (const pid of pids) kill(pid, "SIGKILL")
      return pids.length === 0
    })
  )

/** Ends a process at once, as `kill -9` does, and waits until it is gone. */
export const killNow = (pid: number): Effect.Effect<void> =>
  Effect.andThen(
    Effect.sync(() => kill(pid, "SIGKILL")),
    until(Effect.sync(() => !isAlive(pid)))
  )

/** Whether a process runs; one that has ended and waits for its parent does not. Its other threads hold its sockets open. */
export const isAlive = (pid: number): boolean => {
  const stat = procFile(String(pid), "stat")
  return stat !== "" && (!/\) Z /.test(stat) || threadsOf(pid) > 1)
}

const threadsOf = (pid: number): number => {
  try {
    return readdirSync(`/proc/${pid}/task`).length
  } catch {
    return 0
  }
}

/** Waits for a condition, asked again and again; the test's own time limit ends a wait that is in vain. */
export const until = <E, R>(condition: Effect.Effect<boolean, E, R>): Effect.Effect<void, E, R> =>
  Effect.asVoid(Effect.repeat(condition, { until: (holds) => holds, schedule: Schedule.spaced("50 millis") }))

/** A port of this machine that nothing listens at now. */
export const freePort: Effect.Effect<number> = Effect.callback((resume) => {
  const server = createServer().listen(0, "127.0.0.1", () => {
    const address = server.address()
    server.close(() => resume(Effect.succeed(typeof address === "object" && address !== null ? address.port : 0)))
  })
})

/** What a command came to. */
export interface Outcome {
  /** Null when a signal ended it. */
  readonly exitCode: number | null
  readonly stdout: string
  readonly stderr: string
}

/** Runs `pilotctl` of this checkout to its end, whatever it says. */
export const pilotctl = (
  home: string,
  args: ReadonlyArray<string>,
  environment: Readonly<Record<string, string>> = {}
): Effect.Effect<Outcome> =>
  run(process.execPath, [Pilotctl.PROGRAM, ...args], { ...Pilotctl.environment(home), ...environment })

/** Runs a program to its end, whatever it says. */
export const run = (
  program: string,
  args: ReadonlyArray<string>,
  environment: Readonly<Record<string, string>>,
  cwd?: string
): Effect.Effect<Outcome> =>
  Effect.callback((resume) => {
    const child = spawn(program, args, { env: environment, stdio: ["ignore", "pipe", "pipe"], ...(cwd && { cwd }) })
    const output = { stdout: "", stderr: "" }
    for (const stream of ["stdout", "stderr"] as const)
      child[stream].on("data", (chunk: Buffer) => {
        output[stream] += chunk.toString()
      })
    child.on("close", (exitCode) => resume(Effect.succeed({ exitCode, ...output })))
    return Effect.sync(() => child.kill("SIGKILL"))
  })

/** The error a failed command put on standard error with `--json`. */
export const errorOf = ({ stderr }: Outcome): typeof CommandError.Type =>
  Schema.decodeUnknownSync(CommandError)(Json.parseObject(stderr.trim().split("\n").at(-1) ?? "") ?? { stderr })

const CommandError = Schema.Struct({
  status: Schema.Literal("error"),
  code: Schema.String,
  message: Schema.String,
  hint: Schema.optionalKey(Schema.String)
})

/** A program that runs while the test watches what it prints. */
export interface Watched {
  readonly child: ChildProcess
  /** Everything on its standard output so far. */
  readonly output: () => string
  /** Waits until the output contains that text; fails if the program ends first. */
  readonly printed: (text: string) => Effect.Effect<void, Error>
  readonly exited: Effect.Effect<number | string>
}

/** Starts it in a process group of its own, as a shell does, so that a signal can reach all of it at once. */
export const watch = (
  program: string,
  args: ReadonlyArray<string>,
  environment: Readonly<Record<string, string>>
): Effect.Effect<Watched, never, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Effect.sync(() => spawn(program, args, { env: environment, stdio: ["ignore", "pipe", "pipe"], detached: true })),
      (child) => Effect.sync(() => child.kill("SIGKILL"))
    ),
    watched
  )

const watched = (child: ReturnType<typeof spawn>): Watched => {
  let output = ""
  let ended: number | string | undefined
  for (const stream of [child.stdout, child.stderr])
    stream?.on("data", (chunk: Buffer) => {
      output += chunk.toString()
    })
  child.on("close", (code, signal) => {
    ended = code ?? signal ?? "gone"
  })
  return {
    child,
    output: () => output,
    printed: (text) =>
      until(
        Effect.suspend(() => {
          if (output.includes(text)) return Effect.succeed(true)
          return ended === undefined
            ? Effect.succeed(false)
            : Effect.fail(new ProcessEnded({ code: String(ended), output }))
        })
      ),
    exited: Effect.flatMap(until(Effect.sync(() => ended !== undefined)), () => Effect.sync(() => ended ?? "gone"))
  }
}

const kill = (pid: number, signal: NodeJS.Signals): void => {
  try {
    process.kill(pid, signal)
  } catch {
    // Gone already.
  }
}

/** Empty for a process that is gone. */
const procFile = (pid: string, file: string): string => {
  try {
    return readFileSync(`/proc/${pid}/${file}`, "utf8")
  } catch {
    return ""
  }
}

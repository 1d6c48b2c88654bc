/**
 * Starts and stops servers as child processes (mcp §2.2, §8 rule 1): an argument vector without a shell, a minimal
 * environment, a process group of its own. It stops in the order that servers expect, and takes grandchildren along.
 */
import { Cause, Deferred, Effect, type Scope, type Sink, Stream } from "effect"
import * as Process from "effect/process/ChildProcess"
import { ChildProcessSpawner } from "effect/process/ChildProcessSpawner"
import { Signal } from "../../../core/actor/Signal.ts"
import type { Duplex } from "../../../core/net/Duplex.ts"
import * as TurnWriter from "../../../core/net/TurnWriter.ts"
import { LineSplitter } from "../../../protocol/relay/LineSplitter.ts"
import { CannotStart, type Child, ChildGone } from "./Child.ts"

/** What to start. */
export interface Command {
  readonly command: string
  readonly args: ReadonlyArray<string>
  readonly cwd: string | undefined
  /** Added to the inherited minimum. */
  readonly env: Readonly<Record<string, string>>
}

/** Starts a child in the surrounding scope. `inherited` is the environment of this process. */
export const spawn = Effect.fn("ChildProcess.spawn")(function* (
  command: Command,
  inherited: Readonly<Record<string, string | undefined>>
): Effect.fn.Return<Child, CannotStart, ChildProcessSpawner | Scope.Scope> {
  const spawner = yield* ChildProcessSpawner
  const handle = yield* Effect.mapError(
    spawner.spawn(
      Process.make(command.command, command.args, {
        ...(command.cwd === undefined ? {} : { cwd: command.cwd }),
        env: environment(inherited, command.env),
        extendEnv: false,
        shell: false,
        detached: true,
        killSignal: "SIGTERM",
        forceKillAfter: STOP_STEP
      })
    ),
    (error) => new CannotStart({ detail: error.message })
  )
  const exited = yield* Deferred.make<string>()
  yield* Effect.exit(handle.exitCode).pipe(
    Effect.flatMap((exit) =>
      Deferred.succeed(
        exited,
        exit._tag === "Success" ? `it ended with status ${exit.value}` : "it was ended by a signal"
      )
    ),
    Effect.forkScoped
  )
  const input = yield* openInput(handle.stdin)
  const output = yield* Stream.toPull(handle.stdout)
  const tail = yield* keepTail(handle.stderr)
  // Runs before the finalizers of the spawner: whoever listens to its input may still end in peace.
  yield* Effect.addFinalizer(() =>
    Effect.andThen(input.end, Deferred.await(exited)).pipe(
      Effect.timeoutOption(STOP_STEP),
      Effect.andThen(handle.kill({ killSignal: "SIGTERM", forceKillAfter: STOP_STEP })),
      Effect.ignore
    )
  )
  return {
    pid: handle.pid,
    stdio: { ...input, read: yield* readFrom(output, exited) },
    exited: Deferred.await(exited),
    stderrTail: Effect.sync(() => [...tail])
  }
})

/** HOME and its like, then what was configured; a value starting with `()` is a shell function and never passed on. */
export const environment = (
  inherited: Readonly<Record<string, string | undefined>>,
  configured: Readonly<Record<string, string>>
): Record<string, string> => {
  const environment: Record<string, string> = {}
  for (const name of INHERITED) {
    const value = inherited[name]
    if (value !== undefined && !value.startsWith("()")) environment[name] = value
  }
  return { ...environment, ...configured }
}

/** Writes to standard input; what is written while the pipe is busy goes there together. */
const openInput = <E>(
  stdin: Sink.Sink<void, Uint8Array, never, E>
): Effect.Effect<Pick<Duplex<ChildGone>, "write" | "end">, never, Scope.Scope> =>
  Effect.gen(function* () {
    const changed = new Signal()
    let waiting: Write | undefined
    let current: Write | undefined
    let isEnding = false
    let isClosed = false
    const closed = new ChildGone({ detail: "standard input is closed" })
    // The sink asks for the next chunk only when the pipe has taken the last.
    const pull: Effect.Effect<readonly [Uint8Array], Cause.Done> = Effect.suspend(() => {
      current?.resume(Effect.void)
      current = waiting
      waiting = undefined
      if (current !== undefined) return Effect.succeed([current.bytes] as const)
      if (isEnding) return Cause.done()
      return Effect.andThen(
        changed.waitUnless(() => waiting !== undefined || isEnding),
        pull
      )
    })
    yield* Stream.fromPull(Effect.succeed(pull)).pipe(
      Stream.run(stdin),
      Effect.onExit(() =>
        Effect.sync(() => {
          isClosed = true
          for (const write of [current, waiting]) write?.resume(closed)
        })
      ),
      Effect.ignore,
      Effect.forkScoped({ startImmediately: true })
    )
    const writer = yield* TurnWriter.make((bytes) =>
      Effect.callback<void, ChildGone>((resume) => {
        if (isClosed || isEnding) return resume(closed)
        waiting = { bytes, resume }
        changed.raise()
      })
    )
    const end = Effect.sync(() => {
      isEnding = true
      changed.raise()
    })
    return { write: writer.write, end: Effect.andThen(Effect.timeoutOption(writer.flushed, STOP_STEP), end) }
  })

interface Write {
  readonly bytes: Uint8Array
  readonly resume: (taken: Effect.Effect<void, ChildGone>) => void
}

/**
 * The next chunk of standard output. A grandchild may hold the pipe open after the process has ended: what the process
 * wrote is read, then its end counts.
 */
const readFrom = <E>(
  output: Effect.Effect<ReadonlyArray<Uint8Array>, E | Cause.Done>,
  exited: Deferred.Deferred<string>
): Effect.Effect<Effect.Effect<Uint8Array, ChildGone | Cause.Done>, never, Scope.Scope> =>
  Effect.gen(function* () {
    const wanted = new Signal()
    const changed = new Signal()
    let isWanted = false
    let waiting: Array<Uint8Array> = []
    let end: ChildGone | Cause.Done | undefined
    const finish = (reason: ChildGone | Cause.Done) =>
      Effect.sync(() => {
        end ??= reason
        changed.raise()
      })
    // One fiber reads for all chunks: racing each with the end of the process would cost more than the chunk.
    yield* Effect.gen(function* () {
      while (true) {
        yield* wanted.waitUnless(() => isWanted)
        isWanted = false
        // First the chunks, then where they go: a reader replaces what waits while this fiber waits.
        const chunks = yield* output
        waiting.push(...chunks)
        changed.raise()
      }
    }).pipe(
      Effect.catch((error) =>
        finish(Cause.isDone(error) ? Cause.Done() : new ChildGone({ detail: "standard output broke" }))
      ),
      Effect.forkScoped({ startImmediately: true })
    )
    yield* Deferred.await(exited).pipe(
      Effect.andThen(Effect.sleep(OUTPUT_GRACE)),
      Effect.andThen(finish(Cause.Done())),
      Effect.forkScoped
    )
    const read: Effect.Effect<Uint8Array, ChildGone | Cause.Done> = Effect.suspend(() => {
      const [first, ...others] = waiting
      if (first !== undefined) {
        waiting = others
        return Effect.succeed(first)
      }
      if (end !== undefined) return Effect.fail(end)
      isWanted = true
      wanted.raise()
      return Effect.andThen(
        changed.waitUnless(() => waiting.length > 0 || end !== undefined),
        read
      )
    })
    return read
  })

/** Reads standard error to its end, so that the child never waits for it, and keeps the last lines. */
const keepTail = <E>(stderr: Stream.Stream<Uint8Array, E>): Effect.Effect<Array<string>, never, Scope.Scope> =>
  Effect.gen(function* () {
    const tail: Array<string> = []
    const splitter = new LineSplitter(STDERR_LINE_BYTES_MAX)
    yield* Stream.runForEach(stderr, (chunk) =>
      Effect.sync(() => {
        for (const line of splitter.push(chunk)) {
          tail.push(
            line._tag === "Whole" ? new TextDecoder().decode(line.bytes) : `(a line of ${line.sizeBytes} bytes)`
          )
        }
        if (tail.length > STDERR_LINES_MAX) tail.splice(0, tail.length - STDERR_LINES_MAX)
      })
    ).pipe(Effect.ignore, Effect.forkScoped)
    return tail
  })

/** The default of the official SDKs (mcp §2.2). */
const INHERITED = ["HOME", "LOGNAME", "PATH", "SHELL", "TERM", "USER"]
/** The official SDKs wait as long at each step (mcp §2.2). */
const STOP_STEP = "2 seconds"
const OUTPUT_GRACE = "500 millis"
const STDERR_LINES_MAX = 50
const STDERR_LINE_BYTES_MAX = 4096

/**
 * Starts and stops servers as child processes (mcp §2.2, §8 rule 1): an argument vector without a shell, a minimal
 * environment, a process group of its own. It stops in the order that servers expect, and takes grandchildren along.
 */
import { Cause, Deferred, Effect, Queue, type Scope, type Sink, Stream } from "effect"
import * as Process from "effect/process/ChildProcess"
import { ChildProcessSpawner } from "effect/process/ChildProcessSpawner"
import type { Duplex } from "../../core/net/Duplex.ts"
import { LineSplitter } from "../../protocol/relay/LineSplitter.ts"
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
    stdio: { ...input, read: readFrom(output, exited) },
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

/** Writes to standard input one after the other; each completes when the pipe has taken the bytes. */
const openInput = <E>(
  stdin: Sink.Sink<void, Uint8Array, never, E>
): Effect.Effect<Pick<Duplex<ChildGone>, "write" | "end">, never, Scope.Scope> =>
  Effect.gen(function* () {
    const writes = yield* Queue.bounded<Write, Cause.Done>(1)
    const closed = yield* Deferred.make<never, ChildGone>()
    let current: Write | undefined
    // The sink asks for the next chunk only when the pipe has taken the last.
    const pull = Effect.suspend(() => {
      if (current !== undefined) Deferred.doneUnsafe(current.taken, Effect.void)
      current = undefined
      return Effect.map(Queue.take(writes), (write) => {
        current = write
        return [write.bytes] as const
      })
    })
    yield* Stream.fromPull(Effect.succeed(pull)).pipe(
      Stream.run(stdin),
      Effect.onExit(() => Deferred.fail(closed, new ChildGone({ detail: "standard input is closed" }))),
      Effect.ignore,
      Effect.forkScoped
    )
    const write = Effect.fnUntraced(function* (bytes: Uint8Array) {
      const taken = Deferred.makeUnsafe<void>()
      yield* Queue.offer(writes, { bytes, taken })
      yield* Effect.raceFirst(Deferred.await(taken), Deferred.await(closed))
    })
    return {
      write: (bytes) => Effect.raceFirst(write(bytes), Deferred.await(closed)),
      end: Effect.asVoid(Queue.end(writes))
    }
  })

interface Write {
  readonly bytes: Uint8Array
  readonly taken: Deferred.Deferred<void>
}

/**
 * The next chunk of standard output. A grandchild may hold the pipe open after the process has ended: what the process
 * wrote is read, then its end counts.
 */
const readFrom = <E>(
  output: Effect.Effect<ReadonlyArray<Uint8Array>, E | Cause.Done>,
  exited: Deferred.Deferred<string>
): Effect.Effect<Uint8Array, ChildGone | Cause.Done> => {
  const waiting: Array<Uint8Array> = []
  const afterExit = Deferred.await(exited).pipe(
    Effect.andThen(Effect.sleep(OUTPUT_GRACE)),
    Effect.andThen(Cause.done())
  )
  return Effect.suspend(() => {
    const first = waiting.shift()
    if (first !== undefined) return Effect.succeed(first)
    return Effect.raceFirst(output, afterExit).pipe(
      Effect.mapError((error) =>
        Cause.isDone(error) ? Cause.Done() : new ChildGone({ detail: "standard output broke" })
      ),
      Effect.map((chunks) => {
        waiting.push(...chunks.slice(1))
        return chunks[0] ?? new Uint8Array(0)
      })
    )
  })
}

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

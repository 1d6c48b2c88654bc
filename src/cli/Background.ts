/**
 * What `daemon` and `rendezvous` have in common: a process in the background with a pid file and a log, started until it
 * is ready, stopped until it is gone (cli §3).
 */
import { Duration, Effect, FileSystem, Option } from "effect"
import * as Json from "../core/data/Json.ts"
import * as AtomicFile from "../core/storage/AtomicFile.ts"
import * as CliError from "./CliError.ts"
import type { Environment, Input } from "./Command.ts"
import * as LogFile from "./LogFile.ts"
import { type Background, Processes } from "./Processes.ts"
import * as Terminal from "./Terminal.ts"

/** One kind of background process. */
export interface Kind {
  /** `daemon`, `rendezvous`: the word in messages. */
  readonly name: string
  readonly pidPath: string
  readonly logPath: string
  /** What Node is told when it is started. */
  readonly nodeOptions?: ReadonlyArray<string>
}

/** The process of the pid file if it lives; a stale file is removed. */
export const livePid = Effect.fnUntraced(function* ({ pidPath }: Kind) {
  const files = yield* FileSystem.FileSystem
  const processes = yield* Processes
  const text = yield* Effect.orElseSucceed(files.readFileString(pidPath), () => "")
  if (text === "") return undefined
  const pid = /^\s*\d{1,9}\s*$/.test(text) ? Number(text) : 0
  if (pid > 0 && (yield* processes.isAlive(pid))) return pid
  yield* Effect.ignore(files.remove(pidPath))
  return undefined
})

/** This process is the one of the pid file until the scope ends, and keeps its log in bounds. */
export const own = (kind: Kind) => Effect.andThen(claimPid(kind), Effect.forkScoped(LogFile.bound(kind.logPath)))

const claimPid = Effect.fnUntraced(function* ({ pidPath }: Kind) {
  const files = yield* FileSystem.FileSystem
  const { ownPid } = yield* Processes
  const write = files.writeFileString(pidPath, String(ownPid), { mode: 0o600 })
  yield* Effect.mapError(write, (error) =>
    CliError.make("internal", `cannot write ${pidPath}: ${AtomicFile.explained(pidPath, error).message}`)
  )
  const release = Effect.flatMap(
    Effect.orElseSucceed(files.readFileString(pidPath), () => ""),
    (text) => (text.trim() === String(ownPid) ? Effect.ignore(files.remove(pidPath)) : Effect.void)
  )
  yield* Effect.addFinalizer(() => release)
})

/**
 * Starts the program again with `words` and waits until it is ready, or says why it is not. Whoever interrupts the
 * waiting does not want the process either: it is stopped.
 */
export const start = Effect.fnUntraced(function* <A>(
  kind: Kind,
  input: Input,
  words: ReadonlyArray<string>,
  variables: Readonly<Record<string, string>>,
  ready: Effect.Effect<Option.Option<A>, never, Environment>
): Effect.fn.Return<{ readonly pid: number; readonly answer: A }, CliError.CliError, Environment> {
  const processes = yield* Processes
  const started = Effect.mapError(
    processes.startAgain(words, kind.logPath, variables, kind.nodeOptions),
    ({ detail }) =>
      CliError.make(
        "internal",
        `cannot start the ${kind.name}: ${detail}`,
        "choose another state directory with PILOT_HOME"
      )
  )
  // The log outlives its processes; what an earlier one said is not the reason of this one.
  const logBytesBefore = yield* sizeOf(kind.logPath)
  const abandon = ({ pid, exited }: Background) => Effect.andThen(processes.signal(pid, "SIGTERM"), exited)
  return yield* Effect.uninterruptibleMask((restore) =>
    Effect.flatMap(started, (background) =>
      restore(announced(kind, input, awaitReady(kind, input, background, logBytesBefore, ready), background.pid)).pipe(
        Effect.onInterrupt(() => abandon(background)),
        Effect.map((answer) => ({ pid: background.pid, answer }))
      )
    )
  )
})

/** SIGTERM, then patience, then SIGKILL; true when force was needed. */
export const stop = Effect.fnUntraced(function* (kind: Kind, pid: number) {
  const files = yield* FileSystem.FileSystem
  const processes = yield* Processes
  if (!(yield* processes.signal(pid, "SIGTERM")))
    return yield* CliError.make("permission_denied", `the ${kind.name} (pid ${pid}) is not yours to stop`)
  const isGone = Effect.map(processes.isAlive(pid), (isAlive) => !isAlive)
  const gone = yield* Effect.timeoutOption(until(isGone), STOP_TIMEOUT)
  const isForced = Option.isNone(gone)
  if (isForced) yield* processes.signal(pid, "SIGKILL")
  yield* Effect.ignore(files.remove(kind.pidPath))
  return isForced
})

const announced = <A>(
  kind: Kind,
  input: Input,
  waiting: Effect.Effect<A, CliError.CliError, Environment>,
  pid: number
): Effect.Effect<A, CliError.CliError, Environment> => {
  if (input.json) return waiting
  return Terminal.printError(`starting ${kind.name} (pid ${pid})...`).pipe(
    Effect.andThen(waiting),
    Effect.ensuring(Terminal.printError("\n"))
  )
}

const sizeOf = (path: string): Effect.Effect<number, never, FileSystem.FileSystem> =>
  Effect.flatMap(FileSystem.FileSystem, (files) =>
    Effect.match(files.stat(path), { onFailure: () => 0, onSuccess: ({ size }) => Number(size) })
  )

const awaitReady = Effect.fnUntraced(function* <A>(
  kind: Kind,
  input: Input,
  { pid, exited }: Background,
  logBytesBefore: number,
  ready: Effect.Effect<Option.Option<A>, never, Environment>
): Effect.fn.Return<A, CliError.CliError, Environment> {
  const answer = until(Effect.map(ready, Option.getOrUndefined))
  const died = Effect.flatMap(exited, () => Effect.flatMap(lastWords(kind, logBytesBefore), Effect.fail))
  const dots = Effect.forever(
    Effect.andThen(Effect.sleep(DOT_INTERVAL), input.json ? Effect.void : Terminal.printError("."))
  )
  return yield* Effect.raceFirst(Effect.raceFirst(answer, died), dots).pipe(
    Effect.timeoutOrElse({
      duration: READY_TIMEOUT,
      orElse: () =>
        Effect.fail(
          CliError.make(
            "timeout",
            `${kind.name} started (pid ${pid}) but did not become ready within 15s`,
            `check logs: tail -f ${kind.logPath}`
          )
        )
    })
  )
})

/** A process of ours ends with its error as JSON; anything else is shown as it is. */
const lastWords = Effect.fnUntraced(function* ({ logPath, name }: Kind, logBytesBefore: number) {
  const files = yield* FileSystem.FileSystem
  const bytes = yield* Effect.orElseSucceed(files.readFile(logPath), () => new Uint8Array())
  const log = new TextDecoder().decode(bytes.subarray(logBytesBefore))
  const lines = log.trimEnd().split("\n").slice(-LAST_LINES)
  // What stops may still log after the error was printed.
  const error = lines
    .map(Json.parseObject)
    .findLast((line) => line !== undefined && Json.string(line, "status") === "error")
  if (error === undefined)
    return CliError.make("internal", `${name} ended at once: ${lines.at(-1)}`, `check logs: tail ${logPath}`)
  const hint = Json.string(error, "hint")
  return CliError.make(
    CliError.codeOf(Json.string(error, "code")),
    Json.string(error, "message"),
    hint === "" ? `check logs: tail ${logPath}` : hint
  )
})

/** Asks again and again until there is an answer. */
const until = <A, R>(question: Effect.Effect<A | undefined | false, never, R>): Effect.Effect<A, never, R> => {
  const again = Effect.suspend(() => Effect.andThen(Effect.sleep(POLL_INTERVAL), until(question)))
  return Effect.filterOrElse(question, isAnswer, () => again)
}

const isAnswer = <A>(answer: A | undefined | false): answer is A => answer !== undefined && answer !== false

/** How far back in the log the error of a process is looked for. */
const LAST_LINES = 20
const POLL_INTERVAL = Duration.millis(50)
const DOT_INTERVAL = Duration.seconds(1)
const READY_TIMEOUT = Duration.seconds(15)
const STOP_TIMEOUT = Duration.seconds(10)

/**
 * The record of calls on disk (mcp §6.10): `mcp-audit.jsonl`, mode 0600, appended to in batches, moved to `….1` when it is
 * large. Calls never wait for it: what cannot be written is counted, and the next line that can says how many were lost.
 *
 * Owns the file; told of calls by the gates of one `Keeper`.
 */
import { Clock, Effect, Exit, FileSystem, Latch, Queue, Scope } from "effect"
import * as LineFile from "../../../core/storage/LineFile.ts"
import * as AuditChain from "../../../protocol/relay/AuditChain.ts"

/** The record at work. */
export interface AuditLog {
  /** Notes a call, now or soon; never waits. */
  readonly record: (call: AuditChain.Call) => void
  /** Calls that could not be written. */
  readonly lost: () => number
  /** Waits until what was noted before is written or lost. */
  readonly flushed: Effect.Effect<void>
}

/** Runs what writes the file while no other process does. */
export type InTurn = (work: Effect.Effect<void, Failure>) => Effect.Effect<void, Failure>

/** Why calls could not be written. */
export interface Failure {
  readonly message: string
}

/**
 * The record at `path`, until the scope ends; goes on with the chain that is there. With `inTurn`, other processes write the
 * same file, and the chain goes on through the lines of all.
 */
export const make = Effect.fnUntraced(function* (
  path: string,
  sha256: AuditChain.Sha256,
  inTurn?: InTurn
): Effect.fn.Return<AuditLog, never, FileSystem.FileSystem | Scope.Scope> {
  const files = yield* FileSystem.FileSystem
  const waiting = yield* Queue.dropping<AuditChain.Call | Effect.Effect<void>>(WAITING_MAX)
  const hurry = Latch.makeUnsafe(false)
  let sizeBytes = 0
  let head: string | undefined
  let isFailing = false
  let opened: Opened | undefined
  /** All that were lost, and those that no line has told of yet. */
  let lost = 0
  let untold = 0

  /** The end of what is there. A torn last line, left by a crash, is cut off. */
  const resume = Effect.gen(function* () {
    if (!(yield* files.exists(path))) {
      sizeBytes = 0
      head = headOf((yield* Effect.orElseSucceed(LineFile.endOf(files, `${path}.1`), () => NO_END)).last, sha256)
      return
    }
    const end = yield* LineFile.endOf(files, path)
    sizeBytes = end.wholeBytes
    if (end.wholeBytes < end.sizeBytes) yield* files.truncate(path, sizeBytes)
    head = headOf(end.last, sha256)
  })

  const close = Effect.suspend(() => {
    const closing = opened
    opened = undefined
    return closing === undefined ? Effect.void : Scope.close(closing.scope, Exit.void)
  })

  yield* Effect.addFinalizer(() => close)

  /** The file to append to: kept open for a moment, because opening and closing it takes twice as long as the writing. */
  const appending = Effect.gen(function* () {
    const nowMs = yield* Clock.currentTimeMillis
    if (opened !== undefined && nowMs < opened.untilMs) return opened.file
    yield* close
    // Of its own: what is written last is written while the scope around it ends.
    const own = yield* Scope.make()
    const file = yield* Effect.onError(Scope.provide(files.open(path, { flag: "a", mode: OWNER_ONLY }), own), () =>
      Scope.close(own, Exit.void)
    )
    opened = { file, scope: own, untilMs: nowMs + OPEN_MS }
    return file
  })

  const append = (calls: ReadonlyArray<AuditChain.Call>) =>
    Effect.gen(function* () {
      // Another process may have written, or moved the file aside, since.
      if (head === undefined || inTurn !== undefined) yield* resume
      if (sizeBytes > FILE_BYTES_MAX) {
        yield* close
        yield* files.rename(path, `${path}.1`)
        sizeBytes = 0
      }
      let previous = head ?? AuditChain.ORIGIN
      let text = ""
      for (const [index, call] of calls.entries()) {
        const line = AuditChain.line(call, previous, index === 0 ? untold : 0)
        previous = AuditChain.hash(sha256, line)
        text += `${line}\n`
      }
      const bytes = ENCODER.encode(text)
      yield* (yield* appending).writeAll(bytes)
      // Another process may want it, or whoever owns it.
      if (inTurn !== undefined) yield* close
      sizeBytes += bytes.length
      head = previous
      untold = 0
      isFailing = false
    }).pipe(
      (work: Effect.Effect<void, Failure>) => (inTurn === undefined ? work : inTurn(work)),
      Effect.catch((error) =>
        Effect.gen(function* () {
          yield* close
          lost += calls.length
          untold += calls.length
          // Half a line must not stay; the end is looked for again before the next.
          if (head !== undefined) yield* Effect.ignore(files.truncate(path, sizeBytes))
          head = undefined
          if (!isFailing) yield* Effect.logWarning(`mcp: the record of calls cannot be written: ${error.message}`)
          isFailing = true
        })
      )
    )

  const drain = Effect.gen(function* () {
    const first = yield* Queue.take(waiting)
    // Opening a file for every call would cost more than the call.
    if (!Effect.isEffect(first)) yield* Effect.timeoutOption(hurry.await, BATCH_DELAY)
    hurry.closeUnsafe()
    const batch = [first, ...(yield* Queue.clear(waiting))]
    const calls: Array<AuditChain.Call> = []
    const after: Array<Effect.Effect<void>> = []
    for (const item of batch) Effect.isEffect(item) ? after.push(item) : calls.push(item)
    if (calls.length > 0) yield* append(calls)
    yield* Effect.forEach(after, (effect) => effect, { discard: true })
  })
  yield* Effect.forkScoped(Effect.forever(drain))
  const flushed = Effect.callback<void>((resume) => {
    hurry.openUnsafe()
    if (
      !Queue.offerUnsafe(
        waiting,
        Effect.sync(() => resume(Effect.void))
      )
    )
      resume(Effect.void)
  })
  // Before the fiber is stopped, which began before this was added.
  yield* Effect.addFinalizer(() => Effect.timeoutOption(flushed, FLUSH_TIMEOUT))
  return {
    record: (call) => {
      if (Queue.offerUnsafe(waiting, call)) return
      lost++
      untold++
    },
    lost: () => lost,
    flushed
  }
})

/** The file as it was opened last. */
interface Opened {
  readonly file: FileSystem.File
  readonly scope: Scope.Closeable
  readonly untilMs: number
}

const headOf = (last: string, sha256: AuditChain.Sha256): string =>
  last === "" ? AuditChain.ORIGIN : AuditChain.hash(sha256, last)

const NO_END: LineFile.End = { sizeBytes: 0, wholeBytes: 0, last: "" }
const ENCODER = new TextEncoder()
const OWNER_ONLY = 0o600
/** Calls that wait to be written. */
const WAITING_MAX = 8192
/** After this the file becomes `….1`, and the one before it is gone. */
const FILE_BYTES_MAX = 33_554_432
/** Calls of so long are written together. */
const BATCH_DELAY = "20 millis"
/** A file that somebody moves or removes is missed after this. */
const OPEN_MS = 1000
const FLUSH_TIMEOUT = "2 seconds"

/**
 * The files of tasks in the state directory (node §6.3): a file for each task, for programs that read the reference's, and
 * the results. The database is what counts; what is here follows it.
 */
import { Effect, FileSystem, type Path, type PlatformError } from "effect"
import * as Bytes from "../../../core/data/Bytes.ts"
import * as AtomicFile from "../../../core/storage/AtomicFile.ts"
import * as PrivateDirectory from "../../../core/storage/PrivateDirectory.ts"
import * as StoredName from "../../../protocol/exchange/StoredName.ts"
import * as TaskRecord from "../../../protocol/task/TaskRecord.ts"
import type { Outcome } from "../../../protocol/wire/TaskFrame.ts"
import * as ExchangePlaces from "../ExchangePlaces.ts"
import { type LocalOutcome, TaskError } from "./Tasks.ts"

type Disk = FileSystem.FileSystem | Path.Path

/** Makes the directories. */
export const prepare = (home: string): Effect.Effect<void, PlatformError.PlatformError, Disk> =>
  Effect.forEach(["", "/received", "/submitted", "/results", "/outgoing"], (name) =>
    PrivateDirectory.make(`${home}/tasks${name}`)
  ).pipe(Effect.asVoid)

/** Writes the file of a task as it is now, or takes it away. An offer has none until it was taken. */
export const mirror = (
  home: string,
  record: TaskRecord.TaskRecord,
  isRemoved: boolean
): Effect.Effect<void, PlatformError.PlatformError, FileSystem.FileSystem> =>
  Effect.gen(function* () {
    const files = yield* FileSystem.FileSystem
    const path = `${home}/tasks/${record.side}/${record.id}.json`
    if (isRemoved) {
      yield* files.remove(path, { force: true })
      return record.result === undefined ? undefined : yield* files.remove(record.result.path, { force: true })
    }
    if (record.side === "submitted" && record.status === "OFFERED") return
    // Not synced: after a crash it is written again.
    yield* files.writeFileString(`${path}.tmp`, TaskRecord.fileText(record, ExchangePlaces.timeText), { mode: 0o600 })
    yield* files.rename(`${path}.tmp`, path)
  })

/** Puts an outcome on the disk, synced, before its task says that there is one. */
export const keep = Effect.fnUntraced(function* (
  home: string,
  side: TaskRecord.Side,
  id: string,
  outcome: Outcome
): Effect.fn.Return<TaskRecord.StoredResult, TaskError, Disk> {
  const content = outcome._tag === "Text" ? Bytes.fromUtf8(outcome.text) : outcome.content
  if (content.length > RESULT_BYTES_MAX) return yield* tooLarge()
  const name = outcome._tag === "Text" ? "" : yield* safeName(outcome.name)
  const file = outcome._tag === "Text" ? `${id}_result.txt` : `${id}_${name}`
  const path = `${home}/tasks/${side === "received" ? "outgoing" : "results"}/${file}`
  yield* Effect.mapError(AtomicFile.write(path, content, { mode: AtomicFile.OWNER_ONLY }), notStored)
  return { type: outcome._tag === "Text" ? "text" : "file", name, path, sizeBytes: content.length }
})

/** Reads what a program of this machine has left in a file. */
export const local = ({ name, path }: LocalOutcome): Effect.Effect<Outcome, TaskError, FileSystem.FileSystem> =>
  Effect.gen(function* () {
    const files = yield* FileSystem.FileSystem
    const unreadable = (error: PlatformError.PlatformError) =>
      new TaskError({ reason: "Invalid", detail: `cannot read ${path}: ${error.message}` })
    const { size } = yield* Effect.mapError(files.stat(path), unreadable)
    if (Number(size) > RESULT_BYTES_MAX) return yield* tooLarge()
    const content = yield* Effect.mapError(files.readFile(path), unreadable)
    return name === "" ? { _tag: "Text", text: Bytes.toUtf8Lossy(content) } : { _tag: "File", name, content }
  })

/** What came out of a task. */
export const outcome = Effect.fnUntraced(function* ({
  id,
  result
}: TaskRecord.TaskRecord): Effect.fn.Return<Outcome, TaskError, FileSystem.FileSystem> {
  if (result === undefined) return yield* new TaskError({ reason: "NotFound", detail: `task ${id} has no result` })
  const files = yield* FileSystem.FileSystem
  const content = yield* Effect.mapError(
    files.readFile(result.path),
    () => new TaskError({ reason: "NotFound", detail: `the result of task ${id} is gone: ${result.path}` })
  )
  return result.type === "file"
    ? { _tag: "File", name: result.name, content }
    : { _tag: "Text", text: Bytes.toUtf8Lossy(content) }
})

/** No path that a peer names leaves the directory (node §6.1); behind an id there is room for so much of a name. */
const safeName = (claimed: string): Effect.Effect<string, TaskError> =>
  Effect.mapBoth(Effect.fromResult(StoredName.reduce(claimed)), {
    onFailure: ({ detail }) => new TaskError({ reason: "Invalid", detail }),
    onSuccess: ({ extension, stem }) => {
      const isShort = Bytes.fromUtf8(stem + extension).length <= NAME_BYTES_MAX
      return isShort ? stem + extension : `${[...stem].slice(0, STEM_CHARACTERS_MAX).join("")}${extension}`
    }
  })

/** More than a frame can carry. */
export const tooLarge = (): TaskError =>
  new TaskError({ reason: "Invalid", detail: `a result has at most ${RESULT_BYTES_MAX} bytes: send a file instead` })

const notStored = (error: PlatformError.PlatformError) =>
  new TaskError({ reason: "NotStored", detail: `the result cannot be stored: ${error.message}` })

/** What fits a frame as base64 (node §6.6). */
export const RESULT_BYTES_MAX = 12_500_000
const NAME_BYTES_MAX = 150
const STEM_CHARACTERS_MAX = 30

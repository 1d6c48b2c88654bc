/**
 * Where data exchange keeps what it receives (node §4.2, §10), and what lies there while it comes: everything below the
 * state directory, on one file system, so that a file moves into its place in one step.
 */
import { Clock, Effect, FileSystem, Option, type Path, type PlatformError } from "effect"
import * as PrivateDirectory from "../../core/storage/PrivateDirectory.ts"
import * as StoredName from "../../protocol/exchange/StoredName.ts"

/** The directories of one state directory. */
export interface ExchangePlaces {
  /** Messages, one file each, as the reference's command line reads them. */
  readonly inbox: string
  /** Files and directories, under the names they were given here. */
  readonly received: string
  /** What is not complete: nobody looks for anything in here. */
  readonly transfers: string
}

/** Below this state directory. */
export const at = (home: string): ExchangePlaces => ({
  inbox: `${home}/inbox`,
  received: `${home}/received`,
  transfers: `${home}/transfers`
})

/** Makes them, and takes away what an earlier run left half-written, and what nobody came back for. */
export const prepare = Effect.fnUntraced(function* (
  places: ExchangePlaces
): Effect.fn.Return<void, PlatformError.PlatformError, FileSystem.FileSystem | Path.Path> {
  const files = yield* FileSystem.FileSystem
  const { transfers } = places
  yield* PrivateDirectory.make(transfers)
  for (const name of yield* files.readDirectory(transfers)) if (name.endsWith(TEMPORARY)) yield* remove(places, name)
  for (const name of yield* abandoned(places)) yield* remove(places, name)
})

/** Names in `transfers` that nobody has come back for. What is written in one go may be under way. */
export const abandoned = Effect.fnUntraced(function* ({ transfers }: ExchangePlaces) {
  const files = yield* FileSystem.FileSystem
  const nowMs = yield* Clock.currentTimeMillis
  const old: Array<string> = []
  for (const name of yield* files.readDirectory(transfers)) {
    if (name.endsWith(TEMPORARY) || isJournal(name)) continue
    const found = yield* Effect.option(files.stat(`${transfers}/${name}`))
    const changed = Option.flatMap(found, ({ mtime }) => mtime)
    if (Option.isSome(changed) && nowMs - changed.value.getTime() > KEPT_MS) old.push(name)
  }
  return old
})

/** Takes away something in `transfers`, whatever it is. */
export const remove = ({ transfers }: ExchangePlaces, name: string) =>
  Effect.flatMap(FileSystem.FileSystem, (files) =>
    files.remove(`${transfers}/${name}`, { recursive: true, force: true })
  )

/** A file in `transfers` that is written in one go; one that is found there at a start is nothing. */
export const temporary = ({ transfers }: ExchangePlaces, name: string): string => `${transfers}/${name}${TEMPORARY}`

/** A journal of the inbox (`InboxJournal`): it is for whoever comes after a crash, however long after. */
export const journal = ({ transfers }: ExchangePlaces, name: string): string => `${transfers}/${name}${JOURNAL}`

/** Whether the name in `transfers` is that of a journal. */
export const isJournal = (name: string): boolean => name.endsWith(JOURNAL)

/** Writes a file that did not exist, to the disk. */
export const writeSynced = Effect.fnUntraced(function* (path: string, content: Uint8Array) {
  const files = yield* FileSystem.FileSystem
  const file = yield* files.open(path, { flag: "wx", mode: OWNER_ONLY })
  yield* Effect.onError(Effect.andThen(file.writeAll(content), file.sync), () => Effect.ignore(files.remove(path)))
}, Effect.scoped)

/** Makes sure of the entries of a directory. */
export const syncDirectory = (path: string): Effect.Effect<void, PlatformError.PlatformError, FileSystem.FileSystem> =>
  Effect.scoped(
    Effect.flatMap(FileSystem.FileSystem, (files) => Effect.flatMap(files.open(path), (directory) => directory.sync))
  )

/** `20261120-174601.833`, local time, for names (node §4.2). */
export const stamp: Effect.Effect<string> = Effect.map(Clock.currentTimeMillis, (nowMs) => {
  const local = new Date(nowMs)
  return StoredName.stampOf({
    year: local.getFullYear(),
    month: local.getMonth() + 1,
    day: local.getDate(),
    hour: local.getHours(),
    minute: local.getMinutes(),
    second: local.getSeconds(),
    millisecond: local.getMilliseconds()
  })
})

/** `2026-11-20T17:46:01Z`. */
export const timeText = (epochMs: number): string => `${new Date(epochMs).toISOString().slice(0, 19)}Z`

const TEMPORARY = ".tmp"
const JOURNAL = ".journal"
const OWNER_ONLY = 0o600
/** How long a transfer that broke can be taken up again. */
export const KEPT_MS = 7 * 86_400_000

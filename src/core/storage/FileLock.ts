/**
 * `DirectoryLock` between processes.
 *
 * The lock is the operating system's lock on a file, taken through SQLite, since Node offers no other way to it. It is
 * gone the moment its process is gone, however it died: nothing stale to take over, no process id to be mistaken for
 * another's. The id beside it only tells a person who holds the lock.
 */
import { closeSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { pid } from "node:process"
import { DatabaseSync } from "node:sqlite"
import { Effect, Layer, type Scope } from "effect"
import { DirectoryLock, LockError } from "./DirectoryLock.ts"

/** Takes the lock of an existing directory until the scope ends, or fails at once. */
export const acquire = (directory: string): Effect.Effect<void, LockError, Scope.Scope> =>
  Effect.asVoid(
    Effect.acquireRelease(
      Effect.try({ try: () => lock(directory), catch: (error) => lockError(directory, error) }),
      (held) => Effect.sync(() => unlock(directory, held))
    )
  )

/** Provides `DirectoryLock` by files. */
export const layer: Layer.Layer<DirectoryLock> = Layer.sync(DirectoryLock, () => ({ acquire }))

const lock = (directory: string): DatabaseSync => {
  const path = join(directory, LOCK_FILE)
  // Nothing else may ever open this file: closing it anywhere in this process would give up the lock (POSIX). So it is
  // created here only if it does not exist, and then nobody can hold it.
  createIfMissing(path)
  const held = new DatabaseSync(path, { timeout: 0 })
  try {
    held.exec("PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE")
    writeFileSync(join(directory, HOLDER_FILE), `${pid}\n`, { mode: OWNER_ONLY })
    return held
  } catch (error) {
    held.close()
    throw error
  }
}

const unlock = (directory: string, held: DatabaseSync): void => {
  // Before the lock goes, lest it take away the next holder's.
  rmSync(join(directory, HOLDER_FILE), { force: true })
  held.close()
}

const createIfMissing = (path: string): void => {
  try {
    closeSync(openSync(path, "wx", OWNER_ONLY))
  } catch (error) {
    if (!hasCode(error, "EEXIST")) throw error
  }
}

const lockError = (directory: string, error: unknown): LockError => {
  const detail = error instanceof Error ? error.message : String(error)
  if (resultCode(error) !== BUSY) return new LockError({ reason: reasonOf(error), directory, detail })
  const holder = readHolder(directory)
  return new LockError({ reason: "Held", directory, detail, ...(holder === undefined ? {} : { holder }) })
}

const resultCode = (error: unknown): number | undefined =>
  error instanceof Error && "errcode" in error && typeof error.errcode === "number" ? error.errcode & 0xff : undefined

const reasonOf = (error: unknown): LockError["reason"] => {
  const code = resultCode(error)
  if (code === READONLY || code === CANTOPEN) return "NotPermitted"
  if (hasCode(error, "EACCES") || hasCode(error, "EPERM") || hasCode(error, "EROFS")) return "NotPermitted"
  return hasCode(error, "ENOENT") || hasCode(error, "ENOTDIR") ? "NotFound" : "Other"
}

const readHolder = (directory: string): number | undefined => {
  try {
    const holder = Number.parseInt(readFileSync(join(directory, HOLDER_FILE), "utf8"), 10)
    return Number.isInteger(holder) && holder > 0 ? holder : undefined
  } catch {
    return undefined
  }
}

const hasCode = (error: unknown, code: string): boolean =>
  error instanceof Error && "code" in error && error.code === code

const LOCK_FILE = "lock"
const HOLDER_FILE = "lock.pid"
const OWNER_ONLY = 0o600
/** Result codes of SQLite: the lock is another's, the file is not ours to use. */
const BUSY = 5
const READONLY = 8
const CANTOPEN = 14

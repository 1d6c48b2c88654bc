/**
 * One SQLite file, opened so that "committed" means on disk (WAL, `synchronous = FULL`; see `grouped`), readable by its owner only, with
 * foreign keys enforced. A file that is no sound database is refused and left as it is.
 */
import { chmodSync, close, closeSync, fdatasync, fsyncSync, openSync, statSync } from "node:fs"
import { dirname } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { Effect, Schema, type Scope } from "effect"

/** The database cannot be used. `Corrupted`: the file is damaged or no database; nothing was written to it. */
export class DatabaseError extends Schema.TaggedError<DatabaseError>()("DatabaseError", {
  reason: Schema.Literals(["Corrupted", "Locked", "NotPermitted", "NotFound", "Other"]),
  path: Schema.String,
  detail: Schema.String
}) {}

/** An open database. */
export type Database = DatabaseSync

/** The path that stands for a database without a file. */
export const IN_MEMORY = ":memory:"

/** Opens or creates the file; its directory must exist. Closing the scope writes the log back and closes it. */
export const open = (path: string): Effect.Effect<DatabaseSync, DatabaseError, Scope.Scope> =>
  Effect.acquireRelease(openUnscoped(path), (database) => Effect.sync(() => database.close()))

/** The same for an owner that closes it by itself, or never. */
export const openUnscoped = (path: string): Effect.Effect<DatabaseSync, DatabaseError> =>
  Effect.try({ try: () => openSound(path), catch: (error) => databaseError(path, error) })

/**
 * From now on a commit is in the log file and not yet on disk; the effect syncs that file beside the event loop, which SQLite
 * itself would hold up for each commit. A crash of the machine before it loses the last commits and nothing else: their
 * frames carry checksums, and what is copied back from the log is synced first.
 */
export const grouped = (
  database: DatabaseSync,
  path: string
): Effect.Effect<Effect.Effect<void, DatabaseError>, DatabaseError, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Effect.try({ try: () => startGroups(database, path), catch: (error) => databaseError(path, error) }),
      (log) => Effect.sync(() => close(log))
    ),
    (log) =>
      Effect.callback<void, DatabaseError>((resume) =>
        fdatasync(log, (error) => resume(error === null ? Effect.void : Effect.fail(databaseError(path, error))))
      )
  )

/** The log file is the same as long as the database is open. Its name is on disk before anything relies on it. */
const startGroups = (database: DatabaseSync, path: string): number => {
  // The first transaction makes the log file.
  database.exec("PRAGMA synchronous = NORMAL; BEGIN IMMEDIATE; PRAGMA user_version; COMMIT")
  const log = openSync(`${path}-wal`, "a+", OWNER_ONLY)
  const directory = openSync(dirname(path), "r")
  try {
    fsyncSync(directory)
  } finally {
    closeSync(directory)
  }
  return log
}

const openSound = (path: string): DatabaseSync => {
  if (path !== IN_MEMORY) makePrivate(path)
  const database = new DatabaseSync(path, {
    enableForeignKeyConstraints: true,
    enableDoubleQuotedStringLiterals: false,
    defensive: true,
    timeout: BUSY_TIMEOUT_MS
  })
  try {
    // The check comes first: it only reads, and changing the journal mode already writes.
    const [problem] = Object.values(database.prepare("PRAGMA quick_check(1)").get() ?? {})
    if (problem !== "ok") throw new Unsound(String(problem))
    database.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL")
    return database
  } catch (error) {
    database.close()
    throw error
  }
}

/** SQLite gives its log files the mode of the database, so one mode protects all three. */
const makePrivate = (path: string): void => {
  closeSync(openSync(path, "a", OWNER_ONLY))
  if ((statSync(path).mode & 0o777) !== OWNER_ONLY) chmodSync(path, OWNER_ONLY)
}

class Unsound extends Error {}

const databaseError = (path: string, error: unknown): DatabaseError =>
  new DatabaseError({ path, reason: reasonOf(error), detail: error instanceof Error ? error.message : String(error) })

const reasonOf = (error: unknown): DatabaseError["reason"] => {
  if (error instanceof Unsound) return "Corrupted"
  if (!(error instanceof Error)) return "Other"
  if ("errcode" in error && typeof error.errcode === "number") return SQLITE_REASONS[error.errcode & 0xff] ?? "Other"
  return "code" in error && typeof error.code === "string" ? (SYSTEM_REASONS[error.code] ?? "Other") : "Other"
}

/** Primary result codes of SQLite (https://sqlite.org/rescode.html). */
const SQLITE_REASONS: Readonly<Record<number, DatabaseError["reason"]>> = {
  3: "NotPermitted",
  5: "Locked",
  6: "Locked",
  8: "NotPermitted",
  11: "Corrupted",
  14: "NotPermitted",
  26: "Corrupted"
}

const SYSTEM_REASONS: Readonly<Record<string, DatabaseError["reason"]>> = {
  EACCES: "NotPermitted",
  EPERM: "NotPermitted",
  EROFS: "NotPermitted",
  ENOENT: "NotFound",
  ENOTDIR: "NotFound",
  EISDIR: "NotFound"
}

const OWNER_ONLY = 0o600

/** How long a statement waits for another process; it blocks this one meanwhile, so it is short. */
export const BUSY_TIMEOUT_MS = 1000

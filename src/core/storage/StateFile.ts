/**
 * What a process must still know after it was killed, in one SQLite file of its owner: for each subject some named parts
 * and some runs of numbered entries, of which only differences are written, each time in one transaction.
 *
 * Success means that the operating system has it, which outlives this process but no loss of power: nothing here outlives
 * the machine, so waiting for the disk at each message would buy nothing. A file that is no sound database is replaced.
 */
import { rmSync } from "node:fs"
import type { DatabaseSync, StatementSync } from "node:sqlite"
import { Effect, type Scope } from "effect"
import { type DatabaseError, IN_MEMORY, open as openDatabase } from "./SqliteDatabase.ts"

/** A piece of state that is written whole. The same `ref` as before means that it has not changed. */
export interface Part {
  readonly name: string
  readonly ref: unknown
  readonly encode: () => Content
}

/** A growing list whose oldest entries are forgotten; entries never change. Empty while `last < first`. */
export interface Run {
  readonly name: string
  readonly first: number
  readonly last: number
  readonly encode: (number: number) => Content
}

/** A text of the subject's choice, and bytes. */
export interface Content {
  readonly note: string
  readonly data?: Uint8Array | undefined
}

/** All that is to be kept of a subject now. Names are unique. */
export interface Snapshot {
  readonly parts: Iterable<Part>
  readonly runs: Iterable<Run>
}

/** What was kept of a subject: parts in the order in which they were last written, entries by their numbers. */
export interface Saved {
  readonly parts: ReadonlyArray<Content & { readonly name: string }>
  readonly runs: ReadonlyMap<string, ReadonlyArray<Content & { readonly number: number }>>
}

/** Writes the state of one subject. */
export interface Writer {
  /** False when it could not be written; what was kept before is then forgotten, and nothing is kept any more. */
  readonly save: (snapshot: Snapshot) => boolean
  /** Forgets the subject. */
  readonly remove: () => void
}

/** The file. One process uses it at a time. */
export interface StateFile {
  /** The subjects of which something is kept, the one written last at the end. */
  readonly subjects: () => ReadonlyArray<{ readonly name: string; readonly savedAtMs: number }>
  readonly load: (subject: string) => Saved
  /** What an earlier writer kept is replaced by the first save. */
  readonly writer: (subject: string) => Writer
}

/** Opens or creates the file until the scope ends. `nowMs` is the wall clock. */
export const open = (
  path: string,
  options: { readonly bytesMax: number; readonly nowMs: () => number }
): Effect.Effect<StateFile, DatabaseError, Scope.Scope> =>
  openDatabase(path).pipe(
    Effect.catchIf(
      ({ reason }) => reason === "Corrupted" && path !== IN_MEMORY,
      () =>
        Effect.andThen(
          Effect.sync(() => discard(path)),
          openDatabase(path)
        )
    ),
    Effect.map((database) => make(database, options))
  )

const discard = (path: string): void => {
  for (const suffix of ["", "-wal", "-shm"]) rmSync(`${path}${suffix}`, { force: true })
}

const make = (
  database: DatabaseSync,
  { bytesMax, nowMs }: { readonly bytesMax: number; readonly nowMs: () => number }
): StateFile => {
  database.exec(`PRAGMA synchronous = OFF; PRAGMA max_page_count = ${Math.ceil(bytesMax / PAGE_BYTES)}; ${SCHEMA}`)
  const statements: Statements = {
    begin: database.prepare("BEGIN IMMEDIATE"),
    commit: database.prepare("COMMIT"),
    touch: database.prepare("INSERT OR REPLACE INTO subject (name, saved_at_ms) VALUES (?, ?)"),
    putPart: database.prepare("INSERT OR REPLACE INTO part (subject, name, note, data) VALUES (?, ?, ?, ?)"),
    dropPart: database.prepare("DELETE FROM part WHERE subject = ? AND name = ?"),
    putEntry: database.prepare("INSERT INTO entry (subject, run, number, note, data) VALUES (?, ?, ?, ?, ?)"),
    dropBefore: database.prepare("DELETE FROM entry WHERE subject = ? AND run = ? AND number < ?"),
    dropRun: database.prepare("DELETE FROM entry WHERE subject = ? AND run = ?"),
    forget: ["subject WHERE name", "part WHERE subject", "entry WHERE subject"].map((where) =>
      database.prepare(`DELETE FROM ${where} = ?`)
    )
  }
  return {
    subjects: () =>
      database
        .prepare("SELECT name, saved_at_ms FROM subject ORDER BY saved_at_ms")
        .all()
        .map((row) => ({ name: String(row["name"]), savedAtMs: Number(row["saved_at_ms"]) })),
    load: (subject) => load(database, subject),
    writer: (subject) => new SubjectWriter(database, statements, subject, nowMs)
  }
}

const load = (database: DatabaseSync, subject: string): Saved => {
  const runs = new Map<string, Array<Content & { readonly number: number }>>()
  const entries = database.prepare("SELECT run, number, note, data FROM entry WHERE subject = ? ORDER BY run, number")
  for (const row of entries.all(subject)) {
    const run = String(row["run"])
    const known = runs.get(run) ?? []
    known.push({ number: Number(row["number"]), ...contentOf(row) })
    runs.set(run, known)
  }
  const parts = database.prepare("SELECT name, note, data FROM part WHERE subject = ? ORDER BY rowid").all(subject)
  return { parts: parts.map((row) => ({ name: String(row["name"]), ...contentOf(row) })), runs }
}

const contentOf = ({ data, note }: Record<string, unknown>): Content => ({
  note: String(note),
  data: data instanceof Uint8Array ? data : undefined
})

/** Knows what it has written, so that it writes nothing twice. */
class SubjectWriter implements Writer {
  readonly #database: DatabaseSync
  readonly #statements: Statements
  readonly #subject: string
  readonly #nowMs: () => number
  readonly #parts = new Map<string, unknown>()
  readonly #runs = new Map<string, { first: number; last: number }>()
  #isFresh = true
  #isClosed = false

  constructor(database: DatabaseSync, statements: Statements, subject: string, nowMs: () => number) {
    this.#database = database
    this.#statements = statements
    this.#subject = subject
    this.#nowMs = nowMs
  }

  save(snapshot: Snapshot): boolean {
    if (this.#isClosed) return false
    try {
      this.#statements.begin.run()
      if (this.#isFresh) for (const forget of this.#statements.forget) forget.run(this.#subject)
      this.#isFresh = false
      this.#statements.touch.run(this.#subject, Math.trunc(this.#nowMs()))
      this.#saveParts(snapshot.parts)
      this.#saveRuns(snapshot.runs)
      this.#statements.commit.run()
      return true
    } catch {
      // A full disk, most likely: half a state would be worse than none.
      if (this.#database.isTransaction) this.#database.exec("ROLLBACK")
      this.remove()
      return false
    }
  }

  remove(): void {
    this.#isClosed = true
    try {
      for (const forget of this.#statements.forget) forget.run(this.#subject)
    } catch {
      // What is left is refused or outdated at the next start.
    }
  }

  #saveParts(parts: Iterable<Part>): void {
    const gone = new Set(this.#parts.keys())
    for (const { encode, name, ref } of parts) {
      gone.delete(name)
      if (this.#parts.has(name) && this.#parts.get(name) === ref) continue
      const { data, note } = encode()
      this.#statements.putPart.run(this.#subject, name, note, data ?? null)
      this.#parts.set(name, ref)
    }
    for (const name of gone) {
      this.#statements.dropPart.run(this.#subject, name)
      this.#parts.delete(name)
    }
  }

  #saveRuns(runs: Iterable<Run>): void {
    const gone = new Set(this.#runs.keys())
    for (const { encode, first, last, name } of runs) {
      gone.delete(name)
      const known = this.#runs.get(name) ?? { first, last: first - 1 }
      this.#runs.set(name, known)
      if (first > known.first) this.#statements.dropBefore.run(this.#subject, name, first)
      for (let number = Math.max(first, known.last + 1); number <= last; number++) {
        const { data, note } = encode(number)
        this.#statements.putEntry.run(this.#subject, name, number, note, data ?? null)
      }
      known.first = first
      known.last = Math.max(known.last, last)
    }
    for (const name of gone) {
      this.#statements.dropRun.run(this.#subject, name)
      this.#runs.delete(name)
    }
  }
}

interface Statements {
  readonly begin: StatementSync
  readonly commit: StatementSync
  readonly touch: StatementSync
  readonly putPart: StatementSync
  readonly dropPart: StatementSync
  readonly putEntry: StatementSync
  readonly dropBefore: StatementSync
  readonly dropRun: StatementSync
  readonly forget: ReadonlyArray<StatementSync>
}

const SCHEMA = `
CREATE TABLE IF NOT EXISTS subject (name TEXT PRIMARY KEY, saved_at_ms INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS part (subject TEXT NOT NULL, name TEXT NOT NULL, note TEXT NOT NULL, data BLOB,
  UNIQUE (subject, name)) STRICT;
CREATE TABLE IF NOT EXISTS entry (subject TEXT NOT NULL, run TEXT NOT NULL, number INTEGER NOT NULL, note TEXT NOT NULL,
  data BLOB, UNIQUE (subject, run, number)) STRICT;`
/** SQLite's default. */
const PAGE_BYTES = 4096

/** The tasks of a node in SQL: what `commit` has returned from is on disk. */
import { Effect, Schema, type Scope } from "effect"
import { SqlClient, type SqlError } from "effect/sql"
import * as Migrations from "../../../core/storage/Migrations.ts"
import { type LedgerChange, Tally } from "../../../protocol/task/TaskLedger.ts"
import { TaskRecord } from "../../../protocol/task/TaskRecord.ts"
import type { Change } from "../../../protocol/task/TaskTable.ts"

/** The tasks cannot be read or written. */
export class TaskStoreError extends Schema.TaggedError<TaskStoreError>()("TaskStoreError", {
  operation: Schema.Literals(["open", "load", "commit"]),
  detail: Schema.String
}) {
  override get message(): string {
    return this.detail
  }
}

/** An open store, with one user. */
export interface TaskStore {
  /** All tasks, in the order in which they came to be known. */
  readonly load: Effect.Effect<ReadonlyArray<TaskRecord>, TaskStoreError>
  /** All of the changes, or none. */
  readonly commit: (
    changes: ReadonlyArray<Change>,
    ledger?: ReadonlyArray<LedgerChange>
  ) => Effect.Effect<void, TaskStoreError>
  readonly ledger: Effect.Effect<ReadonlyArray<Tally>, TaskStoreError>
}

/**
 * Opens the store in the database of the surrounding `SqlClient`. `synced` puts on disk what was committed, where a commit alone
 * does not; what it cannot is taken back.
 */
export const open = Effect.fnUntraced(function* (
  synced: Effect.Effect<void, { readonly message: string; readonly detail?: string }> = Effect.void
): Effect.fn.Return<TaskStore, TaskStoreError, SqlClient.SqlClient | Scope.Scope> {
  const sql = yield* SqlClient.SqlClient
  const failed = (operation: TaskStoreError["operation"]) =>
    Effect.mapError(
      (error: { readonly message: string; readonly detail?: string }) =>
        new TaskStoreError({ operation, detail: error.detail ?? error.message })
    )
  const written = (changes: ReadonlyArray<Change>, ledger: ReadonlyArray<LedgerChange>) =>
    sql.withTransaction(Effect.andThen(write(sql, changes), writeLedger(sql, ledger)))
  yield* failed("open")(Effect.andThen(Migrations.run(MIGRATIONS), synced))
  return {
    load: failed("load")(
      sql`SELECT description, body FROM tasks ORDER BY position`.pipe(
        Effect.flatMap(decodeRows),
        Effect.flatMap((rows) => decodeRecords(rows.map(({ body, description }) => ({ ...body, description }))))
      )
    ),
    commit: (changes, ledger = []) => {
      const takenBack = Effect.suspend(() => written(changes.map(reverse), ledger.map(reverseTally)))
      const onDisk = Effect.tapError(synced, () => Effect.ignore(takenBack))
      return failed("commit")(Effect.andThen(written(changes, ledger), onDisk))
    },
    ledger: failed("load")(
      Effect.flatMap(sql`SELECT body FROM ledger`, (rows) =>
        Effect.map(decodeTallies(rows), (decoded) => decoded.map(({ body }) => body))
      )
    )
  }
})

const reverse = ({ before, record }: Change): Change =>
  before === undefined ? { _tag: "Removed", record } : { _tag: "Put", record: before }

const reverseTally = ({ before, tally }: LedgerChange): LedgerChange =>
  before === undefined ? { _tag: "Removed", tally } : { _tag: "Put", tally: before }

/** A description is written once; whatever else a task is may change often. */
const write = Effect.fnUntraced(function* (sql: SqlClient.SqlClient, changes: ReadonlyArray<Change>) {
  const rows = changes.flatMap(({ _tag, record: { description, ...rest } }) =>
    _tag === "Put" ? [{ side: rest.side, id: rest.id, description, body: JSON.stringify(rest) }] : []
  )
  for (let index = 0; index < rows.length; index += ROWS_AT_ONCE) {
    const [first, ...others] = rows.slice(index, index + ROWS_AT_ONCE)
    if (first === undefined) break
    yield* sql`INSERT INTO tasks ${sql.insert([first, ...others])}
      ON CONFLICT (side, id) DO UPDATE SET body = excluded.body`
  }
  for (const { _tag, record } of changes)
    if (_tag === "Removed") yield* sql`DELETE FROM tasks WHERE side = ${record.side} AND id = ${record.id}`
})

const writeLedger = Effect.fnUntraced(function* (sql: SqlClient.SqlClient, changes: ReadonlyArray<LedgerChange>) {
  for (const { _tag, tally } of changes) {
    const { kind, peerKey } = tally
    if (_tag === "Removed") yield* sql`DELETE FROM ledger WHERE peer_key = ${peerKey} AND kind = ${kind}`
    else
      yield* sql`INSERT INTO ledger ${sql.insert({ peer_key: peerKey, kind, body: JSON.stringify(tally) })}
        ON CONFLICT (peer_key, kind) DO UPDATE SET body = excluded.body`
  }
})

const createTables = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  const counting = sql.onDialectOrElse({
    pg: () => sql`BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY`,
    orElse: () => sql`INTEGER PRIMARY KEY AUTOINCREMENT`
  })
  yield* sql`CREATE TABLE tasks (
        position ${counting},
        side TEXT NOT NULL,
        id TEXT NOT NULL,
        description TEXT NOT NULL,
        body TEXT NOT NULL,
        UNIQUE (side, id)
      )`
})

const createLedger = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  yield* sql`CREATE TABLE ledger (
        peer_key TEXT NOT NULL,
        kind TEXT NOT NULL,
        body TEXT NOT NULL,
        PRIMARY KEY (peer_key, kind)
      )`
})

/** Each released step never changes; the next one is appended. */
const MIGRATIONS: ReadonlyArray<Migrations.Migration<SqlError.SqlError>> = [
  { id: 1, name: "tasks", migrate: createTables },
  { id: 2, name: "ledger", migrate: createLedger }
]

const decodeRows = Schema.decodeUnknownEffect(
  Schema.Array(Schema.Struct({ description: Schema.String, body: Schema.fromJsonString(Schema.JsonObject) }))
)
const decodeTallies = Schema.decodeUnknownEffect(Schema.Array(Schema.Struct({ body: Schema.fromJsonString(Tally) })))
const decodeRecords = Schema.decodeUnknownEffect(Schema.Array(TaskRecord))

const ROWS_AT_ONCE = 128

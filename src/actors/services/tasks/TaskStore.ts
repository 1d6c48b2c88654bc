/** The tasks of a node in SQL: what `commit` has returned from is on disk. */
import { Effect, Schema, type Scope } from "effect"
import { SqlClient, type SqlError } from "effect/sql"
import * as Migrations from "../../../core/storage/Migrations.ts"
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
  readonly commit: (changes: ReadonlyArray<Change>) => Effect.Effect<void, TaskStoreError>
}

/** Opens the store in the database of the surrounding `SqlClient`. */
export const open: Effect.Effect<TaskStore, TaskStoreError, SqlClient.SqlClient | Scope.Scope> = Effect.gen(
  function* () {
    const sql = yield* SqlClient.SqlClient
    const failed = (operation: TaskStoreError["operation"]) =>
      Effect.mapError(
        (error: { readonly message: string; readonly detail?: string }) =>
          new TaskStoreError({ operation, detail: error.detail ?? error.message })
      )
    yield* failed("open")(Migrations.run(MIGRATIONS))
    return {
      load: failed("load")(
        sql`SELECT description, body FROM tasks ORDER BY position`.pipe(
          Effect.flatMap(decodeRows),
          Effect.flatMap((rows) => decodeRecords(rows.map(({ body, description }) => ({ ...body, description }))))
        )
      ),
      commit: (changes) => failed("commit")(sql.withTransaction(write(sql, changes)))
    }
  }
)

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

const createTables = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  yield* sql`CREATE TABLE tasks (
        position INTEGER PRIMARY KEY AUTOINCREMENT,
        side TEXT NOT NULL,
        id TEXT NOT NULL,
        description TEXT NOT NULL,
        body TEXT NOT NULL,
        UNIQUE (side, id)
      )`
})

/** Each released step never changes; the next one is appended. */
const MIGRATIONS: ReadonlyArray<Migrations.Migration<SqlError.SqlError>> = [
  { id: 1, name: "tasks", migrate: createTables }
]

const decodeRows = Schema.decodeUnknownEffect(
  Schema.Array(Schema.Struct({ description: Schema.String, body: Schema.fromJsonString(Schema.JsonObject) }))
)
const decodeRecords = Schema.decodeUnknownEffect(Schema.Array(TaskRecord))

const ROWS_AT_ONCE = 128

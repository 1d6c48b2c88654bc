/**
 * Effect's `SqlClient` over `node:sqlite`. One connection, one user at a time: a statement or a whole transaction holds
 * it, others wait. Statements run synchronously on the calling thread.
 */
import type { DatabaseSync, SQLInputValue, StatementSync } from "node:sqlite"
import { Effect, Layer, Option, type Scope, Semaphore, Stream } from "effect"
import { Reactivity } from "effect/reactivity"
import { SqlClient, type SqlConnection, SqlError, Statement } from "effect/sql"
import { type DatabaseError, open as openDatabase } from "./SqliteDatabase.ts"

/** Where the database is; `SqliteDatabase.IN_MEMORY` for one that ends with the layer. */
export interface Options {
  readonly path: string
}

/**
 * The client of one file, which is created if it does not exist. Transactions begin `IMMEDIATE`, so that one that
 * reads before it writes cannot fail half-way; nested ones are savepoints.
 */
export const layer = (options: Options): Layer.Layer<SqlClient.SqlClient, DatabaseError> =>
  Layer.effect(SqlClient.SqlClient, open(options))

/** The same client for as long as the surrounding scope lives. */
export const open = (options: Options): Effect.Effect<SqlClient.SqlClient, DatabaseError, Scope.Scope> =>
  Effect.flatMap(openDatabase(options.path), (database) => over(database))

/**
 * A client of a database that somebody else opened and closes. Once `isUsable` is false every statement fails, as those of a
 * process that is gone would never be made.
 */
export const over = (
  database: DatabaseSync,
  isUsable: () => boolean = () => true
): Effect.Effect<SqlClient.SqlClient, never, Scope.Scope> =>
  Effect.flatMap(Layer.build(Reactivity.layer), (services) => Effect.provide(make(database, isUsable), services))

const make = Effect.fnUntraced(function* (database: DatabaseSync, isUsable: () => boolean) {
  const connection = connect(database, isUsable)
  const semaphore = yield* Semaphore.make(1)
  return yield* SqlClient.make({
    ...SqlClient.makeSqliteAcquirers({
      connection: Effect.succeed(connection),
      semaphore,
      isTransaction: () => database.isTransaction
    }),
    compiler: Statement.makeCompilerSqlite(),
    driver: "node-sqlite",
    spanAttributes: [["db.system.name", "sqlite"]],
    beginTransaction: "BEGIN IMMEDIATE",
    releaseSavepoint: (name) => `RELEASE SAVEPOINT ${name}`,
    prepareTransactionControls: true
  })
})

type Row = Record<string, unknown>
type TransformRows = (<A extends object>(rows: ReadonlyArray<A>) => ReadonlyArray<A>) | undefined

const connect = (database: DatabaseSync, isUsable: () => boolean): SqlConnection.Connection => {
  const attempt = <A>(evaluate: () => A): Effect.Effect<A, SqlError.SqlError> =>
    attempted(() => {
      if (!isUsable()) throw new Error("the database is not open any more")
      return evaluate()
    })
  const objects = makeStatementCache((sql) => database.prepare(sql))
  const prepareArrays = (sql: string) => {
    const statement = database.prepare(sql)
    statement.setReturnArrays(true)
    return statement
  }
  const arrays = makeStatementCache(prepareArrays)
  const rows = (statement: () => StatementSync, params: ReadonlyArray<unknown>, transform: TransformRows) =>
    attempt(() => {
      const found: ReadonlyArray<Row> = statement().all(...toInputs(params))
      return transform === undefined ? found : transform(found)
    })
  const values = (statement: () => StatementSync, params: ReadonlyArray<unknown>) =>
    attempt(
      (): ReadonlyArray<ReadonlyArray<unknown>> =>
        statement()
          .all(...toInputs(params))
          .map((row) => (Array.isArray(row) ? row : Object.values(row)))
    )
  return {
    execute: (sql, params, transform) => rows(() => objects(sql), params, transform),
    executeUnprepared: (sql, params, transform) => rows(() => database.prepare(sql), params, transform),
    executeRaw: (sql, params) => attempt(() => objects(sql).run(...toInputs(params))),
    executeValues: (sql, params) => values(() => arrays(sql), params),
    executeValuesUnprepared: (sql, params) => values(() => prepareArrays(sql), params),
    executeStream: (sql, params, transform) =>
      // Not a cached statement: another execution of the same text would reset it under the reader.
      Stream.unwrap(
        Effect.map(
          attempt((): Iterator<Row> => database.prepare(sql).iterate(...toInputs(params))),
          (found) => Stream.paginate(found, (rest) => attempt(() => page(rest, transform)))
        )
      )
  }
}

const page = (
  rest: Iterator<Row>,
  transform: TransformRows
): readonly [ReadonlyArray<Row>, Option.Option<Iterator<Row>>] => {
  const found: Array<Row> = []
  while (found.length < STREAM_PAGE_ROWS) {
    const next = rest.next()
    if (next.done === true) return [transform === undefined ? found : transform(found), Option.none()]
    found.push(next.value)
  }
  return [transform === undefined ? found : transform(found), Option.some(rest)]
}

/** Statements by their text; the one unused for longest makes room for a new one. */
const makeStatementCache = (prepare: (sql: string) => StatementSync): ((sql: string) => StatementSync) => {
  const statements = new Map<string, StatementSync>()
  return (sql) => {
    const known = statements.get(sql)
    const statement = known ?? prepare(sql)
    if (known !== undefined) statements.delete(sql)
    else if (statements.size === STATEMENTS_MAX) evictOldest(statements)
    statements.set(sql, statement)
    return statement
  }
}

const evictOldest = (statements: Map<string, StatementSync>): void => {
  for (const sql of statements.keys()) {
    statements.delete(sql)
    return
  }
}

const toInputs = (params: ReadonlyArray<unknown>): Array<SQLInputValue> => params.map(toInput)

const toInput = (param: unknown): SQLInputValue => {
  if (param === undefined || param === null) return null
  if (typeof param === "boolean") return param ? 1 : 0
  if (typeof param === "number" || typeof param === "bigint" || typeof param === "string") return param
  if (param instanceof Uint8Array) return param
  if (param instanceof Date) return param.toISOString()
  throw new TypeError(`A ${typeof param} cannot be stored in SQLite`)
}

const attempted = <A>(evaluate: () => A): Effect.Effect<A, SqlError.SqlError> =>
  Effect.try({ try: evaluate, catch: (error) => new SqlError.SqlError({ reason: classify(error) }) })

const classify = (error: unknown): SqlError.SqlErrorReason => {
  const message = error instanceof Error ? error.message : String(error)
  const code = error instanceof Error && "errcode" in error ? error.errcode : undefined
  if (code === SQLITE_ERROR) return new SqlError.SqlSyntaxError({ cause: error, message })
  // A primary key that exists already is a violated uniqueness like any other, under a code of its own.
  const errno = code === SQLITE_CONSTRAINT_PRIMARYKEY ? SQLITE_CONSTRAINT_UNIQUE : code
  return SqlError.classifySqliteError({ errno, message }, { message })
}

/** A statement that does not compile, or names what does not exist. */
const SQLITE_ERROR = 1
const SQLITE_CONSTRAINT_PRIMARYKEY = 1555
const SQLITE_CONSTRAINT_UNIQUE = 2067

/** Prepared statements kept by one client. */
export const STATEMENTS_MAX = 256
/** Rows of a streamed result read at a time. */
export const STREAM_PAGE_ROWS = 128

import { readFileSync, statSync, truncateSync, writeFileSync } from "node:fs"
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Exit, Fiber, Layer, Stream } from "effect"
import { SqlClient } from "effect/sql"
import * as SqliteClient from "../../../src/core/storage/SqliteClient.ts"
import { IN_MEMORY } from "../../../src/core/storage/SqliteDatabase.ts"

const temporaryDirectory = Effect.acquireRelease(
  Effect.promise(() => mkdtemp(join(tmpdir(), "sqlite-"))),
  (path) => Effect.promise(() => rm(path, { recursive: true }))
)

/** A path in a directory that ends with the test. */
const databasePath = Effect.map(temporaryDirectory, (directory) => join(directory, "state.db"))

const withDatabase = <A, E, R>(path: string, effect: Effect.Effect<A, E, R | SqlClient.SqlClient>) =>
  Effect.provide(effect, SqliteClient.layer({ path }))

const createPeers = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  yield* sql`CREATE TABLE peers (id INTEGER PRIMARY KEY, name TEXT UNIQUE NOT NULL)`
  yield* sql`CREATE TABLE keys (peer INTEGER NOT NULL REFERENCES peers (id), bytes BLOB)`
  return sql
})

const inMemory = <A, E>(test: (sql: SqlClient.SqlClient) => Effect.Effect<A, E>) =>
  withDatabase(IN_MEMORY, Effect.flatMap(createPeers, test))

const names = (sql: SqlClient.SqlClient) =>
  Effect.map(sql<{ readonly name: string }>`SELECT name FROM peers ORDER BY id`, (rows) => rows.map(({ name }) => name))

describe("SqliteClient", () => {
  it.effect("stores and finds values of every kind", () =>
    inMemory((sql) =>
      Effect.gen(function* () {
        yield* sql`CREATE TABLE kinds (a, b, c, d, e, f)`
        const when = new Date(0)
        yield* sql`INSERT INTO kinds VALUES (${1.5}, ${"text"}, ${Uint8Array.of(1, 2)}, ${null}, ${true}, ${when})`

        assert.deepStrictEqual(yield* sql`SELECT * FROM kinds`.values, [
          [1.5, "text", Uint8Array.of(1, 2), null, 1, "1970-01-01T00:00:00.000Z"]
        ])
        assert.deepStrictEqual(yield* sql`SELECT 1 AS a, 2 AS a, 3 AS "0"`.values, [[1, 2, 3]])
      })
    )
  )

  it.effect("a bound value is never read as SQL", () =>
    inMemory((sql) =>
      Effect.gen(function* () {
        const name = "x'); DROP TABLE peers; --"
        yield* sql`INSERT INTO peers ${sql.insert({ id: 1, name })}`

        assert.deepStrictEqual(yield* names(sql), [name])
      })
    )
  )

  it.effect("names the reason of a failure", () =>
    inMemory((sql) =>
      Effect.gen(function* () {
        yield* sql`INSERT INTO peers VALUES (1, 'a')`
        const errors = yield* Effect.forEach(
          [
            sql`INSERT INTO peers VALUES (2, 'a')`,
            sql`INSERT INTO peers VALUES (1, 'b')`,
            sql`INSERT INTO peers VALUES (3, NULL)`,
            sql`INSERT INTO keys VALUES (9, NULL)`,
            sql`SELEC 1`,
            sql`SELECT ${Symbol("x")}`
          ],
          (statement) => Effect.map(Effect.flip(statement), ({ reason }) => reason._tag)
        )

        assert.deepStrictEqual(errors, [
          "UniqueViolation",
          "UniqueViolation",
          "ConstraintError",
          "ConstraintError",
          "SqlSyntaxError",
          "UnknownError"
        ])
      })
    )
  )

  it.effect("a failed or interrupted transaction leaves nothing, a failed inner one only the outer", () =>
    inMemory((sql) =>
      Effect.gen(function* () {
        const insert = (id: number, name: string) => sql`INSERT INTO peers VALUES (${id}, ${name})`
        const failing = sql.withTransaction(Effect.andThen(insert(1, "lost"), Effect.fail("no")))
        yield* Effect.flip(failing)
        const hanging = yield* Effect.forkChild(sql.withTransaction(Effect.andThen(insert(1, "lost"), Effect.never)), {
          startImmediately: true
        })
        yield* Fiber.interrupt(hanging)
        yield* sql.withTransaction(
          Effect.gen(function* () {
            yield* insert(1, "outer")
            yield* Effect.flip(sql.withTransaction(Effect.andThen(insert(2, "inner"), Effect.fail("no"))))
            yield* sql.withTransaction(insert(3, "other"))
          })
        )

        assert.deepStrictEqual(yield* names(sql), ["outer", "other"])
      })
    )
  )

  it.effect("nobody else's statement runs inside a transaction", () =>
    inMemory((sql) =>
      Effect.gen(function* () {
        const steps: Array<string> = []
        const transaction = sql.withTransaction(
          Effect.gen(function* () {
            yield* sql`INSERT INTO peers VALUES (1, 'a')`
            yield* Effect.yieldNow
            yield* Effect.yieldNow
            steps.push("transaction")
          })
        )
        const other = Effect.andThen(
          sql`INSERT INTO peers VALUES (2, 'b')`,
          Effect.sync(() => steps.push("other"))
        )
        yield* Effect.all([transaction, other], { concurrency: 2 })

        assert.deepStrictEqual(steps, ["transaction", "other"])
      })
    )
  )

  it.effect("streams a result that is larger than a page", () =>
    inMemory((sql) =>
      Effect.gen(function* () {
        const count = 3 * SqliteClient.STREAM_PAGE_ROWS + 1
        const rows = sql`WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${count}) SELECT i FROM n`

        assert.strictEqual(yield* Stream.runCount(rows.stream), count)
        assert.strictEqual(yield* Stream.runCount(Stream.take(rows.stream, 5)), 5)
      })
    )
  )

  it.effect("goes on when there are more different statements than it keeps", () =>
    inMemory((sql) =>
      Effect.gen(function* () {
        for (let index = 0; index < 2 * SqliteClient.STATEMENTS_MAX; index++) {
          assert.deepStrictEqual(yield* sql`SELECT ${sql.literal(String(index))} AS n`.values, [[index]])
        }
      })
    )
  )

  it.effect("a file is private, durable, and found again", () =>
    Effect.gen(function* () {
      const path = yield* databasePath
      writeFileSync(path, "", { mode: 0o644 })
      const settings = yield* withDatabase(
        path,
        Effect.gen(function* () {
          const sql = yield* createPeers
          yield* sql`INSERT INTO peers VALUES (1, 'a')`
          for (const suffix of ["", "-wal", "-shm"]) assert.strictEqual(statSync(path + suffix).mode & 0o777, 0o600)
          return yield* Effect.forEach(["journal_mode", "synchronous", "foreign_keys"], (name) =>
            Effect.map(sql`PRAGMA ${sql.literal(name)}`.values, ([row]) => row?.[0])
          )
        })
      )

      assert.deepStrictEqual(settings, ["wal", 2, 1])
      assert.deepStrictEqual(yield* withDatabase(path, Effect.flatMap(SqlClient.SqlClient, names)), ["a"])
    })
  )

  for (const [what, damage] of [
    ["a foreign file", (path: string) => writeFileSync(path, "Not a database, but somebody's only copy.".repeat(200))],
    ["a short foreign file", (path: string) => writeFileSync(path, "notes")],
    ["a truncated database", (path: string) => truncateSync(path, 8192)],
    [
      "a database with a scribbled page",
      (path: string) => {
        const bytes = readFileSync(path)
        writeFileSync(path, bytes.fill(0xa5, 4096, 8192))
      }
    ]
  ] as const) {
    it.effect(`refuses ${what}, and leaves it as it is`, () =>
      Effect.gen(function* () {
        const path = yield* databasePath
        yield* withDatabase(
          path,
          Effect.flatMap(createPeers, (sql) =>
            sql`INSERT INTO keys SELECT NULL, zeroblob(5000) FROM peers`.pipe(
              Effect.andThen(sql`INSERT INTO peers VALUES (1, 'a')`),
              Effect.andThen(sql`INSERT INTO keys VALUES (1, zeroblob(50000))`)
            )
          )
        )
        damage(path)
        const before = readFileSync(path)
        const exit = yield* Effect.exit(withDatabase(path, SqlClient.SqlClient))

        assert.isTrue(Exit.isFailure(exit))
        const error = Exit.isFailure(exit) ? Cause.squash(exit.cause) : undefined
        assert.deepInclude(error, { _tag: "DatabaseError", reason: "Corrupted", path })
        assert.isTrue(before.equals(readFileSync(path)))
      })
    )
  }

  it.effect("says what is wrong with the place", () =>
    Effect.gen(function* () {
      const path = yield* databasePath
      const missing = yield* Effect.flip(Effect.scoped(Layer.build(SqliteClient.layer({ path: `${path}/none/x.db` }))))

      assert.strictEqual(missing.reason, "NotFound")
    })
  )
})

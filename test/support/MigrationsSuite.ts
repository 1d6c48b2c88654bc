/** What `Migrations` promises, on any engine. */
import { assert, type Vitest } from "@effect/vitest"
import { Effect } from "effect"
import { SqlClient } from "effect/sql"
import * as Migrations from "../../src/core/storage/Migrations.ts"
import type { Engine } from "./StorageEngine.ts"

const statement = (id: number, text: string) => ({
  id,
  name: `step ${id}`,
  migrate: Effect.flatMap(SqlClient.SqlClient, (sql) => sql.unsafe(text))
})

const first = statement(1, "CREATE TABLE peers (id INTEGER PRIMARY KEY)")
const second = statement(2, "ALTER TABLE peers ADD COLUMN name TEXT")
const broken = statement(3, "ALTER TABLE absent ADD COLUMN name TEXT")

const columns = Effect.flatMap(SqlClient.SqlClient, (sql) =>
  // One row, whatever is in the table.
  Effect.map(sql<object>`SELECT peers.* FROM (SELECT 1 AS one) AS one LEFT JOIN peers ON 1 = 0`, (rows) =>
    Object.keys(rows[0] ?? {})
  )
)

/** Runs the suite. */
export const run = <R>(it: Vitest.MethodsNonLive<R>, { empty }: Engine<R>): void => {
  it.effect("each runs once, in order", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* Migrations.run([first]), [1])
      assert.deepStrictEqual(yield* Migrations.run([first, second]), [2])
      assert.deepStrictEqual(yield* Migrations.run([first, second]), [])
      assert.deepStrictEqual(yield* columns, ["id", "name"])
    }).pipe(Effect.provide(empty, { local: true }))
  )

  it.effect("a failing one takes back those that ran with it", () =>
    Effect.gen(function* () {
      yield* Migrations.run([first])
      const error = yield* Effect.flip(Migrations.run([first, second, broken]))

      assert.strictEqual(error.reason, "Failed")
      assert.include(error.detail, "absent")
      assert.deepStrictEqual(yield* columns, ["id"])
      assert.deepStrictEqual(yield* Migrations.run([first, second]), [2])
    }).pipe(Effect.provide(empty, { local: true }))
  )

  it.effect("a database of a later program is refused", () =>
    Effect.gen(function* () {
      yield* Migrations.run([first, second])

      assert.strictEqual((yield* Effect.flip(Migrations.run([first]))).reason, "TooNew")
    }).pipe(Effect.provide(empty, { local: true }))
  )

  it.effect("a list with the same id twice is refused", () =>
    Effect.gen(function* () {
      assert.strictEqual((yield* Effect.flip(Migrations.run([first, first]))).reason, "BadList")
    }).pipe(Effect.provide(empty, { local: true }))
  )
}

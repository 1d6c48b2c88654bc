/**
 * Brings a database to the shape this program expects. Migrations run in order, each at most once, all of one start in
 * one transaction: a failing one leaves the database as it was. A database of a later program is refused.
 */
import { Effect, Schema } from "effect"
import { Migrator, SqlClient } from "effect/sql"

/** One step. Once released it never changes; `id` is positive and counts up. */
export interface Migration<E> {
  readonly id: number
  readonly name: string
  readonly migrate: Effect.Effect<unknown, E, SqlClient.SqlClient>
}

/** The database could not be brought to the expected shape; it is as it was. */
export class MigrationError extends Schema.TaggedError<MigrationError>()("MigrationError", {
  reason: Schema.Literals(["Failed", "TooNew", "BadList"]),
  detail: Schema.String
}) {}

/** Runs what this database has not seen, and returns the ids that ran. */
export const run = Effect.fn("Migrations.run")(function* <E>(migrations: ReadonlyArray<Migration<E>>) {
  const sql = yield* SqlClient.SqlClient
  const resolved = migrations.map(
    ({ id, migrate, name }): Migrator.ResolvedMigration => [id, name, Effect.succeed(migrate)]
  )
  const ran = yield* Migrator.make({})({ loader: Effect.succeed(resolved), table: TABLE })
  const applied = yield* sql<{ readonly latest: number | null }>`SELECT MAX(migration_id) AS latest FROM ${sql(TABLE)}`
  const known = Math.max(0, ...migrations.map(({ id }) => id))
  const latest = applied[0]?.latest ?? 0
  if (latest > known) {
    return yield* new MigrationError({
      reason: "TooNew",
      detail: `the database is at version ${latest}, this program knows ${known}`
    })
  }
  return ran.map(([id]) => id)
}, Effect.mapError(toMigrationError))

function toMigrationError(error: MigrationError | Migrator.MigrationError | { readonly message: string }) {
  if (error instanceof MigrationError) return error
  const isList = error instanceof Migrator.MigrationError && error.kind === "Duplicates"
  const cause =
    error instanceof Migrator.MigrationError && error.cause instanceof Error ? `: ${innermost(error.cause)}` : ""
  return new MigrationError({ reason: isList ? "BadList" : "Failed", detail: error.message + cause })
}

/** What the engine itself has said; clients wrap it in words of their own. */
const innermost = (error: Error): string => (error.cause instanceof Error ? innermost(error.cause) : error.message)

/** Where the applied migrations are recorded. */
const TABLE = "migrations"

/**
 * Databases by the path of their file, each with one user at a time. A node opens what it stores through this, so that a
 * simulated machine can keep them beside its disk.
 */
import { Context, Effect, Layer, type Scope } from "effect"
import type { SqlClient } from "effect/sql"
import * as SqliteClient from "./SqliteClient.ts"
import type { DatabaseError } from "./SqliteDatabase.ts"
import * as SqliteDatabase from "./SqliteDatabase.ts"

/** Opens databases. */
export class Databases extends Context.Service<
  Databases,
  {
    /** Opens or creates the file until the scope ends; its directory must exist. Committed means on disk. */
    readonly open: (path: string) => Effect.Effect<SqlClient.SqlClient, DatabaseError, Scope.Scope>
    /** The same for an owner that writes much and often: committed means in the file, and `synced` puts it on disk. */
    readonly openGrouped: (path: string) => Effect.Effect<GroupedDatabase, DatabaseError, Scope.Scope>
  }
>()("effect-pilot/core/storage/Databases") {}

/** A database whose commits do not wait for the disk. */
export interface GroupedDatabase {
  readonly sql: SqlClient.SqlClient
  /** Done when all that was committed before is on disk; the process goes on meanwhile. */
  readonly synced: Effect.Effect<void, DatabaseError>
}

/** SQLite files. */
export const layer: Layer.Layer<Databases> = Layer.succeed(Databases, {
  open: (path) => SqliteClient.open({ path }),
  openGrouped: Effect.fnUntraced(function* (path) {
    const database = yield* SqliteDatabase.open(path)
    const synced = yield* SqliteDatabase.grouped(database, path)
    return { sql: yield* SqliteClient.over(database), synced }
  })
})

/**
 * Databases by the path of their file, each with one user at a time. A node opens what it stores through this, so that a
 * simulated machine can keep them beside its disk.
 */
import { Context, type Effect, Layer, type Scope } from "effect"
import type { SqlClient } from "effect/sql"
import * as SqliteClient from "./SqliteClient.ts"
import type { DatabaseError } from "./SqliteDatabase.ts"

/** Opens databases. */
export class Databases extends Context.Service<
  Databases,
  {
    /** Opens or creates the file until the scope ends; its directory must exist. Committed means on disk. */
    readonly open: (path: string) => Effect.Effect<SqlClient.SqlClient, DatabaseError, Scope.Scope>
  }
>()("effect-pilot/core/storage/Databases") {}

/** SQLite files. */
export const layer: Layer.Layer<Databases> = Layer.succeed(Databases, {
  open: (path) => SqliteClient.open({ path })
})

/** An SQL engine that storage code runs on: what its suites are given. */
import type { Layer } from "effect"
import type { SqlClient } from "effect/sql"
import * as SqliteClient from "../../src/core/storage/SqliteClient.ts"
import { IN_MEMORY } from "../../src/core/storage/SqliteDatabase.ts"

/** `empty` is a database with nothing in it, another one for each time it is built. */
export interface Engine<R = never> {
  readonly name: string
  readonly empty: Layer.Layer<SqlClient.SqlClient, unknown, R>
  /** Of a property; fewer where each costs more. */
  readonly runs: number
}

/** In memory. */
export const sqlite: Engine = { name: "SQLite", empty: SqliteClient.layer({ path: IN_MEMORY }), runs: 100 }

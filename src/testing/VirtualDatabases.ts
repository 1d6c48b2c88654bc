/**
 * The databases of a simulated machine: real SQLite in memory, kept beside its disk. What was committed survives every
 * crash, as SQLite promises for what it has synced; what was under way is rolled back; and a program that is gone writes
 * nothing any more.
 */
import { Effect } from "effect"
import type { Databases } from "../core/storage/Databases.ts"
import * as SqliteClient from "../core/storage/SqliteClient.ts"
import * as SqliteDatabase from "../core/storage/SqliteDatabase.ts"

/** The open databases of one machine by their paths. */
export type Kept = Map<string, SqliteDatabase.Database>

/** The service of one life of the machine. They are closed with the process that simulates, being memory only. */
export const make = (kept: Kept, isRunning: () => boolean): Databases["Service"] => {
  const open = Effect.fnUntraced(function* (path: string) {
    const database = kept.get(path) ?? (yield* SqliteDatabase.openUnscoped(SqliteDatabase.IN_MEMORY))
    kept.set(path, database)
    if (database.isTransaction) database.exec("ROLLBACK")
    return yield* SqliteClient.over(database, isRunning)
  })
  return { open, openGrouped: (path) => Effect.map(open(path), (sql) => ({ sql, synced: Effect.void })) }
}

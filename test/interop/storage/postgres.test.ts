import { PgClient } from "@effect/sql-pg"
import { describe, layer } from "@effect/vitest"
import { Context, Effect, Layer, Redacted } from "effect"
import { SqlClient } from "effect/sql"
import * as MigrationsSuite from "../../support/MigrationsSuite.ts"
import * as PilotProcesses from "../../support/PilotProcesses.ts"
import * as Postgres from "../../support/Postgres.ts"
import * as RegistryStoreSuite from "../../support/RegistryStoreSuite.ts"
import type { Engine } from "../../support/StorageEngine.ts"
import * as TaskStoreSuite from "../../support/TaskStoreSuite.ts"
import * as Hosts from "../gateway/Hosts.ts"

/** A PostgreSQL for all tests of this file. */
class Server extends Context.Service<Server, { readonly url: string }>()("test/storage/Server") {
  static readonly layer = Layer.effect(
    Server,
    Effect.gen(function* () {
      const port = yield* Effect.flatMap(PilotProcesses.directory, Postgres.start)
      return { url: `postgres://postgres@127.0.0.1:${port}/postgres` }
    })
  )
}

const connected = Layer.unwrap(Effect.map(Server, ({ url }) => PgClient.layer({ url: Redacted.make(url) })))

const emptied = Layer.effectDiscard(
  Effect.flatMap(SqlClient.SqlClient, (sql) =>
    Effect.andThen(sql`DROP SCHEMA public CASCADE`, sql`CREATE SCHEMA public`)
  )
)

const postgres: Engine<Server> = { name: "PostgreSQL", empty: Layer.provideMerge(emptied, connected), runs: 15 }

/** The same storage code as over SQLite, and the same suites. */
describe.skipIf(!Hosts.isPossible)("storage over PostgreSQL (needs Linux, root, PostgreSQL)", () => {
  layer(Server.layer, { excludeTestServices: true, timeout: "60 seconds" })((it) => {
    describe("Migrations", () => MigrationsSuite.run(it, postgres))
    describe("SqlRegistryStore", () => RegistryStoreSuite.run(it, postgres))
    describe("TaskStore", () => TaskStoreSuite.run(it, postgres))
  })
})

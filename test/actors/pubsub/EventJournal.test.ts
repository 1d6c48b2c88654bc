import { copyFileSync } from "node:fs"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, FileSystem, Layer } from "effect"
import { SqlClient } from "effect/sql"
import * as EventJournal from "../../../src/actors/pubsub/EventJournal.ts"
import * as Bytes from "../../../src/core/data/Bytes.ts"
import { Databases, layer as databases } from "../../../src/core/storage/Databases.ts"
import * as SqliteClient from "../../../src/core/storage/SqliteClient.ts"
import { IN_MEMORY } from "../../../src/core/storage/SqliteDatabase.ts"
import { NodeId } from "../../../src/protocol/wire/Address.ts"

const event = (topic: string) => ({
  ...{ topic, payload: Bytes.fromUtf8(topic), publisher: NodeId(1), publishedAtMs: 1 }
})
const all = () => true
const topics = (journal: EventJournal.EventJournal) =>
  Effect.map(journal.read(0, all, 1 << 20), ({ events, position }) => [position, ...events.map(({ topic }) => topic)])

describe("EventJournal", () => {
  it.effect("shows and numbers nothing that is not synced, and takes back what could not be", () =>
    Effect.gen(function* () {
      let disk = yield* Deferred.make<void, { readonly message: string }>()
      const sql = yield* SqliteClient.open({ path: IN_MEMORY })
      const opened = EventJournal.open(
        EventJournal.RETENTION,
        "log",
        0,
        Effect.suspend(() => Deferred.await(disk))
      ).pipe(Effect.provideService(SqlClient.SqlClient, sql))
      yield* Deferred.succeed(disk, undefined)
      const journal = yield* opened

      disk = yield* Deferred.make<void, { readonly message: string }>()
      const appending = yield* Effect.forkChild(journal.append([event("a"), event("b")]), { startImmediately: true })
      assert.isUndefined(appending.pollUnsafe())
      assert.deepStrictEqual(yield* topics(journal), [0])
      yield* Deferred.fail(disk, { message: "no disk" })
      assert.strictEqual((yield* Effect.flip(Fiber.join(appending))).detail, "no disk")
      assert.strictEqual(journal.last(), 0)

      disk = yield* Deferred.make<void, { readonly message: string }>()
      yield* Deferred.succeed(disk, undefined)
      assert.strictEqual(yield* journal.append([event("c")]), 1)
      assert.deepStrictEqual(yield* topics(journal), [1, "c"])
    })
  )

  it.live("what is synced is in the files of a machine that stops now", () =>
    Effect.gen(function* () {
      const files = yield* FileSystem.FileSystem
      const home = yield* files.makeTempDirectoryScoped()
      const { openGrouped } = yield* Databases
      const open = Effect.fnUntraced(function* (path: string) {
        const { sql, synced } = yield* openGrouped(path)
        return yield* Effect.provideService(
          EventJournal.open(EventJournal.RETENTION, "log", 0, synced),
          SqlClient.SqlClient,
          sql
        )
      })
      const journal = yield* open(`${home}/events.db`)
      for (const topic of ["a", "b"]) yield* journal.append([event(topic)])
      for (const end of ["", "-wal"]) copyFileSync(`${home}/events.db${end}`, `${home}/copy.db${end}`)

      assert.deepStrictEqual(yield* topics(yield* open(`${home}/copy.db`)), [2, "a", "b"])
    }).pipe(Effect.provide(Layer.merge(databases, NodeServices.layer)))
  )
})

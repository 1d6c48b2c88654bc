import { assert, describe, it } from "@effect/vitest"
import { Context, type Deferred, Effect, FileSystem, Layer, Path, PlatformError, Result, Scope } from "effect"
import { TestClock } from "effect/testing"
import * as ExchangePlaces from "../../../src/actors/services/ExchangePlaces.ts"
import * as InboxWriter from "../../../src/actors/services/InboxWriter.ts"
import type { NotTaken } from "../../../src/actors/services/IncomingFile.ts"
import * as Mailbox from "../../../src/actors/services/Mailbox.ts"
import type * as StoreQuota from "../../../src/actors/services/StoreQuota.ts"
import * as Bytes from "../../../src/core/data/Bytes.ts"
import { MemoryDisk } from "../../../src/testing/MemoryDisk.ts"
import * as SeededRandom from "../../../src/testing/SeededRandom.ts"
import * as VirtualFileSystem from "../../../src/testing/VirtualFileSystem.ts"

const HOME = "/home"
const places = ExchangePlaces.at(HOME)

/** A machine whose syncs are counted, and whose disk can be full. */
const machine = Effect.fnUntraced(function* (boot = "") {
  const disk = new MemoryDisk()
  const virtual = VirtualFileSystem.make(disk, () => true)
  const state = { syncs: 0, isFull: false }
  const noSpace = PlatformError.systemError({ _tag: "Unknown", module: "FileSystem", method: "write" })
  const files: FileSystem.FileSystem = {
    ...virtual,
    open: (path, options) =>
      Effect.map(virtual.open(path, options), (file) => ({
        ...file,
        sync: Effect.andThen(
          Effect.sync(() => void state.syncs++),
          file.sync
        ),
        writeAll: (bytes) =>
          state.isFull && ExchangePlaces.isJournal(path) ? Effect.fail(noSpace) : file.writeAll(bytes)
      }))
  }
  yield* Effect.orDie(files.makeDirectory(HOME, { recursive: true }))
  const boots = (id: string) =>
    Effect.andThen(
      files.makeDirectory("/proc/sys/kernel/random", { recursive: true }),
      files.writeFileString("/proc/sys/kernel/random/boot_id", id)
    )
  if (boot !== "") yield* Effect.orDie(boots(boot))
  const services = Context.make(FileSystem.FileSystem, files).pipe(Context.merge(yield* Layer.build(Path.layer)))
  const during = <A, E>(use: Effect.Effect<A, E, Path.Path | FileSystem.FileSystem | Scope.Scope>) =>
    Effect.scoped(Effect.provideContext(use, services))
  const texts = Effect.map(Effect.provideContext(Mailbox.messages(HOME), services), (messages = []) =>
    messages.map(({ message }) => Bytes.toUtf8Lossy(message.data)).toSorted()
  )
  const journals = Effect.map(files.readDirectory(places.transfers), (names) => names.filter(ExchangePlaces.isJournal))
  /** A life of the node that nothing tidies up, as if it were cut off. */
  const forever = yield* Effect.scope
  const started = Effect.provideContext(start(), Context.add(services, Scope.Scope, forever))
  return { disk, files, state, during, texts, journals, boots, started }
})

const start = (limit?: StoreQuota.Amount) =>
  Effect.gen(function* () {
    yield* ExchangePlaces.prepare(places)
    const writer = yield* InboxWriter.spawn(places, limit)
    return (text: string) =>
      Effect.result(
        writer.ask((stored: Deferred.Deferred<string, NotTaken>) => ({
          record: { kind: 1, payload: Bytes.fromUtf8(text), from: "0:0000.0000.0002", receivedAt: "" },
          stored
        }))
      )
  })
const numbered = (count: number, from = 0) =>
  Array.from({ length: count }, (_, index) => String(from + index).padStart(3, "0"))

describe("InboxJournal", () => {
  it.effect("messages that come together are acknowledged by one sync", () =>
    Effect.gen(function* () {
      const { during, state, texts } = yield* machine()
      yield* during(
        Effect.gen(function* () {
          const save = yield* start()
          yield* save("first")
          state.syncs = 0
          const saved = yield* Effect.forEach(numbered(60), save, { concurrency: 60 })
          assert.isTrue(saved.every(Result.isSuccess))
          assert.isAtMost(state.syncs, 2)
          assert.deepStrictEqual(yield* texts, [...numbered(60), "first"])
        })
      )
    })
  )

  it.effect("what was acknowledged survives the loss of everything that was not synced, once and whole", () =>
    Effect.forEach(
      Array.from({ length: 60 }, (_, seed) => seed),
      (seed) =>
        Effect.gen(function* () {
          const { boots, disk, during, journals, started, texts } = yield* machine(`boot ${seed}`)
          const random = SeededRandom.make(seed)
          const acknowledged: Array<string> = []
          const long = `long ${"x".repeat(70_000)}`
          const save = yield* started
          for (let wave = 0; wave < 4; wave++) {
            const all = [...numbered(1 + SeededRandom.index(random, 30), 100 * wave), ...(wave === 2 ? [long] : [])]
            const saved = yield* Effect.forEach(all, save, { concurrency: 64 })
            for (const [index, result] of saved.entries()) if (Result.isSuccess(result)) acknowledged.push(all[index]!)
            if (SeededRandom.chance(random, 0.3)) yield* TestClock.adjust("80 seconds")
            if (SeededRandom.chance(random, 0.4)) break
          }
          disk.crash(random)
          yield* Effect.orDie(boots("another boot"))
          yield* during(Effect.flatMap(start(), (saveAgain) => saveAgain("after")))
          acknowledged.push("after")
          assert.deepStrictEqual(yield* texts, acknowledged.toSorted())
          assert.deepStrictEqual(yield* journals, [])
          // And is now as safe as it says.
          disk.crash(random)
          assert.deepStrictEqual(yield* texts, acknowledged.toSorted())
        }),
      { discard: true }
    )
  )

  it.effect("what its reader took away does not come back when only the process was killed", () =>
    Effect.gen(function* () {
      const { during, files, journals, started, texts } = yield* machine("this boot")
      const save = yield* started
      const [first] = yield* Effect.forEach(numbered(3), save, { concurrency: 3 })
      yield* files.remove(Result.getOrThrow(first!))
      assert.lengthOf(yield* journals, 1)
      yield* during(Effect.flatMap(start(), (saveAgain) => saveAgain("after")))
      assert.deepStrictEqual(yield* texts, ["001", "002", "after"])
      assert.deepStrictEqual(yield* journals, [])
    })
  )

  it.effect("files that a killed process had only begun are no messages, and take no room from those that come", () =>
    Effect.gen(function* () {
      const { during, files, started, texts } = yield* machine("this boot")
      const save = yield* started
      yield* save("whole")
      yield* files.writeFileString(`${places.inbox}/TEXT-20000101-000000.000.json`, "")
      yield* files.writeFileString(`${places.inbox}/notes.txt`, "")
      yield* during(
        Effect.gen(function* () {
          const saveAgain = yield* start({ files: 3, bytes: 10_000 })
          assert.isTrue(Result.isSuccess(yield* saveAgain("after")))
          assert.isTrue(Result.isFailure(yield* saveAgain("too many")))
        })
      )
      assert.deepStrictEqual(yield* texts, ["after", "whole"])
      assert.include(yield* files.readDirectory(places.inbox), "notes.txt")
    })
  )

  it.effect("is gone when the files of the inbox are on disk, and when the node stops", () =>
    Effect.gen(function* () {
      const { disk, during, journals, texts } = yield* machine()
      yield* during(
        Effect.gen(function* () {
          const save = yield* start()
          yield* save("a")
          assert.lengthOf(yield* journals, 1)
          yield* TestClock.adjust("80 seconds")
          assert.deepStrictEqual(yield* journals, [])
          yield* save("b")
          assert.lengthOf(yield* journals, 1)
        })
      )
      assert.deepStrictEqual(yield* journals, [])
      disk.crash(SeededRandom.make(1))
      assert.deepStrictEqual(yield* texts, ["a", "b"])
    })
  )

  it.effect("a disk that takes no note is an answer, leaves nothing behind, and what was noted before stays", () =>
    Effect.gen(function* () {
      const { disk, during, state, texts } = yield* machine()
      yield* during(
        Effect.gen(function* () {
          const save = yield* start()
          yield* save("before")
          state.isFull = true
          const refused = yield* Effect.forEach(numbered(3), save, { concurrency: 3 })
          assert.isTrue(refused.every(Result.isFailure))
          assert.deepStrictEqual(yield* texts, ["before"])
          state.isFull = false
          assert.isTrue(Result.isSuccess(yield* save("after")))
        })
      )
      disk.crash(SeededRandom.make(2))
      assert.deepStrictEqual(yield* texts, ["after", "before"])
    })
  )
})

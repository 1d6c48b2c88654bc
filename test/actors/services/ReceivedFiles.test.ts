import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, FileSystem, Layer, Path, type Scope } from "effect"
import { TestClock } from "effect/testing"
import * as ExchangePlaces from "../../../src/actors/services/ExchangePlaces.ts"
import * as ReceivedFiles from "../../../src/actors/services/ReceivedFiles.ts"
import * as ReceivedTrees from "../../../src/actors/services/ReceivedTrees.ts"
import * as Address from "../../../src/protocol/wire/Address.ts"
import { MemoryDisk } from "../../../src/testing/MemoryDisk.ts"
import * as VirtualFileSystem from "../../../src/testing/VirtualFileSystem.ts"

const FROM = Address.make(0, 2)
const PLACES = ExchangePlaces.at("/home")
const large = { sizeBytes: 600, digest: new Uint8Array(32), chunkBytes: 100, name: "large" }
const other = { ...large, digest: new Uint8Array(32).fill(1), sizeBytes: 500 }
const tree = { op: "tree" as const, id: "0".repeat(32), name: "d", files: [["a", 600]] as const, directories: [] }

/** A store with room for a thousand bytes. */
const stage = <A, E>(
  use: (received: ReceivedFiles.ReceivedFiles) => Effect.Effect<A, E, FileSystem.FileSystem | Path.Path | Scope.Scope>
) =>
  Effect.gen(function* () {
    const files = VirtualFileSystem.make(new MemoryDisk(), () => true)
    yield* files.makeDirectory(PLACES.transfers, { recursive: true })
    const services = Context.make(FileSystem.FileSystem, files).pipe(Context.merge(yield* Layer.build(Path.layer)))
    const options = { places: PLACES, bytesMax: 1000, report: () => {}, full: () => {} }
    const used = Effect.flatMap(ReceivedFiles.make(options), use)
    return yield* Effect.provideContext(Effect.scoped(used), services)
  })

const write = (name: string, sizeBytes: number) =>
  Effect.flatMap(FileSystem.FileSystem, (files) =>
    files.writeFile(`${PLACES.transfers}/${name}`, new Uint8Array(sizeBytes))
  )

describe("ReceivedFiles", () => {
  it.effect("the first file may be larger than half of the room", () =>
    stage(
      Effect.fnUntraced(function* (received) {
        const place = yield* ReceivedFiles.placeFor(received, FROM)
        assert.property(yield* place.open(large, Effect.void), "partial")
      })
    )
  )

  it.effect("an attempt that breaks leaves the room of what did not come to the next", () =>
    stage(
      Effect.fnUntraced(function* (received) {
        const place = yield* ReceivedFiles.placeFor(received, FROM)
        yield* ReceivedFiles.save(received, FROM, "small", new Uint8Array(100))
        for (const doneBytes of [0, 0, 300]) {
          const opened = yield* place.open(large, Effect.void)
          yield* write(String("partial" in opened && opened.partial.slice(PLACES.transfers.length + 1)), doneBytes)
          yield* place.left(large)
        }
        assert.property(yield* place.open(other, Effect.void), "partial")
        assert.strictEqual((yield* Effect.flip(place.open(large, Effect.void))).reason, "Full")
      })
    )
  )

  it.effect("what a transfer took is used once when it is stored", () =>
    stage(
      Effect.fnUntraced(function* (received) {
        const place = yield* ReceivedFiles.placeFor(received, FROM)
        const opened = yield* place.open(large, Effect.void)
        const partial = "partial" in opened ? opened.partial : ""
        yield* write(partial.slice(PLACES.transfers.length + 1), large.sizeBytes)
        yield* place.commit(partial, large)
        yield* place.left(large)
        yield* ReceivedFiles.save(received, FROM, "small", new Uint8Array(300))
        assert.strictEqual((yield* Effect.flip(place.open(other, Effect.void))).reason, "Full")
      })
    )
  )
})

describe("transfers that nobody comes back for", () => {
  it.effect("go after seven days while the node runs, and leave their room; one that is under way stays", () =>
    stage(
      Effect.fnUntraced(function* (received) {
        const files = yield* FileSystem.FileSystem
        const place = yield* ReceivedFiles.placeFor(received, FROM)
        const opened = yield* place.open(large, Effect.void)
        const name = String("partial" in opened && opened.partial.slice(PLACES.transfers.length + 1))
        yield* write(name, 600)
        yield* TestClock.adjust("8 days")
        assert.include(yield* files.readDirectory(PLACES.transfers), name)
        yield* place.left(large)
        assert.strictEqual((yield* Effect.flip(place.open(other, Effect.void))).reason, "Full")

        yield* TestClock.adjust("2 hours")
        assert.notInclude(yield* files.readDirectory(PLACES.transfers), name)
        assert.property(yield* place.open(other, Effect.void), "partial")
      })
    )
  )
})

describe("ReceivedTrees", () => {
  it.effect("a directory takes its room once, however many streams bring it and however often they break", () =>
    stage(
      Effect.fnUntraced(function* (received) {
        for (let attempt = 0; attempt < 3; attempt++) {
          const streams = yield* Effect.all(
            [1, 2, 3, 4].map(() => ReceivedTrees.open(received, FROM, tree)),
            { concurrency: "unbounded" }
          )
          yield* Effect.forEach(streams, (one) => ReceivedTrees.leave(received, one))
        }
        const first = yield* ReceivedTrees.open(received, FROM, tree)
        yield* ReceivedTrees.leave(received, yield* ReceivedTrees.open(received, FROM, tree))
        const place = yield* ReceivedFiles.placeFor(received, FROM)
        assert.strictEqual((yield* Effect.flip(place.open(other, Effect.void))).reason, "Full")
        yield* ReceivedTrees.leave(received, first)
        assert.property(yield* place.open(other, Effect.void), "partial")
      })
    )
  )

  it.effect("what has come of a directory stays counted", () =>
    stage(
      Effect.fnUntraced(function* (received) {
        const opened = yield* ReceivedTrees.open(received, FROM, tree)
        const place = yield* ReceivedTrees.placeFor(received, opened)
        const file = { ...large, name: "a" }
        const found = yield* place.open(file, Effect.void)
        const partial = "partial" in found ? found.partial : ""
        yield* write(partial.slice(PLACES.transfers.length + 1), file.sizeBytes)
        yield* place.left(file)
        yield* ReceivedTrees.leave(received, opened)
        const single = yield* ReceivedFiles.placeFor(received, FROM)
        assert.strictEqual((yield* Effect.flip(single.open(other, Effect.void))).reason, "Full")

        const again = yield* ReceivedTrees.open(received, FROM, tree)
        yield* place.open(file, Effect.void)
        yield* place.commit(partial, file)
        yield* place.left(file)
        yield* ReceivedTrees.close(received, again)
        yield* ReceivedTrees.leave(received, again)
        yield* ReceivedFiles.save(received, FROM, "small", new Uint8Array(400))
        assert.strictEqual((yield* Effect.flip(single.open(other, Effect.void))).reason, "Full")
      })
    )
  )
})

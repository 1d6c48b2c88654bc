import { assert, describe, it } from "@effect/vitest"
import { Effect, FileSystem, Layer, Path, Schema } from "effect"
import * as AtomicFile from "../../src/core/storage/AtomicFile.ts"
import * as MemoryDisk from "../../src/testing/MemoryDisk.ts"
import * as SeededRandom from "../../src/testing/SeededRandom.ts"
import * as VirtualFileSystem from "../../src/testing/VirtualFileSystem.ts"

const on = (disk: MemoryDisk.MemoryDisk, isRunning = () => true) =>
  Layer.merge(Path.layer, Layer.succeed(FileSystem.FileSystem, VirtualFileSystem.make(disk, isRunning)))

/** Runs on a disk; file operations here never fail. */
const files = <A, E>(disk: MemoryDisk.MemoryDisk, effect: Effect.Effect<A, E, FileSystem.FileSystem | Path.Path>) =>
  Effect.orDie(Effect.provide(effect, on(disk)))

const write = (path: string, text: string) => FileSystem.FileSystem.use((fs) => fs.writeFileString(path, text))
const read = (path: string) => FileSystem.FileSystem.use((fs) => fs.readFileString(path))
const reasonOf = <A>(effect: Effect.Effect<A, { readonly reason: { readonly _tag: string } }>) =>
  Effect.map(Effect.flip(effect), ({ reason }) => reason._tag)

describe("VirtualFileSystem", () => {
  it.effect("files, directories, modes, appending and renaming are as on a disk", () =>
    Effect.gen(function* () {
      const fs = VirtualFileSystem.make(new MemoryDisk.MemoryDisk(), () => true)
      yield* fs.makeDirectory("/a/b", { recursive: true, mode: 0o700 })
      yield* fs.writeFileString("/a/b/one", "first", { mode: 0o600 })
      yield* fs.writeFileString("/a/b/one", " second", { flag: "a" })
      yield* fs.rename("/a/b/one", "/a/two")

      assert.strictEqual(yield* fs.readFileString("/a/two"), "first second")
      assert.deepStrictEqual(yield* fs.readDirectory("/a"), ["b", "two"])
      assert.deepStrictEqual(yield* fs.readDirectory("/a/b"), [])
      const { mode, size, type } = yield* fs.stat("/a/two")
      assert.deepStrictEqual([type, mode & 0o777, Number(size)], ["File", 0o600, 12])
      assert.strictEqual(yield* reasonOf(fs.readFile("/a/b/one")), "NotFound")
      assert.strictEqual(yield* reasonOf(fs.makeDirectory("/a")), "AlreadyExists")
      assert.strictEqual(yield* reasonOf(Effect.scoped(fs.open("/a/two", { flag: "wx" }))), "AlreadyExists")
      assert.strictEqual(yield* reasonOf(fs.remove("/a")), "Unknown")
      yield* fs.remove("/a", { recursive: true })
      assert.isFalse(yield* fs.exists("/a/two"))
    })
  )

  it.effect("a machine that is off reads and writes nothing", () =>
    Effect.gen(function* () {
      let isRunning = true
      const fs = VirtualFileSystem.make(new MemoryDisk.MemoryDisk(), () => isRunning)
      yield* fs.writeFileString("/file", "text")
      isRunning = false

      assert.strictEqual(yield* reasonOf(fs.readFile("/file")), "BadResource")
      assert.strictEqual(yield* reasonOf(fs.writeFileString("/file", "other")), "BadResource")
    })
  )

  it.effect("a lock is one holder's, and free after a crash", () =>
    Effect.gen(function* () {
      const disk = new MemoryDisk.MemoryDisk()
      const { acquire } = VirtualFileSystem.lock(disk, () => true)
      assert.strictEqual((yield* Effect.flip(acquire("/home"))).reason, "NotFound")
      yield* files(
        disk,
        FileSystem.FileSystem.use((fs) => fs.makeDirectory("/home"))
      )
      yield* Effect.scoped(acquire("/home"))
      yield* acquire("/home")

      assert.strictEqual((yield* Effect.flip(acquire("/home"))).reason, "Held")
      disk.releaseLocks()
      yield* acquire("/home")
    })
  )
})

describe("MemoryDisk", () => {
  const seeds = { seed: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 100_000 })) }

  it.effect.prop("what was written atomically is there after a power cut, the old or the new", seeds, ({ seed }) =>
    Effect.gen(function* () {
      const disk = new MemoryDisk.MemoryDisk()
      yield* files(
        disk,
        FileSystem.FileSystem.use((fs) => fs.makeDirectory("/home"))
      )
      yield* files(disk, AtomicFile.write("/home/state", "old", { mode: AtomicFile.OWNER_ONLY }))
      disk.crash(SeededRandom.make(seed))
      assert.strictEqual(yield* files(disk, read("/home/state")), "old")

      yield* files(disk, AtomicFile.write("/home/state", "new", { mode: AtomicFile.OWNER_ONLY }))
      disk.crash(SeededRandom.make(seed + 1))
      assert.strictEqual(yield* files(disk, read("/home/state")), "new")
    })
  )

  it.effect("what was not synced is there, gone or cut short, as chance decides", () =>
    Effect.gen(function* () {
      const seen = new Set<string>()
      for (let seed = 0; seed < 200; seed++) {
        const disk = new MemoryDisk.MemoryDisk()
        yield* files(disk, write("/file", "text"))
        disk.crash(SeededRandom.make(seed))
        seen.add(
          yield* files(
            disk,
            Effect.orElseSucceed(read("/file"), () => "no file")
          )
        )
      }

      assert.deepStrictEqual([...seen].toSorted(), ["", "no file", "t", "te", "tex", "text"])
    })
  )
})

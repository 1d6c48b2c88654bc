import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Exit, Fiber, FileSystem, Latch, Layer, Path, Scope } from "effect"
import { TestClock } from "effect/testing"
import * as IncomingFile from "../../../src/actors/services/IncomingFile.ts"
import { Crypto } from "../../../src/core/crypto/Crypto.ts"
import * as NativeCrypto from "../../../src/core/crypto/NativeCrypto.ts"
import * as FileStream from "../../../src/protocol/wire/FileStream.ts"
import { MemoryDisk } from "../../../src/testing/MemoryDisk.ts"
import * as VirtualFileSystem from "../../../src/testing/VirtualFileSystem.ts"

const digest = new Uint8Array(32)
const id = FileStream.idOf(digest)
const file = { sizeBytes: 100, digest, chunkBytes: 100, name: "a" }

/** A taker of files on a disk whose `sync` and `open` wait while they are shut. */
const stage = Effect.gen(function* () {
  const disk = VirtualFileSystem.make(new MemoryDisk(), () => true)
  const [sync, open] = [Latch.makeUnsafe(true), Latch.makeUnsafe(true)]
  const counts = { handles: 0, left: 0 }
  let evict: Effect.Effect<void> = Effect.void
  const files: FileSystem.FileSystem = {
    ...disk,
    open: (path, options) =>
      Effect.gen(function* () {
        const opened = yield* disk.open(path, options)
        counts.handles++
        yield* Effect.addFinalizer(() => Effect.sync(() => void counts.handles--))
        yield* open.await
        return { ...opened, sync: Effect.andThen(sync.await, opened.sync) }
      })
  }
  const services = Context.make(FileSystem.FileSystem, files).pipe(
    Context.add(Crypto, NativeCrypto.crypto),
    Context.merge(yield* Layer.build(Path.layer))
  )
  const scope = yield* Scope.make()
  const incoming = yield* IncomingFile.make<never>({
    place: {
      open: (_, other) =>
        Effect.sync(() => {
          evict = other
          return { partial: "/a.part" }
        }),
      commit: () => Effect.succeed("a"),
      left: () => Effect.sync(() => void counts.left++)
    },
    write: () => Effect.void
  }).pipe(Effect.provideContext(services), Scope.provide(scope))
  return { counts, evict: Effect.suspend(() => evict), files, incoming, open, scope, sync }
})

describe("IncomingFile", () => {
  it.effect("lets go of a file even if whoever evicts it has not waited for the disk", () =>
    Effect.gen(function* () {
      const { counts, evict, incoming, sync } = yield* stage
      yield* incoming.receive(FileStream.FileStream.Init({ id, file }))
      yield* incoming.receive(FileStream.FileStream.Chunk({ id, offset: 0, bytes: new Uint8Array(50) }))
      sync.closeUnsafe()
      const evicting = yield* Effect.forkChild(Effect.timeoutOption(evict, "5 seconds"), { startImmediately: true })
      yield* TestClock.adjust("6 seconds")
      yield* sync.open
      yield* Fiber.join(evicting)

      assert.deepStrictEqual(counts, { handles: 0, left: 1 })
    })
  )

  it.effect("an interruption while the file is opened leaves no handle behind", () =>
    Effect.gen(function* () {
      const { counts, incoming, open, scope } = yield* stage
      open.closeUnsafe()
      const receiving = yield* Effect.forkChild(incoming.receive(FileStream.FileStream.Init({ id, file })), {
        startImmediately: true
      })
      while (counts.handles === 0) yield* Effect.yieldNow
      yield* Fiber.interrupt(receiving)
      yield* Scope.close(scope, Exit.void)

      assert.strictEqual(counts.handles, 0)
    })
  )
})

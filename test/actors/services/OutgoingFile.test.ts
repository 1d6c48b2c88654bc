import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, FileSystem, Result } from "effect"
import { TestClock } from "effect/testing"
import * as FrameLink from "../../../src/actors/services/FrameLink.ts"
import * as OutgoingFile from "../../../src/actors/services/OutgoingFile.ts"
import { STEP_MS } from "../../../src/protocol/exchange/FileSender.ts"
import * as DataFrame from "../../../src/protocol/wire/DataFrame.ts"
import * as FileStream from "../../../src/protocol/wire/FileStream.ts"
import { MemoryDisk } from "../../../src/testing/MemoryDisk.ts"
import * as VirtualFileSystem from "../../../src/testing/VirtualFileSystem.ts"
import * as DuplexPair from "../../support/DuplexPair.ts"

describe("OutgoingFile", () => {
  it.effect("says so when it gives up on a receiver that has everything and no word (node §4.4)", () =>
    Effect.gen(function* () {
      const files = VirtualFileSystem.make(new MemoryDisk(), () => true)
      yield* files.writeFile("/f", new Uint8Array(10))
      const pair = yield* DuplexPair.make()
      const digest = new Uint8Array(32)
      const id = FileStream.idOf(digest)
      const file = { sizeBytes: 10, digest, chunkBytes: 48 << 10, name: "f" }
      const sending = yield* OutgoingFile.run(FrameLink.make(pair.left), { path: "/f", file }).pipe(
        Effect.scoped,
        Effect.provideService(FileSystem.FileSystem, files),
        Effect.forkChild({ startImmediately: true })
      )
      const peer = FrameLink.make(pair.right)
      const next = Effect.map(peer.read, ({ payload }) => Result.getOrThrow(FileStream.decode(payload)))
      const say = (message: FileStream.FileStream) =>
        peer.write(DataFrame.encode(DataFrame.Kind.FileStream, FileStream.encode(message)))
      assert.strictEqual((yield* next)._tag, "Init")
      yield* say(FileStream.FileStream.InitAck({ id, offset: 0 }))
      assert.strictEqual((yield* next)._tag, "Chunk")
      yield* say(FileStream.FileStream.Ack({ id, offset: 10 }))
      assert.strictEqual((yield* next)._tag, "Done")
      yield* TestClock.adjust(2 * STEP_MS)

      assert.strictEqual((yield* Fiber.join(sending))._tag, "Silent")
      const last = yield* Effect.raceFirst(Effect.asSome(next), Effect.delay(Effect.succeedNone, "1 second"))
      assert.strictEqual(last._tag === "Some" ? last.value._tag : "nothing", "Abort")
    })
  )
})

import { assert, describe, it } from "@effect/vitest"
import { Effect, FileSystem, Queue, Stream } from "effect"
import { TestClock } from "effect/testing"
import * as Messages from "../../src/api/Messages.ts"
import { Pilot } from "../../src/api/Pilot.ts"
import * as Bytes from "../../src/core/data/Bytes.ts"
import * as InboxRecord from "../../src/protocol/exchange/InboxRecord.ts"
import { MemoryDisk } from "../../src/testing/MemoryDisk.ts"
import * as VirtualFileSystem from "../../src/testing/VirtualFileSystem.ts"

describe("Messages", () => {
  it.effect("what comes is read once, however long it stays", () =>
    Effect.gen(function* () {
      const disk = VirtualFileSystem.make(new MemoryDisk(), () => true)
      let reads = 0
      const files: FileSystem.FileSystem = {
        ...disk,
        readFileString: (path, encoding) => {
          reads++
          return disk.readFileString(path, encoding)
        }
      }
      const put = (name: string) => {
        const record = { kind: 1, payload: Bytes.fromUtf8(name), from: "0:0000.0000.0002", receivedAt: "" }
        return files.writeFileString(`/home/inbox/${name}`, InboxRecord.encode(record))
      }
      yield* files.makeDirectory("/home/inbox", { recursive: true })
      for (const name of ["TEXT-1-000001.json", "TEXT-1.json"]) yield* put(name)
      const pilot = { dial: () => Effect.die("nobody is called") } as Partial<Pilot["Service"]> as Pilot["Service"]
      const { incoming } = yield* Messages.make("/home").pipe(
        Effect.provideService(FileSystem.FileSystem, files),
        Effect.provideService(Pilot, pilot)
      )
      const heard = yield* Queue.unbounded<string>()
      yield* Effect.forkScoped(Stream.runForEach(incoming, ({ text }) => Queue.offer(heard, text)))
      yield* TestClock.adjust("10 seconds")
      yield* put("TEXT-2.json")
      yield* TestClock.adjust("10 seconds")

      assert.deepStrictEqual(yield* Queue.takeAll(heard), ["TEXT-1.json", "TEXT-1-000001.json", "TEXT-2.json"])
      assert.strictEqual(reads, 3)
    })
  )
})

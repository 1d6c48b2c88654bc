import { assert, describe, it } from "@effect/vitest"
import { Context, type Deferred, Effect, FileSystem, Layer, Path } from "effect"
import * as ExchangePlaces from "../../../src/actors/services/ExchangePlaces.ts"
import * as InboxWriter from "../../../src/actors/services/InboxWriter.ts"
import type { NotTaken } from "../../../src/actors/services/IncomingFile.ts"
import * as Mailbox from "../../../src/actors/services/Mailbox.ts"
import * as Bytes from "../../../src/core/data/Bytes.ts"
import { MemoryDisk } from "../../../src/testing/MemoryDisk.ts"
import * as VirtualFileSystem from "../../../src/testing/VirtualFileSystem.ts"

const HOME = "/home"

describe("Mailbox", () => {
  it.effect("messages of one millisecond are in the order in which they came", () =>
    Effect.gen(function* () {
      const files = VirtualFileSystem.make(new MemoryDisk(), () => true)
      const places = ExchangePlaces.at(HOME)
      yield* files.makeDirectory(places.transfers, { recursive: true })
      const services = Context.make(FileSystem.FileSystem, files).pipe(Context.merge(yield* Layer.build(Path.layer)))
      const texts = Effect.gen(function* () {
        const writer = yield* InboxWriter.spawn(places)
        const save = (text: string) =>
          writer.ask((stored: Deferred.Deferred<string, NotTaken>) => ({
            record: { kind: 1, payload: Bytes.fromUtf8(text), from: "0:0000.0000.0002", receivedAt: "" },
            stored
          }))
        for (const text of ["one", "two", "three"]) yield* save(text)
        return (yield* Mailbox.messages(HOME))?.map(({ message }) => Bytes.toUtf8Lossy(message.data))
      })

      assert.deepStrictEqual(yield* Effect.provideContext(texts, services), ["one", "two", "three"])
    })
  )
})

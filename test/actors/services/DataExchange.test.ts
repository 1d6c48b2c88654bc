import { assert, describe, it } from "@effect/vitest"
import { Cause, Context, type Deferred, Effect, FileSystem, Layer, Path, PlatformError, Result } from "effect"
import { TestClock } from "effect/testing"
import { type Connection, Node } from "../../../src/actors/node/Node.ts"
import * as DataExchange from "../../../src/actors/services/DataExchange.ts"
import * as ExchangePlaces from "../../../src/actors/services/ExchangePlaces.ts"
import * as InboxWriter from "../../../src/actors/services/InboxWriter.ts"
import type { NotTaken } from "../../../src/actors/services/IncomingFile.ts"
import { PeerKeys } from "../../../src/actors/trust/PeerKeys.ts"
import { Crypto } from "../../../src/core/crypto/Crypto.ts"
import * as NativeCrypto from "../../../src/core/crypto/NativeCrypto.ts"
import * as Bytes from "../../../src/core/data/Bytes.ts"
import type { ProtocolEvent } from "../../../src/protocol/ProtocolEvent.ts"
import * as Address from "../../../src/protocol/wire/Address.ts"
import * as DataFrame from "../../../src/protocol/wire/DataFrame.ts"
import * as ExchangeRequest from "../../../src/protocol/wire/ExchangeRequest.ts"
import * as FileFrame from "../../../src/protocol/wire/FileFrame.ts"
import * as FileStream from "../../../src/protocol/wire/FileStream.ts"
import { MemoryDisk } from "../../../src/testing/MemoryDisk.ts"
import * as VirtualFileSystem from "../../../src/testing/VirtualFileSystem.ts"
import { MemoryNodes } from "../../support/MemoryNodes.ts"
import * as TrustStation from "../../support/TrustStation.ts"

const HOME = "/home"
const SERVER = Address.make(0, 1)
const STRANGER = 99

/** A disk that can be full. */
const diskOf = () => {
  const disk = VirtualFileSystem.make(new MemoryDisk(), () => true)
  const state = { isFull: false }
  const noSpace = PlatformError.systemError({
    _tag: "Unknown",
    module: "FileSystem",
    method: "write",
    cause: Object.assign(new Error("no space"), { code: "ENOSPC" })
  })
  const files: FileSystem.FileSystem = {
    ...disk,
    open: (path, options) =>
      Effect.map(disk.open(path, options), (file) => ({
        ...file,
        writeAll: (bytes) => (state.isFull ? Effect.fail(noSpace) : file.writeAll(bytes))
      }))
  }
  return { files, state }
}

/** A node with data exchange whose peers are all trusted but one. */
const scene = Effect.gen(function* () {
  const nodes = new MemoryNodes()
  const server = nodes.add(1, new Uint8Array(32))
  const { files, state } = diskOf()
  yield* Effect.orDie(files.makeDirectory(HOME, { recursive: true }))
  const events: Array<ProtocolEvent> = []
  const station = yield* Effect.orDie(TrustStation.start(TrustStation.world(), 50))
  const keys: PeerKeys["Service"] = {
    ...station.keys,
    isTrusted: (node) => node !== STRANGER,
    pinned: () => new Uint8Array(32)
  }
  const services = Context.make(Node, server.service).pipe(
    Context.add(PeerKeys, keys),
    Context.add(Crypto, NativeCrypto.crypto),
    Context.add(FileSystem.FileSystem, files),
    Context.merge(yield* Layer.build(Path.layer))
  )
  const options = { home: HOME, receivedBytesMax: 1000, report: (event: ProtocolEvent) => void events.push(event) }
  yield* Effect.orDie(DataExchange.spawn(options).pipe(Effect.provideContext(services)))
  const dial = (id = 2) => nodes.add(id, new Uint8Array(32)).service.dial(SERVER, DataExchange.PORT)
  const list = (directory: string) =>
    files.readDirectory(`${HOME}/${directory}`).pipe(
      Effect.map((names) => names.filter((name) => !ExchangePlaces.isJournal(name))),
      Effect.orElseSucceed(() => [])
    )
  return { dial, events, files, list, state }
})

/** Frames as they come back. */
const reader = ({ read }: Connection) => {
  const splitter = new DataFrame.DataFrameSplitter()
  const waiting: Array<DataFrame.DataFrame> = []
  return Effect.gen(function* () {
    while (waiting.length === 0) waiting.push(...splitter.push(yield* read).frames)
    return waiting.shift()!
  })
}
const textOf = ({ payload }: DataFrame.DataFrame) => Bytes.toUtf8Lossy(payload)
const file = (name: string, content: string) =>
  DataFrame.encode(DataFrame.Kind.File, FileFrame.encodeFileName(name), Bytes.fromUtf8(content))

describe("DataExchange", () => {
  it.effect("stores and answers every frame in order, however many come at once (node §4.2)", () =>
    Effect.gen(function* () {
      const { dial, events, list } = yield* scene
      const connection = yield* dial()
      const next = reader(connection)
      yield* connection.write(
        Bytes.concat(
          DataFrame.encodeText("one"),
          DataFrame.encode(DataFrame.Kind.Binary, Uint8Array.of(0, 1, 2)),
          DataFrame.encode(9, Uint8Array.of(7)),
          file("note.txt", "file body\n"),
          file("", "x"),
          DataFrame.encodeText("")
        )
      )
      const answers: Array<string> = []
      while (answers.length < 6) answers.push(textOf(yield* next))

      assert.deepStrictEqual(answers, [
        "ACK TEXT 3 bytes",
        "ACK BINARY 3 bytes",
        "ACK UNKNOWN(9) 1 bytes",
        "ACK FILE 10 bytes",
        "ACK FILE 1 bytes",
        "ACK TEXT 0 bytes"
      ])
      const inbox = yield* list("inbox")
      assert.strictEqual(inbox.length, 3)
      assert.strictEqual(inbox.filter((name) => name.startsWith("TEXT-")).length, 2)
      assert.strictEqual((yield* list("received")).length, 1)
      assert.deepStrictEqual(yield* list("transfers"), [])
      assert.deepStrictEqual(events.map(({ _tag }) => _tag).toSorted(), [
        "FileReceived",
        "MessageReceived",
        "MessageReceived",
        "MessageReceived"
      ])
    })
  )

  it.effect("no name leads out of the directory, and none that is no name is taken", () =>
    Effect.gen(function* () {
      const { dial, list } = yield* scene
      const connection = yield* dial()
      const next = reader(connection)
      const answers: Array<string> = []
      for (const name of ["../../etc", "..", "a\0b", "/abs/x.txt", "c:\\nul", `${"n".repeat(10_000)}.txt`]) {
        yield* connection.write(file(name, "x"))
        answers.push(textOf(yield* next))
      }

      assert.deepStrictEqual(
        answers.map((answer) => answer.slice(0, 3)),
        ["ACK", "ERR", "ERR", "ACK", "ACK", "ACK"]
      )
      const names = (yield* list("received")).map((name) => name.replace(/-\d{8}-\d{6}\.\d{3}/, "").slice(0, 6))
      assert.deepStrictEqual(names.toSorted(), ["_nul", "etc", "nnnnnn", "x.txt"])
      assert.deepStrictEqual(
        yield* list(""),
        ["inbox", "received", "transfers"].filter((name) => name !== "inbox")
      )
    })
  )

  it.effect("a length of 4 GiB closes the stream after what came before it, without an answer (node §4.1)", () =>
    Effect.gen(function* () {
      const { dial } = yield* scene
      const connection = yield* dial()
      const next = reader(connection)
      const huge = Bytes.concat(DataFrame.encodeText("before"), DataFrame.encodeHeader(1, 0xffffffff))
      yield* connection.write(huge)

      assert.strictEqual(textOf(yield* next), "ACK TEXT 6 bytes")
      assert.isTrue(Cause.isDone(yield* Effect.flip(next)))
    })
  )

  it.effect("a stranger, and the 65th stream of one peer, are turned away", () =>
    Effect.gen(function* () {
      const { dial } = yield* scene
      const stranger = yield* dial(STRANGER)
      assert.isTrue(Cause.isDone(yield* Effect.flip(stranger.read)))
      const streams = yield* Effect.forEach(Array.from({ length: 65 }), () => dial(3))
      assert.isTrue(Cause.isDone(yield* Effect.flip(streams[64]!.read)))
      yield* streams[0]!.write(DataFrame.encodeText("x"))
      assert.strictEqual(textOf(yield* reader(streams[0]!)), "ACK TEXT 1 bytes")
    })
  )

  it.effect("a stream that says nothing for two minutes is closed", () =>
    Effect.gen(function* () {
      const { dial } = yield* scene
      const connection = yield* dial()
      yield* connection.write(DataFrame.encodeHeader(1, 100))
      yield* TrustStation.pass(1)
      yield* TestClock.adjust("121 seconds")

      assert.isTrue(Cause.isDone(yield* Effect.flip(connection.read)))
    })
  )

  it.effect("a full disk is an answer, and leaves nothing behind", () =>
    Effect.gen(function* () {
      const { dial, list, state } = yield* scene
      const connection = yield* dial()
      const next = reader(connection)
      state.isFull = true
      yield* connection.write(Bytes.concat(DataFrame.encodeText("one"), file("a", "x")))

      assert.strictEqual(textOf(yield* next), "ERR TEXT save failed: no space left on the device")
      assert.strictEqual(textOf(yield* next), "ERR FILE save failed: no space left on the device")
      for (const directory of ["inbox", "received", "transfers"]) assert.deepStrictEqual(yield* list(directory), [])
      state.isFull = false
      yield* connection.write(DataFrame.encodeText("again"))
      assert.strictEqual(textOf(yield* next), "ACK TEXT 5 bytes")
    })
  )

  it.effect("received files have a quota, in one frame and in chunks, and it is looked at again when files go", () =>
    Effect.gen(function* () {
      const { dial, events, files, list } = yield* scene
      const connection = yield* dial()
      const next = reader(connection)
      yield* connection.write(file("a", "x".repeat(900)))
      assert.include(textOf(yield* next), "ACK FILE")
      for (const size of [200, 300]) {
        yield* connection.write(file("b", "x".repeat(size)))
        assert.strictEqual(textOf(yield* next), "ERR FILE save failed: the store of received files is full")
      }
      // Told once a minute.
      const full = events.filter(({ _tag }) => _tag === "StoreFull")
      assert.deepStrictEqual(full, [{ _tag: "StoreFull", store: "received", peer: Address.make(0, 2), sizeBytes: 200 }])
      const digest = new Uint8Array(32)
      const id = FileStream.idOf(digest)
      const init = FileStream.FileStream.Init({
        id,
        file: { sizeBytes: 2 ** 40, digest, chunkBytes: 48 << 10, name: "c" }
      })
      yield* connection.write(DataFrame.encode(DataFrame.Kind.FileStream, FileStream.encode(init)))
      assert.deepInclude(Result.getOrThrow(FileStream.decode((yield* next).payload)), {
        _tag: "Complete",
        isStored: false
      })
      for (const name of yield* list("received")) yield* Effect.orDie(files.remove(`${HOME}/received/${name}`))
      yield* TestClock.adjust("6 seconds")
      yield* connection.write(file("b", "x".repeat(200)))
      assert.include(textOf(yield* next), "ACK FILE")
    })
  )

  it.effect("a sender that gave up before it heard that a file is stored is told when it comes again (node §4.4)", () =>
    Effect.gen(function* () {
      const { dial, list } = yield* scene
      const content = Bytes.fromUtf8("content")
      const digest = NativeCrypto.crypto.sha256(content)
      const id = FileStream.idOf(digest)
      const { Abort, Chunk, Done, Init } = FileStream.FileStream
      const init = Init({ id, file: { sizeBytes: content.length, digest, chunkBytes: 48 << 10, name: "c" } })
      const frames = (...messages: ReadonlyArray<FileStream.FileStream>) =>
        Bytes.concat(
          ...messages.map((message) => DataFrame.encode(DataFrame.Kind.FileStream, FileStream.encode(message)))
        )
      const send = Effect.fnUntraced(function* (...messages: ReadonlyArray<FileStream.FileStream>) {
        const connection = yield* dial()
        yield* connection.write(frames(...messages))
        yield* connection.end
        const next = reader(connection)
        yield* Effect.ignore(Effect.forever(next))
      })
      yield* send(init, Chunk({ id, offset: 0, bytes: content }), Done({ id }), Abort({ id, text: "no answer" }))
      yield* send(init, Chunk({ id, offset: 0, bytes: content }), Done({ id }))
      assert.strictEqual((yield* list("received")).length, 1)
      // It ended as it should, so it has heard that: the same content may come again as another file.
      yield* send(init, Chunk({ id, offset: 0, bytes: content }), Done({ id }))
      assert.strictEqual((yield* list("received")).length, 2)
    })
  )

  it.effect("a trace is answered with its times and the answer to what is inside (node §4.1)", () =>
    Effect.gen(function* () {
      const { dial } = yield* scene
      const connection = yield* dial()
      const trace = FileFrame.encodeTrace({ inner: { kind: 1, payload: Bytes.fromUtf8("hi") }, sentAtNanoseconds: 5n })
      yield* connection.write(DataFrame.encode(DataFrame.Kind.Trace, trace))
      const answer = yield* reader(connection)

      assert.strictEqual(answer.kind, DataFrame.Kind.Json)
      assert.deepInclude(JSON.parse(textOf(answer)), { sent_at_ns: 5, inner_ack: "ACK TEXT 2 bytes" })
    })
  )

  it.effect("garbage in any kind is answered or ignored, and the stream goes on", () =>
    Effect.gen(function* () {
      const { dial } = yield* scene
      const connection = yield* dial()
      const next = reader(connection)
      yield* connection.write(DataFrame.encode(DataFrame.Kind.Request, Bytes.fromUtf8("{")))
      const refused = Result.getOrThrow(ExchangeRequest.decode((yield* next).payload))
      assert.deepInclude(refused, { op: "refused", reason: "Invalid" })
      yield* connection.write(DataFrame.encode(DataFrame.Kind.FileStream, Uint8Array.of(9)))
      assert.include(textOf(yield* next), "ERR UNKNOWN(7)")
      yield* connection.write(DataFrame.encode(DataFrame.Kind.Trace, Uint8Array.of(1)))
      assert.include(textOf(yield* next), "ERR TRACE")
      yield* connection.write(DataFrame.encodeText("still here"))
      assert.strictEqual(textOf(yield* next), "ACK TEXT 10 bytes")
    })
  )
})

describe("InboxWriter", () => {
  it.effect("stops at its quota, in messages and in bytes (node §4.2)", () =>
    Effect.gen(function* () {
      const files = VirtualFileSystem.make(new MemoryDisk(), () => true)
      const places = ExchangePlaces.at(HOME)
      yield* files.makeDirectory(places.transfers, { recursive: true })
      const save = Effect.fnUntraced(function* (
        limit: { readonly files: number; readonly bytes: number },
        count: number
      ) {
        const writer = yield* InboxWriter.spawn(places, limit)
        const record = { kind: 1, payload: Bytes.fromUtf8("x"), from: "0:0000.0000.0002", receivedAt: "" }
        return yield* Effect.forEach(
          Array.from({ length: count }),
          () => Effect.result(writer.ask((stored: Deferred.Deferred<string, NotTaken>) => ({ record, stored }))),
          { concurrency: count }
        )
      })
      const services = Context.make(FileSystem.FileSystem, files).pipe(Context.merge(yield* Layer.build(Path.layer)))
      const byCount = yield* Effect.provideContext(save({ files: 3, bytes: 1e6 }, 5), services)
      assert.strictEqual(byCount.filter(Result.isSuccess).length, 3)
      assert.strictEqual((yield* files.readDirectory(places.inbox)).length, 3)
      const bySize = yield* Effect.provideContext(save({ files: 100, bytes: 500 }, 5), services)
      assert.isBelow(bySize.filter(Result.isSuccess).length, 5)
      const left = (yield* files.readDirectory(places.transfers)).filter((name) => !ExchangePlaces.isJournal(name))
      assert.deepStrictEqual(left, [])
    })
  )
})

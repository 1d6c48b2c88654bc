import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, type FileSystem, Result } from "effect"
import * as Files from "../../src/api/Files.ts"
import * as Messages from "../../src/api/Messages.ts"
import * as Bytes from "../../src/core/data/Bytes.ts"
import * as SimNet from "../../src/testing/SimNet.ts"
import { HOME, type SimNode } from "../../src/testing/SimNode.ts"
import * as VirtualFileSystem from "../../src/testing/VirtualFileSystem.ts"
import { PATIENCE_MS } from "./Patience.ts"
import { payload } from "./Programs.ts"

/** The disk of a node's machine, as it is now, running or not. */
const diskOf = ({ machine }: SimNode) => VirtualFileSystem.make(machine.disk, () => true)
const put = Effect.fnUntraced(function* (node: SimNode, path: string, bytes: Uint8Array) {
  const files: FileSystem.FileSystem = diskOf(node)
  yield* files.makeDirectory(path.slice(0, path.lastIndexOf("/")), { recursive: true })
  yield* files.writeFile(path, bytes)
}, Effect.orDie)
const read = (node: SimNode, path: string) => Effect.orDie(diskOf(node).readFile(path))
/** The files in a directory and below, by path. */
const tree: (node: SimNode, path: string) => Effect.Effect<ReadonlyArray<string>> = Effect.fnUntraced(
  function* (node, path) {
    const files = diskOf(node)
    const names = yield* files.readDirectory(path)
    const rows = yield* Effect.forEach(names, (name) =>
      Effect.flatMap(files.stat(`${path}/${name}`), ({ type }) =>
        type === "Directory"
          ? Effect.map(tree(node, `${path}/${name}`), (below) => [`${name}/`, ...below.map((one) => `${name}/${one}`)])
          : Effect.succeed([name])
      )
    )
    return rows.flat()
  },
  Effect.orElseSucceed(() => [])
)

const pair = Effect.fnUntraced(function* (net: SimNet.SimNet) {
  const alice = yield* net.node("alice")
  const bob = yield* net.node("bob")
  yield* net.trust(alice, bob)
  return { alice, bob }
})

describe("messages and files, in the simulator", { timeout: PATIENCE_MS }, () => {
  it.effect("texts, JSON and bytes arrive as they were, once each, in order", () =>
    SimNet.run({ seed: 1001 }, (net) =>
      Effect.gen(function* () {
        const { alice, bob } = yield* pair(net)
        const sent = yield* alice.run(
          Effect.gen(function* () {
            const text = yield* Messages.send("bob", { text: "grüße" })
            yield* net.sleep("5 millis")
            const json = yield* Messages.send("bob", { json: { rows: 1842 } })
            yield* net.sleep("5 millis")
            const bytes = yield* Messages.send("bob", { bytes: Uint8Array.of(255, 254, 97) })
            return [text.ack, json.ack, bytes.ack]
          })
        )
        const inbox = yield* bob.run(Messages.inbox)

        assert.deepStrictEqual(sent, ["ACK TEXT 7 bytes", "ACK JSON 13 bytes", "ACK BINARY 3 bytes"])
        assert.deepStrictEqual(
          inbox.map(({ kind, text }) => [kind, text]),
          [
            ["text", "grüße"],
            ["json", '{"rows":1842}'],
            ["binary", "\ufffd\ufffda"]
          ]
        )
        assert.deepStrictEqual(inbox[2]?.data, Uint8Array.of(255, 254, 97))
        assert.strictEqual(yield* bob.run(Messages.clear), 3)
        assert.deepStrictEqual(yield* bob.run(Messages.inbox), [])
      })
    )
  )

  it.effect("a file, and a directory with an empty one in it, arrive as they are", () =>
    SimNet.run({ seed: 1002 }, (net) =>
      Effect.gen(function* () {
        const { alice, bob } = yield* pair(net)
        const small = Bytes.fromUtf8("file body\n")
        const large = payload(300_000, 3)
        yield* put(alice, "/data/note.txt", small)
        yield* put(alice, "/data/album/a/one.bin", large)
        for (let index = 0; index < 9; index++) yield* put(alice, `/data/album/${index}.txt`, small)
        yield* Effect.orDie(diskOf(alice).makeDirectory("/data/album/empty", {}))
        const first = yield* alice.run(Files.send("bob", "/data/note.txt"))
        const second = yield* alice.run(Files.send("bob", "/data/album/a/one.bin"))
        const third = yield* alice.run(Files.send("bob", "/data/album"))
        const there = yield* bob.run(Files.received)

        assert.deepStrictEqual([first.ack, second.ack], ["ACK FILE 10 bytes", "ACK FILE 300000 bytes"])
        assert.deepInclude(third, { files: 10, sizeBytes: 300_090 })
        const [album, note, one] = there
        assert.match(note?.name ?? "", /^note-\d{8}-\d{6}\.\d{3}\.txt$/)
        assert.deepStrictEqual(yield* read(bob, note?.path ?? ""), small)
        assert.deepStrictEqual(yield* read(bob, one?.path ?? ""), large)
        assert.deepStrictEqual(
          yield* tree(bob, album?.path ?? ""),
          [...Array.from({ length: 9 }, (_, index) => `${index}.txt`), "a/", "a/one.bin", "empty/"].toSorted()
        )
        yield* net.sleep("1 second")
        assert.deepStrictEqual(yield* tree(bob, `${HOME}/transfers`), [])
      })
    )
  )

  it.effect("a shared file is pulled by those it is shared with, and hidden from others", () =>
    SimNet.run({ seed: 1003 }, (net) =>
      Effect.gen(function* () {
        const { alice, bob } = yield* pair(net)
        const carol = yield* net.node("carol")
        yield* net.trust(alice, carol)
        const report = payload(200_000, 4)
        yield* put(alice, "/data/report/q4.bin", report)
        yield* put(alice, "/data/report/sub/x.txt", Bytes.fromUtf8("x"))
        yield* put(alice, "/data/secret.txt", Bytes.fromUtf8("secret"))
        yield* alice.run(Files.share("/data/report", { allow: ["bob"] }))

        assert.deepStrictEqual(yield* bob.run(Files.list("alice")), [{ name: "report", kind: "directory", bytes: 0 }])
        assert.deepStrictEqual(yield* carol.run(Files.list("alice")), [])
        yield* bob.run(Files.get("alice", "report/q4.bin", "/got/q4.bin"))
        assert.deepStrictEqual(yield* read(bob, "/got/q4.bin"), report)
        const all = yield* bob.run(Files.get("alice", "report", "/got/report"))
        assert.deepInclude(all, { files: 2, sizeBytes: 200_001 })
        assert.deepStrictEqual(yield* tree(bob, "/got/report"), ["q4.bin", "sub/", "sub/x.txt"])
        for (const path of ["report/q4.bin", "report", "nothing"]) {
          const refused = yield* carol.run(Effect.flip(Files.get("alice", path, "/got/x")))
          assert.deepInclude(refused, { _tag: "TransferError", reason: "NotFound" })
        }
        for (const path of ["report/../secret.txt", "../secret.txt", "/data/secret.txt", "report//q4.bin"]) {
          const refused = yield* bob.run(Effect.flip(Files.get("alice", path, "/got/x")))
          assert.strictEqual(refused._tag, "TransferError", path)
        }
        yield* put(bob, "/got/other.bin", Bytes.fromUtf8("mine"))
        const exists = yield* bob.run(Effect.flip(Files.get("alice", "report/q4.bin", "/got/other.bin")))
        assert.deepInclude(exists, { reason: "AlreadyExists" })
        yield* bob.run(Files.get("alice", "report/q4.bin", "/got/other.bin", { force: true }))
        assert.deepStrictEqual(yield* read(bob, "/got/other.bin"), report)
        yield* alice.run(Files.unshare("report"))
        assert.deepStrictEqual(yield* bob.run(Files.list("alice")), [])
      })
    )
  )

  for (const [seed, end] of [
    [1004, "crash"],
    [1005, "kill"]
  ] as const)
    it.effect(
      `a transfer goes on after a ${end} of the receiver with what is sure, and is there once (seed ${seed})`,
      () =>
        SimNet.run({ seed, link: { rttMs: 20, bitsPerSecond: 2_000_000 } }, (net) =>
          Effect.gen(function* () {
            const { alice, bob } = yield* pair(net)
            const content = payload(400_000, 5)
            yield* put(alice, "/data/big.bin", content)
            const progress: Array<number> = []
            const sending = yield* Effect.forkScoped(
              alice.run(
                Files.send("bob", "/data/big.bin", {
                  progress: ({ doneBytes, stage }) =>
                    Effect.sync(() => {
                      if (stage === "sending") progress.push(doneBytes)
                    })
                })
              )
            )
            yield* net.sleep("600 millis")
            yield* net[end](bob)
            yield* net.sleep("3 seconds")
            yield* net.restart(bob)
            const sent = yield* Fiber.join(sending)
            const received = yield* bob.run(Files.received)

            assert.strictEqual(sent.ack, "ACK FILE 400000 bytes")
            assert.isAbove(progress.length, 3)
            assert.deepStrictEqual(yield* read(bob, received[0]?.path ?? ""), content)
            assert.strictEqual(received.length, 1)
          })
        )
    )

  it.effect("a broken path costs none of what has arrived", () =>
    SimNet.run({ seed: 1007, link: { rttMs: 20, bitsPerSecond: 2_000_000 } }, (net) =>
      Effect.gen(function* () {
        const { alice, bob } = yield* pair(net)
        const content = payload(300_000, 6)
        yield* put(alice, "/data/big.bin", content)
        yield* alice.run(Files.share("/data/big.bin", { allowTrusted: true }))
        const steps: Array<number> = []
        const pulling = yield* Effect.forkScoped(
          bob.run(
            Files.get("alice", "big.bin", "/got/big.bin", {
              progress: ({ doneBytes }) => Effect.sync(() => void steps.push(doneBytes))
            })
          )
        )
        yield* net.sleep("500 millis")
        yield* net.kill(alice)
        yield* net.sleep("2 seconds")
        yield* net.restart(alice)
        yield* Fiber.join(pulling)

        assert.deepStrictEqual(yield* read(bob, "/got/big.bin"), content)
        assert.deepStrictEqual(
          steps,
          [...steps].toSorted((a, b) => a - b),
          "it began anew"
        )
        assert.deepStrictEqual(yield* tree(bob, "/got"), ["big.bin"])
      })
    )
  )

  it.effect("a sender whose stream the receiver still believes in takes its transfer up at once", () =>
    SimNet.run({ seed: 1009, link: { rttMs: 20, bitsPerSecond: 2_000_000 } }, (net) =>
      Effect.gen(function* () {
        const { alice, bob } = yield* pair(net)
        const content = payload(300_000, 7)
        yield* put(alice, "/data/big.bin", content)
        const sending = yield* Effect.forkScoped(alice.run(Files.send("bob", "/data/big.bin")))
        yield* net.sleep("600 millis")
        yield* net.crash(alice)
        yield* net.restart(alice)
        yield* Fiber.interrupt(sending)
        yield* put(alice, "/data/big.bin", content)
        const sent = yield* alice.run(Files.send("bob", "/data/big.bin"))
        const received = yield* bob.run(Files.received)

        assert.strictEqual(sent.ack, "ACK FILE 300000 bytes")
        assert.strictEqual(received.length, 1)
        assert.deepStrictEqual(yield* read(bob, received[0]?.path ?? ""), content)
      })
    )
  )

  it.effect("what was acknowledged survives a power cut, and is there once", () =>
    SimNet.run({ seed: 1008 }, (net) =>
      Effect.gen(function* () {
        const { alice, bob } = yield* pair(net)
        const acknowledged: Array<string> = []
        const sending = yield* Effect.forkScoped(
          alice.run(
            Effect.forEach(
              Array.from({ length: 60 }, (_, index) => `message ${index}`),
              (text) =>
                Effect.map(Effect.result(Messages.send("bob", { text })), (sent) => {
                  if (Result.isSuccess(sent) && sent.success.ack !== undefined) acknowledged.push(text)
                }),
              { concurrency: 4 }
            )
          )
        )
        for (const afterMs of [170, 90, 130]) {
          yield* net.sleep(`${afterMs} millis`)
          yield* net.crash(bob)
          yield* net.restart(bob)
        }
        yield* Fiber.join(sending)
        const inbox = (yield* bob.run(Messages.inbox)).map(({ text }) => text)

        assert.isAbove(acknowledged.length, 10)
        for (const text of acknowledged) assert.strictEqual(inbox.filter((other) => other === text).length, 1, text)
        assert.strictEqual(new Set(inbox).size, inbox.length, "a message is there twice")
      })
    )
  )
})

import { createHash } from "node:crypto"
import { chmodSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Ref } from "effect"
import * as Json from "../../../src/core/data/Json.ts"
import * as PilotNetwork from "../../support/PilotNetwork.ts"
import * as PilotProcesses from "../../support/PilotProcesses.ts"
import * as ExchangeCrashes from "../exchange/ExchangeCrashes.ts"

const run = (home: string, ...args: ReadonlyArray<string>) =>
  Effect.map(PilotProcesses.pilotctl(home, ["--json", ...args]), (outcome) => ({
    ...outcome,
    data: Json.parseObject(outcome.stdout)?.["data"] as Json.JsonObject
  }))
const ok = (home: string, ...args: ReadonlyArray<string>) =>
  Effect.tap(run(home, ...args), ({ exitCode, stderr }) =>
    Effect.sync(() => assert.strictEqual(exitCode, 0, `${args.join(" ")}: ${stderr}`))
  )
const digest = (path: string) => createHash("sha256").update(readFileSync(path)).digest("hex")

describe("messages and files, as processes", () => {
  it.live(
    "trust is asked for, then everything a person types works",
    () =>
      Effect.gen(function* () {
        const network = yield* PilotNetwork.make
        const alice = yield* PilotNetwork.startDaemon(network, "alice")
        const bob = yield* PilotNetwork.startDaemon(network, "bob")
        const to = String(bob.node)

        // The first message of a stranger asks for trust, and waits for the other side to type what it says.
        const asking = yield* Effect.forkChild(
          ok(alice.home, "send-message", to, "--data", "hello", "--timeout", "40s")
        )
        yield* PilotProcesses.until(
          Effect.map(run(bob.home, "pending"), ({ data }) => Json.objects(data, "pending").length === 1)
        )
        yield* ok(bob.home, "trust", "approve", String(alice.node), "--fingerprint", alice.fingerprint)
        assert.strictEqual(Json.string((yield* Fiber.join(asking)).data, "ack"), "ACK TEXT 5 bytes")

        // Nothing listens on port 1000: the inbox takes it.
        const connected = yield* ok(alice.home, "connect", "bob", "--message", '{"rows":1842}')
        assert.deepStrictEqual([connected.data["port"], connected.data["response"]], [1001, "ACK JSON 13 bytes"])
        const inbox = (yield* ok(bob.home, "inbox")).data
        assert.deepStrictEqual(
          Json.objects(inbox, "messages").map(({ data, type }) => [type, data]),
          [
            ["JSON", '{"rows":1842}'],
            ["TEXT", "hello"]
          ]
        )

        const work = `${network.directory}/work`
        mkdirSync(`${work}/album/sub`, { recursive: true })
        writeFileSync(`${work}/note.txt`, "file body\n")
        writeFileSync(
          `${work}/album/sub/large.bin`,
          new Uint8Array(3_000_000).map((_, index) => (index * 31) % 251)
        )
        writeFileSync(`${work}/album/readme`, "hi")
        assert.strictEqual(
          Json.string((yield* ok(alice.home, "send-file", "bob", `${work}/note.txt`)).data, "ack"),
          "ACK FILE 10 bytes"
        )
        const sent = (yield* ok(alice.home, "send-file", "bob", `${work}/album`)).data
        assert.deepInclude(sent, { files: 2, bytes: 3_000_002, filename: "album" })
        const received = Json.objects((yield* ok(bob.home, "received")).data, "files")
        const album = received.find(({ name }) => String(name).startsWith("album-"))
        assert.strictEqual(
          digest(`${Json.string(album ?? {}, "path")}/sub/large.bin`),
          digest(`${work}/album/sub/large.bin`)
        )

        assert.strictEqual((yield* run(alice.home, "files", "share", `${work}/album`)).exitCode, 1)
        yield* ok(alice.home, "files", "share", `${work}/album`, "--allow", "bob")
        assert.strictEqual((yield* ok(alice.home, "files", "shares")).data["total"], 1)
        assert.strictEqual((yield* ok(bob.home, "files", "list", "alice/album")).data["total"], 2)
        yield* ok(bob.home, "files", "get", "alice/album/sub/large.bin", "--output", `${work}/got.bin`)
        assert.strictEqual(digest(`${work}/got.bin`), digest(`${work}/album/sub/large.bin`))
        yield* ok(alice.home, "files", "unshare", "album")
        const gone = yield* run(bob.home, "files", "get", "alice/album/readme", "--output", `${work}/no`)
        assert.strictEqual(PilotProcesses.errorOf(gone).code, "not_found")

        // A disk that takes nothing: the sender hears it, and nothing half-written is seen.
        chmodSync(`${bob.home}/transfers`, 0o500)
        const refused = yield* run(alice.home, "send-message", "bob", "--data", "no room")
        chmodSync(`${bob.home}/transfers`, 0o700)
        if (process.getuid?.() !== 0) assert.match(refused.stderr, /did not take it/)
        assert.strictEqual(readdirSync(`${bob.home}/inbox`).length, process.getuid?.() === 0 ? 3 : 2)
        assert.strictEqual((yield* ok(bob.home, "inbox", "--clear")).exitCode, 0)
      }),
    120_000
  )

  it.live(
    "either side is killed ten times while messages and 64 MB of files are on the way",
    () =>
      Effect.gen(function* () {
        const outcome = yield* ExchangeCrashes.run({ crashes: 10, totalBytes: 64 << 20, seed: 7 })
        const wrong = yield* Ref.make<ReadonlyArray<string>>(outcome.problems)

        assert.deepStrictEqual(yield* Ref.get(wrong), [])
        assert.strictEqual(outcome.crashes, 10)
        assert.isAbove(outcome.acknowledgedMessages, 0)
      }),
    300_000
  )
})

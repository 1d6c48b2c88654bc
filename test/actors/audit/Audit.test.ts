import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, it } from "@effect/vitest"
import { Effect, FileSystem, Layer, type Path, PlatformError, type Scope } from "effect"
import * as AuditActor from "../../../src/actors/audit/AuditActor.ts"
import * as AuditReader from "../../../src/actors/audit/AuditReader.ts"
import type * as AuditTrail from "../../../src/actors/audit/AuditTrail.ts"
import { Crypto } from "../../../src/core/crypto/Crypto.ts"
import * as NativeCrypto from "../../../src/core/crypto/NativeCrypto.ts"
import { ReplaceableKey } from "../../../src/core/crypto/ReplaceableKey.ts"
import * as Bytes from "../../../src/core/data/Bytes.ts"
import type * as AuditLine from "../../../src/protocol/audit/AuditLine.ts"

type Needs = Crypto | FileSystem.FileSystem | Path.Path | Scope.Scope

const test = (name: string, body: () => Effect.Effect<void, unknown, Needs>) =>
  it.live(name, () => Effect.provide(Effect.scoped(body()), Layer.mergeAll(NodeServices.layer, NativeCrypto.layer)))

const SEED = new Uint8Array(32).fill(5)

/** A log, for as long as `work` lasts; what it notes is written, and signed, when this returns. */
const logging = (
  home: string,
  work: (log: AuditTrail.Running) => Effect.Effect<void>,
  others: Partial<AuditActor.Options> = {}
) =>
  Effect.gen(function* () {
    const { signingKey } = yield* Crypto
    const options = { home, key: signingKey(SEED), settings: () => ({}), fingerprint: (node: number) => `K${node}` }
    yield* work(yield* AuditActor.start({ ...options, ...others }))
  }).pipe(Effect.scoped)

const notes = (log: AuditTrail.Running, count: number, first = 0): void => {
  for (let index = first; index < first + count; index++)
    log.record({ kind: "message.stored", node: 7, facts: { index, name: "x".repeat(100) } })
}

const noting =
  (count: number, first = 0) =>
  (log: AuditTrail.Running) =>
    Effect.andThen(
      Effect.sync(() => notes(log, count, first)),
      log.sealed
    )

const verified = (home: string, expected: ReadonlyMap<number, string> = new Map()) =>
  Effect.gen(function* () {
    const crypto = yield* Crypto
    const own = Bytes.toBase64(crypto.signingKey(SEED).publicKey)
    return yield* AuditReader.verify(`${home}/audit`, { crypto, accepts: (key) => key === own, expected })
  })

const FIRST = "audit/audit-000000000001.jsonl"
/** A log of three small files, signed at the end. */
const threeFiles = Effect.gen(function* () {
  const files = yield* FileSystem.FileSystem
  const home = yield* files.makeTempDirectoryScoped()
  for (const part of [0, 1, 2]) yield* logging(home, noting(10, part * 10), { segmentBytes: 2500 })
  const names = (yield* files.readDirectory(`${home}/audit`)).filter((name) => name.endsWith("jsonl")).sort()
  const paths = names.map((name) => `${home}/audit/${name}`)
  const edit = (path: string, change: (lines: Array<string>) => ReadonlyArray<string>) =>
    Effect.gen(function* () {
      const lines = (yield* files.readFileString(path)).split("\n").slice(0, -1)
      yield* files.writeFileString(
        path,
        change(lines)
          .map((line) => `${line}\n`)
          .join("")
      )
    })
  return { home, files, paths, edit }
})

describe("the audit log", () => {
  test("counts no entry as lost that stands in the log, when only the place of the checkpoint cannot be noted", () =>
    Effect.gen(function* () {
      const files = yield* FileSystem.FileSystem
      const home = yield* files.makeTempDirectoryScoped()
      const full = PlatformError.systemError({ _tag: "Unknown", module: "FileSystem", method: "rename" })
      let isFull = true
      const disk: FileSystem.FileSystem = {
        ...files,
        rename: (from, to) => (isFull && to.endsWith("head.json") ? Effect.fail(full) : files.rename(from, to))
      }
      const work = (log: AuditTrail.Running) =>
        Effect.gen(function* () {
          notes(log, 3)
          yield* log.sealed
          const { failure, lost } = log.status()
          assert.isDefined(failure)
          assert.strictEqual(lost, 0)
          isFull = false
          notes(log, 3, 3)
          yield* log.sealed
          assert.isUndefined(log.status().failure)
        })
      yield* Effect.provideService(logging(home, work), FileSystem.FileSystem, disk)

      const found = yield* verified(home)
      assert.deepStrictEqual([found.broken, found.lost], [undefined, 0])
    }))

  test("goes on over restarts and files, signed, and holds who and what, in files only its owner reads", () =>
    Effect.gen(function* () {
      const { files, home, paths } = yield* threeFiles
      const seen: Array<AuditLine.Line> = []
      yield* AuditReader.lines(`${home}/audit`, 1, (line) => seen.push(line))

      const found = yield* verified(home)
      assert.isUndefined(found.broken)
      assert.strictEqual(found.unsigned, 0)
      assert.strictEqual(found.lines, seen.length)
      assert.isAbove(paths.length, 2)
      assert.strictEqual(Number((yield* files.stat(paths[0]!)).mode) & 0o777, 0o600)
      const stored = seen.filter(({ kind }) => kind === "message.stored").map(({ facts }) => facts["index"])
      assert.deepStrictEqual(stored, [...Array(30).keys()])
      const facts = seen.find(({ kind }) => kind === "message.stored")?.facts
      assert.deepInclude(facts, { node: 7, key: "K7" })
      assert.deepStrictEqual(
        seen.filter(({ kind }) => kind.startsWith("node.")).map(({ kind }) => kind),
        Array(3).fill(["node.started", "node.stopped"]).flat()
      )
    }))

  type Harm = (log: Effect.Success<typeof threeFiles>) => Effect.Effect<unknown, unknown, Needs>
  const TAMPERINGS: ReadonlyArray<readonly [string, Harm, RegExp]> = [
    [
      "a changed line",
      ({ edit, paths }) => edit(paths[0]!, (lines) => lines.with(3, lines[3]!.replace('"index":2', '"index":9'))),
      /^audit-000000000001\.jsonl:5 it does not follow from line number 4/
    ],
    [
      "a line that was taken out",
      ({ edit, paths }) => edit(paths[1]!, (lines) => lines.toSpliced(2, 1)),
      /^audit-\d+\.jsonl:3 number \d+ follows \d+: something was taken out/
    ],
    [
      "a line that was put in",
      ({ edit, paths }) => edit(paths[1]!, (lines) => lines.toSpliced(2, 0, lines[1]!)),
      /^audit-\d+\.jsonl:3 number \d+ follows \d+/
    ],
    [
      "two lines that changed places",
      ({ edit, paths }) => edit(paths[0]!, (lines) => lines.with(4, lines[5]!).with(5, lines[4]!)),
      /^audit-000000000001\.jsonl:5 number 6 follows 4/
    ],
    [
      "an end that was cut off behind a checkpoint",
      ({ edit, paths }) => edit(paths.at(-1)!, (lines) => lines.slice(0, -1)),
      /the end is missing: line number \d+ was signed, the last is \d+$/
    ],
    [
      "a file that is gone",
      ({ files, paths }) => files.remove(paths[1]!),
      /^audit-\d+\.jsonl:1 number \d+ follows \d+/
    ],
    [
      "the first file gone",
      ({ files, paths }) => files.remove(paths[0]!),
      /^audit-\d+\.jsonl:1 the beginning is missing: the log starts with number \d+/
    ],
    [
      "files that changed places",
      ({ files, paths }) =>
        Effect.gen(function* () {
          const [a, b] = [yield* files.readFileString(paths[0]!), yield* files.readFileString(paths[1]!)]
          yield* files.writeFileString(paths[0]!, b)
          yield* files.writeFileString(paths[1]!, a)
        }),
      /^audit-\d+\.jsonl:1 number 1 follows \d+/
    ],
    ["head.json gone", ({ files, home }) => files.remove(`${home}/audit/head.json`), /^head\.json:1 it is gone/],
    [
      "a log that somebody wrote anew, and signed with another key",
      ({ files, home }) =>
        Effect.gen(function* () {
          const { signingKey } = yield* Crypto
          yield* files.remove(`${home}/audit`, { recursive: true })
          yield* logging(home, noting(3), { key: signingKey(new Uint8Array(32).fill(6)) })
        }),
      /^audit-000000000001\.jsonl:\d+ a checkpoint signed by another key/
    ]
  ]
  test(`finds, and names the place of: ${TAMPERINGS.map(([name]) => name).join("; ")}`, () =>
    Effect.gen(function* () {
      const log = yield* threeFiles
      const { files, home } = log
      yield* files.copy(`${home}/audit`, `${home}/whole`)
      for (const [name, harm, place] of TAMPERINGS) {
        yield* files.remove(`${home}/audit`, { recursive: true })
        yield* files.copy(`${home}/whole`, `${home}/audit`)
        yield* harm(log)

        const { broken } = yield* verified(home)
        assert.match(`${broken?.file}:${broken?.line} ${broken?.detail}`, place, name)
      }
    }))

  test("finds another log of the same key, by what a running node or somebody else remembers", () =>
    Effect.gen(function* () {
      const { home } = yield* threeFiles
      const { lastHash, lastSeq } = yield* verified(home)

      assert.isUndefined((yield* verified(home, new Map([[lastSeq, lastHash]]))).broken)
      assert.include((yield* verified(home, new Map([[lastSeq, "0".repeat(64)]]))).broken?.detail ?? "", "another line")
      assert.include(
        (yield* verified(home, new Map([[lastSeq + 1, lastHash]]))).broken?.detail ?? "",
        "the end is missing"
      )
    }))

  test("notes at its start what was done to it while the node was away, and does not forget it", () =>
    Effect.gen(function* () {
      const { edit, home, paths } = yield* threeFiles
      yield* edit(paths.at(-1)!, (lines) => lines.slice(0, -1))
      yield* logging(home, noting(5), { segmentBytes: 2500 })

      const { broken } = yield* verified(home)
      assert.match(broken?.detail ?? "", /^when the node started here: the end is missing/)
    }))

  test("cuts off a line that a crash has torn, notes it, and is whole", () =>
    Effect.gen(function* () {
      const { files, home, paths } = yield* threeFiles
      yield* files.writeFileString(paths.at(-1)!, '{"seq":999,"ti', { flag: "a" })
      assert.strictEqual((yield* verified(home)).tornBytes, 14)
      yield* logging(home, noting(1))

      const found = yield* verified(home)
      assert.isUndefined(found.broken)
      assert.strictEqual(found.repaired, 1)
      assert.strictEqual(found.tornBytes, 0)
    }))

  test("goes on under another key, and takes no signature of the one before from then on", () =>
    Effect.gen(function* () {
      const files = yield* FileSystem.FileSystem
      const { signingKey, ...crypto } = yield* Crypto
      const home = yield* files.makeTempDirectoryScoped()
      const [before, after] = [signingKey(SEED), signingKey(new Uint8Array(32).fill(6))]
      const key = new ReplaceableKey(before)
      const keys = [before, after].map(({ publicKey }) => Bytes.toBase64(publicKey))
      const check = (known: ReadonlyArray<string>) =>
        Effect.map(
          AuditReader.verify(`${home}/audit`, { crypto, accepts: () => false, expected: new Map(), keys: known }),
          ({ broken }) => broken?.detail
        )
      const moving = (log: AuditTrail.Running) =>
        noting(3)(log).pipe(Effect.andThen(Effect.sync(() => key.replace(after))), Effect.andThen(noting(3)(log)))
      yield* logging(home, moving, { key })

      assert.isUndefined(yield* check(keys))
      assert.match((yield* check(keys.slice(1))) ?? "", /signed by another key/)
      yield* logging(home, noting(3), { key: before })
      assert.match((yield* check(keys)) ?? "", /a key that had been replaced before/)

      yield* files.remove(`${home}/audit`, { recursive: true })
      yield* logging(home, noting(3), { key: before })
      assert.match((yield* check(keys)) ?? "", /the end is signed by a key that this node has replaced/)
    }))

  test("removes its oldest files when it is large, says so, and is whole", () =>
    Effect.gen(function* () {
      const files = yield* FileSystem.FileSystem
      const home = yield* files.makeTempDirectoryScoped()
      const others = { segmentBytes: 200_000, settings: () => ({ maxMegabytes: 1 }) }
      const filling = (log: AuditTrail.Running) =>
        Effect.gen(function* () {
          const facts = { a: "x".repeat(900), b: "y".repeat(900) }
          for (let part = 0; part < 8; part++) {
            for (let index = 0; index < 100; index++) log.record({ kind: "file.stored", facts })
            yield* log.sealed
          }
        })
      yield* logging(home, filling, others)

      const found = yield* verified(home)
      assert.isUndefined(found.broken)
      assert.isAbove(found.firstSeq, 1)
      assert.isFalse(yield* files.exists(`${home}/${FIRST}`))
    }))

  test("counts what comes too fast and what cannot be written, tells of it, and refuses if that is wanted", () =>
    Effect.gen(function* () {
      const files = yield* FileSystem.FileSystem
      const home = yield* files.makeTempDirectoryScoped()
      yield* files.writeFileString(`${home}/audit`, "in the way")
      const settings = () => ({ onFailure: "refuse" as const })
      yield* logging(
        home,
        (log) =>
          Effect.gen(function* () {
            yield* noting(3)(log)
            assert.isTrue(log.isRefusing())
            assert.strictEqual(log.status().lost, 4)
            yield* Effect.orDie(files.remove(`${home}/audit`))
            yield* noting(2500)(log)
            assert.isFalse(log.isRefusing())
            assert.strictEqual(log.status().lost, 4)
          }),
        { settings }
      )

      const found = yield* verified(home)
      assert.isUndefined(found.broken)
      assert.strictEqual(found.lost, 4)
      assert.isAbove(found.suppressed, 400)
    }))
})

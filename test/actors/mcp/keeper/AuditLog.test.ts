import { createHash } from "node:crypto"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, it } from "@effect/vitest"
import { Effect, FileSystem, type Scope } from "effect"
import * as AuditLog from "../../../../src/actors/mcp/keeper/AuditLog.ts"
import { DirectoryLock } from "../../../../src/core/storage/DirectoryLock.ts"
import * as FileLock from "../../../../src/core/storage/FileLock.ts"
import * as InTurn from "../../../../src/core/storage/InTurn.ts"
import * as AuditChain from "../../../../src/protocol/relay/AuditChain.ts"

const sha256 = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest()
const call = (seq: number): AuditChain.Call => ({
  time: "2026-01-01T00:00:00.000Z",
  session: "s",
  epoch: 1,
  seq,
  node: 2,
  peer: undefined,
  service: "files",
  method: "tools/call",
  target: "t",
  id: "1",
  argumentsHash: undefined,
  definitionHash: undefined,
  traceparent: undefined,
  resultHash: undefined,
  bytesIn: 1,
  bytesOut: 1,
  durationMs: 1,
  outcome: "ok",
  code: undefined,
  decision: "allow",
  approval: undefined,
  arguments: undefined
})
const write = (path: string, ...seqs: ReadonlyArray<number>) =>
  Effect.scoped(
    Effect.gen(function* () {
      const log = yield* AuditLog.make(path, sha256)
      for (const seq of seqs) log.record(call(seq))
      yield* log.flushed
      return log.lost()
    })
  )
const linesOf = (path: string) =>
  Effect.flatMap(FileSystem.FileSystem, (files) =>
    Effect.map(files.readFileString(path), (text) => text.split("\n").filter((line) => line !== ""))
  )

const test = (name: string, body: () => Effect.Effect<void, unknown, NodeServices.NodeServices | Scope.Scope>) =>
  it.live(name, () => Effect.provide(Effect.scoped(body()), NodeServices.layer))

describe("AuditLog", () => {
  test("goes on with the chain after a restart, also after a line that a crash tore, in a file only its owner reads", () =>
    Effect.gen(function* () {
      const files = yield* FileSystem.FileSystem
      const path = `${yield* files.makeTempDirectoryScoped()}/mcp-audit.jsonl`
      yield* write(path, 1, 2)
      yield* files.writeFileString(path, '{"v":1,"prev', { flag: "a" })
      yield* write(path, 3)

      const lines = yield* linesOf(path)
      assert.deepStrictEqual(
        lines.map((line) => JSON.parse(line).seq),
        [1, 2, 3]
      )
      assert.isUndefined(AuditChain.verify(sha256, lines).brokenAt)
      assert.strictEqual((yield* files.stat(path)).mode & 0o777, 0o600)
    }))

  test("what cannot be written is counted, and the next line tells how many were lost", () =>
    Effect.gen(function* () {
      const files = yield* FileSystem.FileSystem
      const home = yield* files.makeTempDirectoryScoped()
      const path = `${home}/later/mcp-audit.jsonl`
      const log = yield* AuditLog.make(path, sha256)
      for (const seq of [1, 2]) log.record(call(seq))
      yield* log.flushed
      assert.strictEqual(log.lost(), 2)

      yield* files.makeDirectory(`${home}/later`)
      log.record(call(3))
      yield* log.flushed
      const [line] = yield* linesOf(path)
      assert.deepInclude(JSON.parse(line ?? ""), { seq: 3, lost: 2, previous: AuditChain.ORIGIN })
    }))

  test("a large file is moved aside once, and the chain goes on in the next", () =>
    Effect.gen(function* () {
      const files = yield* FileSystem.FileSystem
      const path = `${yield* files.makeTempDirectoryScoped()}/mcp-audit.jsonl`
      yield* write(path, 1)
      // A line of ours, larger than any real one: as if many had been written.
      const [first] = yield* linesOf(path)
      const large = AuditChain.line(
        { ...call(2), arguments: " ".repeat(34_000_000) },
        AuditChain.hash(sha256, first ?? ""),
        0
      )
      yield* files.writeFileString(path, `${large}\n`, { flag: "a" })
      yield* write(path, 3)

      const lines = [...(yield* linesOf(`${path}.1`)), ...(yield* linesOf(path))]
      assert.strictEqual(lines.length, 3)
      assert.isUndefined(AuditChain.verify(sha256, lines).brokenAt)
    }))

  test("several processes write one file in turn, and the chain goes on through the lines of all", () =>
    Effect.gen(function* () {
      const files = yield* FileSystem.FileSystem
      const lock = yield* Effect.provide(DirectoryLock, FileLock.layer)
      const path = `${yield* files.makeTempDirectoryScoped()}/mcp-egress.jsonl`
      const inTurn: AuditLog.InTurn = (work) =>
        InTurn.run(path, work).pipe(
          Effect.provideService(DirectoryLock, lock),
          Effect.provideService(FileSystem.FileSystem, files)
        )
      const logs = yield* Effect.forEach([1, 2, 3], () => AuditLog.make(path, sha256, inTurn))
      for (let seq = 1; seq <= 4; seq++) {
        for (const log of logs) log.record(call(seq))
        yield* Effect.forEach(logs, (log) => log.flushed, { concurrency: "unbounded" })
      }
      const lines = yield* linesOf(path)
      assert.strictEqual(lines.length, 12)
      assert.isUndefined(AuditChain.verify(sha256, lines).brokenAt)
      assert.deepStrictEqual(
        logs.map((log) => log.lost()),
        [0, 0, 0]
      )
    }))
})

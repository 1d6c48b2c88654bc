import { createHash } from "node:crypto"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, it } from "@effect/vitest"
import { Effect, FileSystem, type Scope } from "effect"
import * as AuditLog from "../../../../src/actors/mcp/keeper/AuditLog.ts"
import * as AuditChain from "../../../../src/protocol/relay/AuditChain.ts"

const sha256 = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest()
const call = (seq: number): AuditChain.Call => ({
  time: "2026-01-01T00:00:00.000Z",
  session: "s",
  seq,
  node: 2,
  service: "files",
  method: "tools/call",
  target: "t",
  id: "1",
  argumentsHash: undefined,
  traceparent: undefined,
  resultHash: undefined,
  bytesIn: 1,
  bytesOut: 1,
  durationMs: 1,
  outcome: "ok",
  code: undefined,
  decision: "allow",
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
})

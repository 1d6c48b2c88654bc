import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, FileSystem, Layer, Sink, Stdio } from "effect"
import { TestClock } from "effect/testing"
import { CliHost } from "../../src/cli/CliHost.ts"
import type { Environment } from "../../src/cli/Command.ts"
import * as audit from "../../src/cli/policy/audit.ts"
import * as AuditLine from "../../src/protocol/audit/AuditLine.ts"
import { MemoryDisk } from "../../src/testing/MemoryDisk.ts"
import * as VirtualFileSystem from "../../src/testing/VirtualFileSystem.ts"

const DIRECTORY = "/home/.pilot/audit"
const LOG = `${DIRECTORY}/audit-000000000001.jsonl`

const line = (seq: number) =>
  `${AuditLine.encode({ seq, time: "2026-12-01T08:00:00.000Z", previous: AuditLine.ORIGIN }, "node.started", {})}\n`

describe("audit tail -f", () => {
  it.effect("leaves nothing out that is written while it reads the log", () =>
    Effect.gen(function* () {
      const files = VirtualFileSystem.make(new MemoryDisk(), () => true)
      yield* files.makeDirectory(DIRECTORY, { recursive: true })
      yield* files.writeFileString(LOG, line(1))
      let reads = 0
      const busy: FileSystem.FileSystem = {
        ...files,
        readFileString: (path, encoding) =>
          Effect.tap(files.readFileString(path, encoding), () =>
            path === LOG && ++reads === 1 ? files.writeFileString(LOG, line(1) + line(2)) : Effect.void
          )
      }
      const out: Array<string> = []
      const services = Layer.mergeAll(
        Layer.succeed(FileSystem.FileSystem, busy),
        Layer.succeed(CliHost, { variables: {}, homeDirectory: "/home", localOffsetMinutes: () => 0 } as never),
        Stdio.layerTest({
          stdout: () => Sink.forEachArray((chunks) => Effect.sync(() => void out.push(...chunks.map(String))))
        })
      )
      const tail = audit.commands.find(({ name }) => name === "audit tail")!
      const input = { positionals: [], flags: new Map([["f", ["true"]]]), rest: undefined, json: true }
      const running = Effect.provide(tail.run(input) as Effect.Effect<unknown, unknown, Environment>, services)
      const following = yield* Effect.forkChild(running as Effect.Effect<unknown, unknown>)
      yield* TestClock.adjust("2 seconds")
      yield* files.writeFileString(LOG, line(1) + line(2) + line(3))
      yield* TestClock.adjust("2 seconds")
      yield* Fiber.interrupt(following)

      const seen = out.map((text) => AuditLine.decode(text.trim())?.seq)
      assert.deepStrictEqual(seen, [1, 2, 3])
    })
  )
})

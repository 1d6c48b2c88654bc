import { spawn } from "node:child_process"
import { once } from "node:events"
import { existsSync } from "node:fs"
import { mkdtemp, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { execPath, pid } from "node:process"
import { fileURLToPath } from "node:url"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Scope } from "effect"
import * as FileLock from "../../../src/core/storage/FileLock.ts"

const directory = Effect.acquireRelease(
  Effect.promise(() => mkdtemp(join(tmpdir(), "lock-"))),
  (path) => Effect.promise(() => rm(path, { recursive: true }))
)

const moduleUrl = new URL("../../../src/core/storage/FileLock.ts", import.meta.url)

/** Another process that holds the lock of a directory until it is killed. */
const holder = (path: string) =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      const effectUrl = import.meta.resolve("effect")
      const code = `
        const { Effect } = await import(${JSON.stringify(effectUrl)})
        const FileLock = await import(${JSON.stringify(moduleUrl.href)})
        await Effect.runPromise(Effect.scoped(Effect.andThen(
          FileLock.acquire(${JSON.stringify(path)}),
          Effect.andThen(Effect.sync(() => console.log("held")), Effect.callback(() => void setInterval(() => {}, 1000)))
        )))`
      const child = spawn(execPath, ["--input-type=module", "--eval", code], {
        cwd: fileURLToPath(new URL("../../..", import.meta.url)),
        stdio: ["ignore", "pipe", "inherit"]
      })
      await once(child.stdout, "data")
      return child
    }),
    (child) =>
      Effect.promise(async () => {
        if (child.exitCode !== null || child.signalCode !== null) return
        child.kill("SIGKILL")
        await once(child, "exit")
      })
  )

describe("FileLock", () => {
  it.effect("is exclusive within a process, and free again after its scope", () =>
    Effect.gen(function* () {
      const path = yield* directory
      const scope = yield* Scope.make()
      yield* Scope.provide(FileLock.acquire(path), scope)
      const refused = yield* Effect.flip(FileLock.acquire(path))
      const again = yield* Effect.flip(FileLock.acquire(path))

      assert.deepInclude(refused, { reason: "Held", directory: path, holder: pid })
      assert.strictEqual(again.reason, "Held")
      yield* Scope.close(scope, Exit.void)
      yield* FileLock.acquire(path)
    })
  )

  it.live("is refused while another process lives, and free the moment it was killed", () =>
    Effect.gen(function* () {
      const path = yield* directory
      const child = yield* holder(path)
      const refused = yield* Effect.flip(FileLock.acquire(path))
      assert.deepStrictEqual([refused.reason, refused.holder], ["Held", child.pid])

      yield* Effect.promise(async () => {
        child.kill("SIGKILL")
        await once(child, "exit")
      })
      assert.isTrue(existsSync(join(path, "lock.pid")))
      yield* FileLock.acquire(path)
    })
  )

  it.effect("a dead holder's id that now belongs to somebody else does not matter", () =>
    Effect.gen(function* () {
      const path = yield* directory
      yield* Effect.promise(() => writeFile(join(path, "lock.pid"), `${pid}\n`))

      yield* FileLock.acquire(path)
    })
  )

  it.effect("a directory that does not exist is a typed error", () =>
    Effect.gen(function* () {
      const path = yield* directory

      assert.strictEqual((yield* Effect.flip(FileLock.acquire(join(path, "none")))).reason, "NotFound")
    })
  )
})

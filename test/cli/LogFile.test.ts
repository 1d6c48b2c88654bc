import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import { assert, layer } from "@effect/vitest"
import { Effect, FileSystem } from "effect"
import { systemError } from "effect/PlatformError"
import * as LogFile from "../../src/cli/LogFile.ts"

const logOf = Effect.fnUntraced(function* (bytes: number) {
  const files = yield* FileSystem.FileSystem
  const path = `${yield* files.makeTempDirectoryScoped()}/pilot.log`
  yield* files.writeFile(path, new Uint8Array(bytes))
  return { files, path }
})

layer(NodeFileSystem.layer)("LogFile.rotate", (it) => {
  it.effect("a log past its bound is kept as the older one and goes on empty, for whoever appends to it", () =>
    Effect.gen(function* () {
      const { files, path } = yield* logOf(LogFile.MAX_BYTES + 1)
      const appending = yield* files.open(path, { flag: "a" })
      yield* LogFile.rotate(path)
      yield* appending.writeAll(new TextEncoder().encode("goes on"))

      assert.strictEqual(yield* files.readFileString(path), "goes on")
      const older = yield* files.stat(`${path}.1`)
      assert.deepStrictEqual([Number(older.size), older.mode & 0o777], [LogFile.MAX_BYTES + 1, 0o600])
    })
  )

  it.effect("one within its bound stays as it is", () =>
    Effect.gen(function* () {
      const { files, path } = yield* logOf(LogFile.MAX_BYTES)
      yield* LogFile.rotate(path)
      assert.strictEqual(Number((yield* files.stat(path)).size), LogFile.MAX_BYTES)
      assert.isFalse(yield* files.exists(`${path}.1`))
    })
  )

  it.effect("one without room for the copy is emptied all the same", () =>
    Effect.gen(function* () {
      const { files, path } = yield* logOf(LogFile.MAX_BYTES + 1)
      const noSpace = systemError({ _tag: "Unknown", module: "FileSystem", method: "copyFile", description: "ENOSPC" })
      const full = FileSystem.FileSystem.of({ ...files, copyFile: () => Effect.fail(noSpace) })
      yield* Effect.provideService(LogFile.rotate(path), FileSystem.FileSystem, full)
      assert.strictEqual(Number((yield* files.stat(path)).size), 0)
    })
  )
})

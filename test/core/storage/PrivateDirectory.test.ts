import { chmodSync, mkdirSync, mkdtempSync, realpathSync, rmSync, statSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as PrivateDirectory from "../../../src/core/storage/PrivateDirectory.ts"

const folder = Effect.acquireRelease(
  Effect.sync(() => realpathSync(mkdtempSync(join(tmpdir(), "private-")))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true }))
)
const make = (path: string) => Effect.provide(PrivateDirectory.make(path), NodeServices.layer)
const modeOf = (path: string) => statSync(path).mode & 0o777

describe("PrivateDirectory", () => {
  it.live("is made with its parents, for the owner alone", () =>
    Effect.gen(function* () {
      const root = yield* folder

      yield* make(join(root, "a", "b"))

      assert.deepStrictEqual([modeOf(join(root, "a")), modeOf(join(root, "a", "b"))], [0o700, 0o700])
    }).pipe(Effect.scoped)
  )

  it.live("one that is there stays as it is", () =>
    Effect.gen(function* () {
      const path = join(yield* folder, "there")
      mkdirSync(path)
      chmodSync(path, 0o750)

      yield* make(path)

      assert.strictEqual(modeOf(path), 0o750)
    }).pipe(Effect.scoped)
  )

  it.live("a file in its place, or in the place of a parent, is an error", () =>
    Effect.gen(function* () {
      const file = join(yield* folder, "file")
      writeFileSync(file, "")

      for (const path of [file, join(file, "below")]) assert.include((yield* Effect.flip(make(path))).message, path)
    }).pipe(Effect.scoped)
  )

  it.live("a place where nothing can be made is an error, not an endless attempt", () =>
    Effect.gen(function* () {
      assert.include((yield* Effect.flip(make("/proc/pilot/deeper"))).message, "/proc/pilot")
    })
  )
})

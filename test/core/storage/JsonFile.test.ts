import {
  chmodSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync
} from "node:fs"
import { join } from "node:path"
import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, FileSystem, Option, Schema } from "effect"
import * as AtomicFile from "../../../src/core/storage/AtomicFile.ts"
import * as JsonFile from "../../../src/core/storage/JsonFile.ts"

const State = Schema.Struct({ name: Schema.String, count: Schema.Finite })

const directory = FileSystem.FileSystem.use((files) => files.makeTempDirectoryScoped())

const inDirectory = <A, E>(test: (path: string, directory: string) => Effect.Effect<A, E, NodeServices.NodeServices>) =>
  Effect.flatMap(directory, (path) => test(join(path, "state.json"), path)).pipe(
    Effect.scoped,
    Effect.provide(NodeServices.layer)
  )

describe("JsonFile", () => {
  it.effect("gives back what was saved, and none where nothing was", () =>
    inDirectory((path, directory) =>
      Effect.gen(function* () {
        assert.isTrue(Option.isNone(yield* JsonFile.load(path, State)))
        yield* JsonFile.save(path, State, { name: "a", count: 1 })
        yield* JsonFile.save(path, State, { name: "b", count: 2 })

        assert.deepStrictEqual(yield* JsonFile.load(path, State), Option.some({ name: "b", count: 2 }))
        assert.strictEqual(statSync(path).mode & 0o777, 0o600)
        assert.deepStrictEqual(readdirSync(directory), ["state.json"])
      })
    )
  )

  it.effect("refuses what is malformed, misshapen or too large, and leaves it as it is", () =>
    inDirectory((path) =>
      Effect.gen(function* () {
        const reasons: Array<string> = []
        for (const text of ["{", '{"name":1}', "[]", ""]) {
          writeFileSync(path, text)
          reasons.push((yield* Effect.flip(JsonFile.load(path, State))).reason)
          assert.strictEqual(readFileSync(path, "utf8"), text)
        }
        truncateSync(path, JsonFile.FILE_BYTES_MAX + 1)
        reasons.push((yield* Effect.flip(JsonFile.load(path, State))).reason)

        assert.deepStrictEqual(reasons, ["Malformed", "Malformed", "Malformed", "Malformed", "TooLarge"])
      })
    )
  )

  it.effect("a directory that cannot be written is a typed error", () =>
    inDirectory((path) =>
      Effect.gen(function* () {
        const error = yield* Effect.flip(JsonFile.save(`${path}/none/x.json`, State, { name: "a", count: 1 }))

        assert.strictEqual(error.reason, "NotWritable")
      })
    )
  )
})

describe("AtomicFile", () => {
  it.effect("gives the mode asked for, whatever the umask and the old file say", () =>
    inDirectory((path) =>
      Effect.gen(function* () {
        writeFileSync(path, "old")
        chmodSync(path, 0o600)
        yield* AtomicFile.write(path, Uint8Array.of(1, 2), { mode: 0o666 })

        assert.strictEqual(statSync(path).mode & 0o777, 0o666)
        assert.deepStrictEqual([...readFileSync(path)], [1, 2])
      })
    )
  )

  it.effect("replaces a link instead of writing through it", () =>
    inDirectory((path, directory) =>
      Effect.gen(function* () {
        const target = join(directory, "target")
        writeFileSync(target, "untouched")
        symlinkSync(target, path)
        yield* AtomicFile.write(path, "new", { mode: 0o600 })

        assert.deepStrictEqual([readFileSync(target, "utf8"), readFileSync(path, "utf8")], ["untouched", "new"])
      })
    )
  )

  it.effect("a failed replacement leaves the old content and no trace", () =>
    inDirectory((path, directory) =>
      Effect.gen(function* () {
        mkdirSync(join(path, "in-the-way"), { recursive: true })
        yield* Effect.flip(AtomicFile.write(path, "new", { mode: 0o600 }))

        assert.deepStrictEqual(readdirSync(directory), ["state.json"])
        assert.deepStrictEqual(readdirSync(path), ["in-the-way"])
      })
    )
  )
})

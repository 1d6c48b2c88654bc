import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, FileSystem, Layer, PlatformError } from "effect"
import * as IdentityFile from "../../../src/core/crypto/IdentityFile.ts"
import * as NativeCrypto from "../../../src/core/crypto/NativeCrypto.ts"
import * as Identity from "../../../src/protocol/trust/Identity.ts"
import vectors from "../../vectors/wire.json" with { type: "json" }

const layer = Layer.mergeAll(NodeServices.layer, NativeCrypto.layer)

/** A path in a directory of its own, with this file content and mode if given. */
const fileWith = Effect.fnUntraced(function* (content?: string, mode = 0o600) {
  const files = yield* FileSystem.FileSystem
  const path = `${yield* files.makeTempDirectoryScoped()}/state/deep/identity.json`
  if (content !== undefined) {
    yield* files.makeDirectory(path.slice(0, path.lastIndexOf("/")), { recursive: true })
    yield* files.writeFileString(path, content)
    yield* files.chmod(path, mode)
  }
  return path
})

const reasonOf = (path: string) =>
  IdentityFile.loadOrCreate(path, Identity).pipe(
    Effect.flip,
    Effect.map((error) => error.reason)
  )

describe("IdentityFile", () => {
  it.layer(layer)((it) => {
    it.effect("makes a key at the first start and finds it again (wire §5)", () =>
      Effect.gen(function* () {
        const files = yield* FileSystem.FileSystem
        const path = yield* fileWith()

        const first = yield* IdentityFile.loadOrCreate(path, Identity)
        const second = yield* IdentityFile.loadOrCreate(path, Identity)

        assert.deepStrictEqual([first.isNew, second.isNew], [true, false])
        assert.deepStrictEqual(second.key.seed, first.key.seed)
        assert.deepStrictEqual(second.key.publicKey, first.key.publicKey)
        assert.strictEqual((yield* files.stat(path)).mode & 0o777, 0o600)
        const directory = path.slice(0, path.lastIndexOf("/"))
        assert.strictEqual((yield* files.stat(directory)).mode & 0o777, 0o700)
        assert.deepStrictEqual(yield* files.readDirectory(directory), ["identity.json"])
      })
    )

    it.effect("loads the reference's file (vectors identity)", () =>
      Effect.gen(function* () {
        const path = yield* fileWith(vectors.identity.file_as_saved)

        const { key } = yield* IdentityFile.loadOrCreate(path, Identity)

        assert.strictEqual(Buffer.from(key.publicKey).toString("hex"), vectors.identity.public)
      })
    )

    it.effect("refuses a broken file and leaves it as it is", () =>
      Effect.gen(function* () {
        const files = yield* FileSystem.FileSystem
        for (const { file, name, ok } of vectors.identity.load) {
          if (ok) continue
          const path = yield* fileWith(file)
          assert.strictEqual(yield* reasonOf(path), name === "public key mismatch" ? "KeyMismatch" : "Malformed", name)
          assert.strictEqual(yield* files.readFileString(path), file)
        }
        assert.strictEqual(yield* reasonOf(yield* fileWith(" ".repeat(70_000))), "Malformed")
      })
    )

    it.effect("refuses a file that group or others may read", () =>
      Effect.gen(function* () {
        for (const mode of [0o640, 0o604, 0o644, 0o660])
          assert.strictEqual(yield* reasonOf(yield* fileWith(vectors.identity.file_as_saved, mode)), "TooOpen")
      })
    )

    it.effect("says when something else than a file is in its place", () =>
      Effect.gen(function* () {
        const files = yield* FileSystem.FileSystem
        const directory = yield* files.makeTempDirectoryScoped()
        yield* files.writeFileString(`${directory}/file`, "")

        assert.strictEqual(yield* reasonOf(directory), "Unreadable")
        assert.strictEqual(yield* reasonOf(`${directory}/file/identity.json`), "Unreadable")
      })
    )

    it.effect("says when the directory cannot be written", () =>
      Effect.gen(function* () {
        const refuse = (_tag: PlatformError.SystemErrorTag) =>
          Effect.fail(PlatformError.systemError({ _tag, module: "FileSystem", method: "any" }))
        const readOnly = FileSystem.layerNoop({
          stat: () => refuse("NotFound"),
          makeDirectory: () => refuse("PermissionDenied")
        })

        assert.strictEqual(yield* Effect.provide(reasonOf("/state/identity.json"), readOnly), "NotWritable")
      })
    )
  })
})

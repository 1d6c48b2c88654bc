import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, FileSystem } from "effect"
import * as TrustFile from "../../../src/actors/trust/TrustFile.ts"
import * as TrustStoreFile from "../../../src/actors/trust/TrustStoreFile.ts"
import { NodeId } from "../../../src/protocol/wire/Address.ts"
import vectors from "../../vectors/node.json" with { type: "json" }

const TEXT = vectors.state_files["trust.json_trusted"]

const inDirectory = <A, E>(
  test: (path: string, files: FileSystem.FileSystem) => Effect.Effect<A, E, NodeServices.NodeServices>
) =>
  Effect.gen(function* () {
    const files = yield* FileSystem.FileSystem
    return yield* test(`${yield* files.makeTempDirectoryScoped()}/trust.json`, files)
  }).pipe(Effect.scoped, Effect.provide(NodeServices.layer))

describe("TrustStoreFile", () => {
  it.effect("starts with nobody and keeps the file for its owner only (node §2.5)", () =>
    inDirectory(
      Effect.fnUntraced(function* (path, files) {
        const store = yield* TrustStoreFile.make(path)
        assert.deepStrictEqual(yield* store.load(0), TrustFile.empty)
        yield* files.writeFileString(path, "{}", { mode: 0o644 })
        yield* store.save(TrustFile.decode(TEXT, 0) ?? TrustFile.empty)

        assert.strictEqual(yield* files.readFileString(path), TEXT)
        assert.strictEqual((yield* files.stat(path)).mode & 0o777, 0o600)
        assert.isTrue((yield* store.load(0)).table.has(NodeId(1)))
      })
    )
  )

  it.effect("keeps a copy of what is no JSON, byte by byte, and trusts nobody (node §2.5)", () =>
    inDirectory(
      Effect.fnUntraced(function* (path, files) {
        const damaged = Uint8Array.of(0x7b, 0xff, 0x00)
        yield* files.writeFile(path, damaged, { mode: 0o644 })
        const store = yield* TrustStoreFile.make(path)

        assert.deepStrictEqual(yield* store.load(0), TrustFile.empty)
        assert.deepStrictEqual(new Uint8Array(yield* files.readFile(`${path}.unreadable`)), damaged)
        assert.strictEqual((yield* files.stat(`${path}.unreadable`)).mode & 0o777, 0o600)
        assert.deepStrictEqual(new Uint8Array(yield* files.readFile(path)), damaged)
      })
    )
  )

  it.effect("a directory that is not there is a typed error", () =>
    inDirectory(
      Effect.fnUntraced(function* (path) {
        const store = yield* TrustStoreFile.make(`${path}/missing/trust.json`)
        const error = yield* Effect.flip(store.save(TrustFile.empty))
        assert.strictEqual(error._tag, "TrustNotStored")
      })
    )
  )
})

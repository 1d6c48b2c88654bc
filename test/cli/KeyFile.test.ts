import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, FileSystem, Layer, Path } from "effect"
import * as KeyFile from "../../src/cli/KeyFile.ts"
import type { SigningKey } from "../../src/core/crypto/Crypto.ts"
import * as NativeCrypto from "../../src/core/crypto/NativeCrypto.ts"
import * as Json from "../../src/core/data/Json.ts"
import { MemoryDisk } from "../../src/testing/MemoryDisk.ts"
import * as VirtualFileSystem from "../../src/testing/VirtualFileSystem.ts"

const PATH = "/home/some.key"
const key = NativeCrypto.crypto.signingKey(new Uint8Array(32).fill(7))
const CONTENT: KeyFile.Content<SigningKey> = {
  what: "test key",
  bytesMax: 1000,
  parse: (text) => KeyFile.decode(Json.string(Json.parseObject(text) ?? {}, "key"))
}

/** On a disk that has `/home` only. */
const test = (name: string, body: Effect.Effect<void, unknown, FileSystem.FileSystem | Path.Path>) =>
  it.effect(name, () =>
    Effect.gen(function* () {
      const files = VirtualFileSystem.make(new MemoryDisk(), () => true)
      yield* files.makeDirectory("/home")
      const path = yield* Layer.build(Path.layer)
      yield* Effect.provideContext(body, Context.add(path, FileSystem.FileSystem, files))
    })
  )

const refusal = (content: KeyFile.Content<SigningKey>) =>
  Effect.map(Effect.flip(KeyFile.read(PATH, content)), ({ code, message }) => `${code}: ${message}`)

describe("KeyFile", () => {
  test(
    "a key comes back as it was written, for its owner only",
    Effect.gen(function* () {
      const files = yield* FileSystem.FileSystem
      yield* KeyFile.write(PATH, { key: KeyFile.encode(key) })

      assert.strictEqual((yield* files.stat(PATH)).mode & 0o777, 0o600)
      assert.deepStrictEqual((yield* KeyFile.read(PATH, CONTENT)).publicKey, key.publicKey)
      assert.match(yield* refusal({ ...CONTENT, bytesMax: 10 }), /^invalid_argument: .* holds no test key/)
      yield* files.chmod(PATH, 0o640)
      assert.match(yield* refusal(CONTENT), /^permission_denied: group or others may read/)
    })
  )

  test(
    "a name that is taken is refused, and one that nobody has cannot be read",
    Effect.gen(function* () {
      yield* KeyFile.unlessThere(PATH, "test key")
      assert.match(yield* refusal(CONTENT), /^not_found: cannot read the test key/)
      yield* KeyFile.write(PATH, {})
      const taken = yield* Effect.flip(KeyFile.unlessThere(PATH, "test key"))
      assert.deepInclude(taken, { code: "already_exists", hint: "a test key is never written over anything" })
    })
  )

  it("a public key that is not that of the seed is no key", () => {
    const other = NativeCrypto.crypto.signingKey(new Uint8Array(32).fill(8))

    assert.deepStrictEqual(KeyFile.decode(KeyFile.encode(key))?.seed, key.seed)
    assert.isUndefined(KeyFile.decode(KeyFile.encode({ ...key, publicKey: other.publicKey })))
    assert.isUndefined(KeyFile.decode("no key"))
  })
})

import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, it } from "@effect/vitest"
import { Effect, FileSystem, Layer } from "effect"
import * as ListFile from "../../../../src/actors/mcp/mount/ListFile.ts"
import * as PortableCrypto from "../../../../src/core/crypto/PortableCrypto.ts"
import type { Known } from "../../../../src/protocol/relay/KnownAnswers.ts"

const live = Layer.merge(NodeServices.layer, PortableCrypto.layer)
const known = (client: string, raw = "{}"): Known => ({
  client,
  answers: { "tools/list": { isError: false, raw, asOfMs: 1 } }
})

const station = Effect.gen(function* () {
  const files = yield* FileSystem.FileSystem
  const directory = `${yield* files.makeTempDirectoryScoped()}/mcp-lists`
  const file = (service: string, key: string | undefined = "key") =>
    Effect.map(ListFile.maker(directory), (make) =>
      make({ target: { peer: "mcp-host", service }, peerKey: Effect.succeed(key) })
    )
  return { directory, file, files }
})

describe("ListFile", () => {
  it.effect("is a file of its owner's only, and belongs to one service of the peer with that key", () =>
    Effect.gen(function* () {
      const { directory, file, files } = yield* station
      const one = yield* file("files")
      assert.deepStrictEqual(yield* one.load, [])
      yield* one.save([known("a")])
      const names = yield* files.readDirectory(directory)

      assert.lengthOf(names, 2)
      for (const name of names) assert.strictEqual((yield* files.stat(`${directory}/${name}`)).mode & 0o777, 0o600)
      assert.strictEqual((yield* files.stat(directory)).mode & 0o777, 0o700)
      assert.deepStrictEqual(yield* (yield* file("files")).load, [known("a")])
      assert.deepStrictEqual(yield* (yield* file("other")).load, [])
      assert.deepStrictEqual(yield* (yield* file("files", "another key")).load, [])
    }).pipe(Effect.scoped, Effect.provide(live))
  )

  it.effect("a peer whose key cannot be asked for has the one that was behind its name", () =>
    Effect.gen(function* () {
      const { directory, file } = yield* station
      const away = (peer: string) =>
        Effect.flatMap(
          Effect.map(ListFile.maker(directory), (make) =>
            make({ target: { peer, service: "files" }, peerKey: Effect.succeed(undefined) })
          ),
          ({ load, save }) => Effect.andThen(save([known("b")]), load)
        )
      assert.isUndefined(yield* away("mcp-host"))
      yield* (yield* file("files")).save([known("a")])
      assert.deepStrictEqual(yield* away("mcp-host"), [known("a")])
      assert.isUndefined(yield* away("another"))
    }).pipe(Effect.scoped, Effect.provide(live))
  )

  it.effect("keeps what fits, and 256 services; a broken file knows nothing", () =>
    Effect.gen(function* () {
      const { directory, file, files } = yield* station
      const one = yield* file("files")
      const large = JSON.stringify("x".repeat(3_000_000))
      yield* one.save([known("new", large), known("older", large), known("oldest")])
      assert.deepStrictEqual(
        (yield* one.load)?.map(({ client }) => client),
        ["new"]
      )
      const lists = Effect.map(files.readDirectory(directory), (names) =>
        names.filter((name) => name.endsWith(".json"))
      )
      const [name = ""] = yield* lists
      yield* files.writeFileString(`${directory}/${name}`, "{")
      assert.deepStrictEqual(yield* one.load, [])
      for (let index = 0; index < 258; index++) yield* (yield* file(`s${index}`)).save([known("a")])
      assert.lengthOf(yield* lists, 256)
      assert.deepStrictEqual(yield* (yield* file("s257")).load, [known("a")])
    }).pipe(Effect.scoped, Effect.provide(live))
  )
})

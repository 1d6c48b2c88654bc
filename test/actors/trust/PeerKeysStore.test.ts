import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Context, Deferred, Effect, Exit, Fiber, FileSystem, Layer, Scope } from "effect"
import { KeyChanged, NameMoved, PeerKeys } from "../../../src/actors/trust/PeerKeys.ts"
import * as PeerKeysStore from "../../../src/actors/trust/PeerKeysStore.ts"
import * as NativeCrypto from "../../../src/core/crypto/NativeCrypto.ts"
import * as Bytes from "../../../src/core/data/Bytes.ts"
import * as Fingerprint from "../../../src/protocol/trust/Fingerprint.ts"
import * as PinTable from "../../../src/protocol/trust/PinTable.ts"
import { NodeId } from "../../../src/protocol/wire/Address.ts"

const [A, B] = [NodeId(1), NodeId(2)]
const key = (fill: number) => new Uint8Array(32).fill(fill)
const fingerprintOf = (publicKey: Uint8Array) => Fingerprint.format(NativeCrypto.crypto.sha256(publicKey))

const memory = PeerKeysStore.layerMemory({ nodesMax: 2, namesMax: 2, laterMax: 2 }).pipe(
  Layer.provide(NativeCrypto.layer)
)
const over = (store: PeerKeysStore.PinStore) =>
  PeerKeysStore.make(store, PeerKeysStore.DEFAULT_LIMITS).pipe(Effect.provide(NativeCrypto.layer))

/** Lives of the service over one file of a directory of its own. */
const inDirectory = <A, E>(
  test: (
    life: Effect.Effect<PeerKeys["Service"], PeerKeysStore.PinsUnreadable, Scope.Scope>,
    path: string
  ) => Effect.Effect<A, E, Scope.Scope | FileSystem.FileSystem>
) =>
  Effect.gen(function* () {
    const files = yield* FileSystem.FileSystem
    const path = `${yield* files.makeTempDirectoryScoped()}/pins.json`
    const layer = PeerKeysStore.layer(path).pipe(Layer.provide(NativeCrypto.layer), Layer.provide(NodeServices.layer))
    return yield* test(Effect.map(Layer.build(Layer.fresh(layer)), Context.get(PeerKeys)), path)
  }).pipe(Effect.provide(NodeServices.layer))

describe("PeerKeysStore", () => {
  it.effect("refuses another key for a node or a name with both fingerprints (security rule 1)", () =>
    Effect.gen(function* () {
      const keys = yield* PeerKeys
      yield* keys.pinNode(A, key(1))
      yield* keys.pinNode(A, key(1))
      yield* keys.pinName("Alpha", key(1))

      const [pinnedFingerprint, offeredFingerprint] = [fingerprintOf(key(1)), fingerprintOf(key(2))]
      assert.deepStrictEqual(
        yield* Effect.flip(keys.pinNode(A, key(2))),
        new KeyChanged({ node: A, pinnedFingerprint, offeredFingerprint })
      )
      assert.deepStrictEqual(
        yield* Effect.flip(keys.pinName("alpha", key(2))),
        new NameMoved({ name: "alpha", pinnedFingerprint, offeredFingerprint })
      )
      assert.deepStrictEqual(keys.pinned(A), key(1))
    }).pipe(Effect.provide(memory))
  )

  it.effect("trusts a node only while its pinned key is the trusted one", () =>
    Effect.gen(function* () {
      const keys = yield* PeerKeys
      keys.setTrusted(new Map([[A, key(1)]]))
      assert.isFalse(keys.isTrusted(A))
      yield* keys.pinNode(A, key(1))
      assert.isTrue(keys.isTrusted(A))
      assert.isFalse(keys.isTrusted(B))
      yield* keys.acceptKey(A, key(2))
      assert.isFalse(keys.isTrusted(A))
      keys.setTrusted(new Map())
      assert.isFalse(keys.isTrusted(A))
    }).pipe(Effect.provide(memory))
  )

  it.effect("never gives up the pin of a trusted key to make room", () =>
    Effect.gen(function* () {
      const keys = yield* PeerKeys
      yield* keys.pinNode(A, key(1))
      keys.setTrusted(new Map([[A, key(1)]]))
      for (const node of [2, 3, 4, 5]) yield* keys.pinNode(NodeId(node), key(node))

      assert.isTrue(keys.isTrusted(A))
      assert.deepStrictEqual(
        [2, 3, 4, 5].filter((node) => keys.pinned(NodeId(node)) !== undefined),
        [4, 5]
      )
    }).pipe(Effect.provide(memory))
  )

  it.effect("does not keep the caller's bytes", () =>
    Effect.gen(function* () {
      const keys = yield* PeerKeys
      const bytes = key(1)
      yield* keys.pinNode(A, bytes)
      bytes.fill(9)
      assert.deepStrictEqual(keys.pinned(A), key(1))
    }).pipe(Effect.provide(memory))
  )

  it.effect("pins are in the file, for its owner only, when it answers, and survive", () =>
    inDirectory((life, path) =>
      Effect.gen(function* () {
        const files = yield* FileSystem.FileSystem
        const keys = yield* life
        yield* keys.pinNode(A, key(1))
        yield* keys.pinName("alpha", key(1))
        keys.laterOpened(key(1))
        keys.laterOpened(key(3))
        yield* keys.acceptKey(B, key(2))
        const again = yield* life

        assert.strictEqual((yield* files.stat(path)).mode & 0o777, 0o600)
        assert.deepStrictEqual([again.pinned(A), again.pinned(B)], [key(1), key(2)])
        assert.strictEqual((yield* Effect.flip(again.pinName("alpha", key(2))))._tag, "NameMoved")
        assert.deepStrictEqual([key(1), key(2), key(3)].map(again.isLaterOnly), [true, false, true], "strangers too")
      })
    )
  )

  it.effect("what the packet path noted is on disk when the service ends (security rule 5)", () =>
    Effect.gen(function* () {
      const store = recording()
      const scope = yield* Scope.make()
      const keys = yield* over(store).pipe(Scope.provide(scope))
      yield* keys.pinNode(A, key(1))
      keys.laterOpened(key(1))
      keys.laterOpened(key(1))
      yield* Scope.close(scope, Exit.void)

      assert.deepStrictEqual(
        store.saved.map((table) => [...table.laterOnly]),
        [[], [Bytes.toHex(key(1))]]
      )
    })
  )

  it.effect("does not start over a damaged file, and leaves it as it is", () =>
    inDirectory((life, path) =>
      Effect.gen(function* () {
        const files = yield* FileSystem.FileSystem
        yield* files.writeFileString(path, '{"nodes": [')
        const error = yield* Effect.flip(life)

        assert.strictEqual(error._tag, "PinsUnreadable")
        assert.include(error.detail, "restore it")
        assert.strictEqual(yield* files.readFileString(path), '{"nodes": [')
      })
    )
  )

  it.effect("pins that come together are written together", () =>
    Effect.gen(function* () {
      const gate = yield* Deferred.make<void>()
      const store = recording(Deferred.await(gate))
      const keys = yield* over(store)
      const pinning = yield* Effect.forEach([1, 2, 3, 4, 5], (node) =>
        Effect.forkChild(keys.pinNode(NodeId(node), key(node)), { startImmediately: true })
      )
      assert.isUndefined(pinning[4]?.pollUnsafe())
      yield* Deferred.succeed(gate, undefined)
      yield* Fiber.joinAll(pinning)

      assert.deepStrictEqual(
        store.saved.map(({ nodes }) => nodes.size),
        [1, 5]
      )
    })
  )

  it.effect("a pin that cannot be written holds for this run and is written with the next", () =>
    Effect.gen(function* () {
      let isFull = true
      const inner = recording()
      const store = {
        ...inner,
        save: (table: PinTable.PinTable) => (isFull ? Effect.fail({ message: "no space" }) : inner.save(table))
      }
      const keys = yield* over(store)
      yield* keys.pinNode(A, key(1))
      assert.strictEqual((yield* Effect.flip(keys.pinNode(A, key(2))))._tag, "KeyChanged")
      isFull = false
      yield* keys.pinNode(B, key(2))

      assert.deepStrictEqual(
        inner.saved.map(({ nodes }) => [...nodes.keys()]),
        [[A, B]]
      )
    })
  )
})

const recording = (before: Effect.Effect<void> = Effect.void) => {
  const saved: Array<PinTable.PinTable> = []
  const save = (table: PinTable.PinTable) =>
    Effect.andThen(
      before,
      Effect.sync(() => void saved.push(table))
    )
  return { load: Effect.succeed(PinTable.empty), save, saved }
}

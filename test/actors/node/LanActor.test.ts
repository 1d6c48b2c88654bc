import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { TestClock } from "effect/testing"
import * as LanActor from "../../../src/actors/node/LanActor.ts"
import * as NativeCrypto from "../../../src/core/crypto/NativeCrypto.ts"
import * as Bytes from "../../../src/core/data/Bytes.ts"
import type { Endpoint } from "../../../src/core/data/Endpoint.ts"
import { LanDiscovery, type LanHeard, type LanRecord } from "../../../src/core/net/LanDiscovery.ts"
import { NodeId } from "../../../src/protocol/wire/Address.ts"
import * as LanAnnouncement from "../../../src/protocol/wire/LanAnnouncement.ts"

const REGISTRY = "0123456789abcdef"
const key = (seed: number) => NativeCrypto.crypto.signingKey(new Uint8Array(32).fill(seed))

/** What a node says of itself, or another one of it. */
const texts = (node: number, atSeconds: number, more: Partial<LanAnnouncement.LanAnnouncement> = {}, signer = node) => {
  const announcement: LanAnnouncement.LanAnnouncement = {
    node: NodeId(node),
    registry: REGISTRY,
    publicKey: key(node).publicKey,
    unixSeconds: atSeconds,
    endpoints: [
      { host: "10.0.0.1", port: 4000 },
      { host: "192.168.1.1", port: 4000 }
    ],
    name: "",
    ...more
  }
  const signature = key(signer).sign(Bytes.fromUtf8(LanAnnouncement.signedText(announcement)))
  return LanAnnouncement.encode({ announcement, signature })
}

/** A node 1 that has pinned the keys of 2 and 3, on a network that says what the test says. */
const stage = Effect.gen(function* () {
  let heard: (one: LanHeard) => void = () => {}
  const published: Array<LanRecord> = []
  const found: Array<readonly [number, ReadonlyArray<Endpoint>]> = []
  const lan = Layer.succeed(LanDiscovery, {
    open: () =>
      Effect.succeed({
        addresses: () => ["192.168.1.9"],
        publish: (record: LanRecord) => void published.push(record),
        ask: () => {},
        onHeard: (listener: (one: LanHeard) => void) => {
          heard = listener
        }
      })
  })
  yield* TestClock.setTime(1_700_000_000_000)
  const neighbours = yield* LanActor.spawn({
    identity: key(1),
    registry: REGISTRY,
    before: Effect.void,
    node: () => NodeId(1),
    name: () => "",
    local: { host: "0.0.0.0", port: 4000 },
    pinned: (node) => (node === 2 || node === 3 ? key(node).publicKey : undefined),
    found: (node, endpoints) => Effect.sync(() => void found.push([node, endpoints]))
  }).pipe(Effect.provide(Layer.merge(lan, NativeCrypto.layer)))
  const say = (words: ReadonlyArray<string>, from = "192.168.1.1") =>
    Effect.andThen(
      Effect.sync(() => heard({ texts: words, from })),
      TestClock.adjust("10 millis")
    )
  yield* TestClock.adjust("10 millis")
  return { neighbours, published, found, say }
})

const NOW = 1_700_000_000

describe("LanActor", () => {
  it.effect("says where the node is, signed, and says it again every minute", () =>
    Effect.gen(function* () {
      const { published } = yield* stage
      yield* TestClock.adjust("61 seconds")
      const said = published.map(({ texts: words }) => LanAnnouncement.decode(words))

      assert.deepStrictEqual(
        said.map((one) => (one._tag === "Success" ? one.success.announcement : undefined)),
        [NOW, NOW + 60].map((unixSeconds) => ({
          node: NodeId(1),
          registry: REGISTRY,
          publicKey: key(1).publicKey,
          unixSeconds,
          endpoints: [{ host: "192.168.1.9", port: 4000 }],
          name: ""
        }))
      )
    }).pipe(Effect.scoped)
  )

  it.effect("believes only a pinned key that has signed, and puts first the place it was heard from", () =>
    Effect.gen(function* () {
      const { found, neighbours, say } = yield* stage
      yield* say(texts(2, NOW))
      yield* say(texts(4, NOW))
      yield* say(texts(3, NOW, { registry: "fedcba9876543210" }))
      // Somebody else's signature, somebody else's key, an old word, one from the future, one's own.
      yield* say(texts(3, NOW, {}, 4))
      yield* say(texts(3, NOW + 1, { publicKey: key(4).publicKey }, 4))
      yield* say(texts(2, NOW - 1, { endpoints: [{ host: "203.0.113.1", port: 53 }] }))
      yield* say(texts(3, NOW + 4000))
      yield* say(texts(1, NOW))
      yield* say(["v=1", "id=2", "sig=none"])

      assert.deepStrictEqual(found, [
        [
          2,
          [
            { host: "192.168.1.1", port: 4000 },
            { host: "10.0.0.1", port: 4000 }
          ]
        ]
      ])
      assert.deepStrictEqual(
        neighbours().map(({ isKnown, isSameRendezvous, node }) => [node, isKnown, isSameRendezvous]),
        [
          [2, true, true],
          [3, false, false],
          [3, false, true]
        ],
        "the stranger with key 4 last called itself 3"
      )
    }).pipe(Effect.scoped)
  )

  it.effect("a flood of strangers is bounded, and keeps no peer out", () =>
    Effect.gen(function* () {
      const { found, neighbours, say } = yield* stage
      for (let stranger = 10; stranger < 110; stranger++) yield* say(texts(stranger, NOW))
      yield* say(texts(2, NOW))

      assert.isAtMost(neighbours().length, 20 + 20 + 1)
      assert.lengthOf(found, 1)
    }).pipe(Effect.scoped)
  )
})

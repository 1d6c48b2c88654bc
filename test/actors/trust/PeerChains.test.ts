import { assert, describe, it } from "@effect/vitest"
import { Context, Deferred, Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import * as ChainFile from "../../../src/actors/trust/ChainFile.ts"
import type { KeyFact } from "../../../src/actors/trust/KeyChains.ts"
import type * as PeerChains from "../../../src/actors/trust/PeerChains.ts"
import * as PeerKeysStore from "../../../src/actors/trust/PeerKeysStore.ts"
import { Crypto } from "../../../src/core/crypto/Crypto.ts"
import * as NativeCrypto from "../../../src/core/crypto/NativeCrypto.ts"
import type { KeyHistory } from "../../../src/protocol/identity/KeyHistory.ts"
import { NodeId } from "../../../src/protocol/wire/Address.ts"
import { BEGIN, cancel, enrol, key, numberOf, rotate } from "../../support/KeyChains.ts"
import * as TrustStation from "../../support/TrustStation.ts"

const A = NodeId(1)
const R = 9

/** What outlives a process; histories go through their text. */
const disk = () => {
  let text = ChainFile.encode(new Map())
  const chains: PeerChains.ChainStore<never> = {
    load: Effect.sync(() => ChainFile.decode(text) as ReadonlyMap<NodeId, KeyHistory>),
    save: (histories) =>
      Effect.sync(() => {
        text = ChainFile.encode(histories)
      })
  }
  return { pins: TrustStation.memoryPins(), chains }
}

/** The pins of a node that trusts node 1 under key 1, and what it is told about it. */
const boot = Effect.fnUntraced(function* ({ chains, pins }: ReturnType<typeof disk>) {
  const made = PeerKeysStore.make(pins, PeerKeysStore.DEFAULT_LIMITS, chains)
  const keys = yield* Effect.provide(made, Context.make(Crypto, NativeCrypto.crypto))
  const facts: Array<string> = []
  yield* keys.chains.listen((fact) => Effect.sync(() => void facts.push(shown(fact))))
  const pinned = () => numberOf(keys.pinned(A) ?? new Uint8Array())
  return { keys, facts, pinned }
})

const shown = (fact: KeyFact): string => {
  if (fact._tag === "Moved") return `Moved ${numberOf(fact.from)} to ${numberOf(fact.to)}`
  if (fact._tag === "Announced" || fact._tag === "Cancelled") return `${fact._tag} ${numberOf(fact.next)}`
  return fact._tag
}

const begin = TestClock.setTime(BEGIN * 1000)

describe("PeerChains", () => {
  it.effect("waits seven days from its own first sight, also across a restart, and the name follows (rule 9)", () =>
    Effect.gen(function* () {
      yield* begin
      const remains = disk()
      yield* Effect.scoped(
        Effect.gen(function* () {
          const { facts, keys, pinned } = yield* boot(remains)
          yield* keys.pinNode(A, key(1).publicKey)
          yield* keys.pinName("alpha", key(1).publicKey)
          keys.setTrusted(new Map([[A, key(1).publicKey]]))
          yield* keys.chains.learn(A, [rotate(1, 2)])
          yield* TestClock.adjust("6 days")
          yield* keys.chains.settle
          assert.deepStrictEqual(facts, ["Announced 2"])
          assert.strictEqual(pinned(), 1)
          assert.isTrue(keys.isTrusted(A))
        })
      )
      const { facts, keys, pinned } = yield* boot(remains)
      yield* keys.chains.learn(A, [rotate(1, 2)])
      yield* TestClock.adjust("23 hours")
      yield* keys.chains.settle
      assert.strictEqual(pinned(), 1)
      yield* TestClock.adjust("1 hour")
      yield* keys.chains.settle

      assert.deepStrictEqual(facts, ["Moved 1 to 2"])
      assert.strictEqual(pinned(), 2)
      yield* keys.pinName("alpha", key(2).publicKey)
      assert.isTrue(keys.chains.follows(A, key(1).publicKey))
      assert.deepStrictEqual(keys.chains.formerKeys(A).map(numberOf), [1])
    }).pipe(Effect.scoped)
  )

  it.effect("follows a recovery key that it has known from the first, and a chain it has slept through", () =>
    Effect.gen(function* () {
      yield* begin
      const { facts, keys, pinned } = yield* boot(disk())
      // A lookup comes before the first use.
      yield* keys.chains.learn(A, [enrol(1, R)])
      yield* keys.pinNode(A, key(1).publicKey)
      yield* Effect.yieldNow
      const words = { by: "recovery", recovery: R } as const
      yield* keys.chains.learn(A, [rotate(1, 2, words), rotate(2, 3, { ...words, sequence: 2 })])

      assert.strictEqual(pinned(), 3)
      assert.include(facts, "Moved 1 to 3")
      assert.deepStrictEqual(keys.chains.formerKeys(A).map(numberOf), [1, 2])
    }).pipe(Effect.scoped)
  )

  it.effect("makes up for a pin that did not follow before the process died", () =>
    Effect.gen(function* () {
      yield* begin
      const remains = disk()
      const lost = { ...remains.pins, save: () => Effect.void }
      yield* Effect.scoped(
        Effect.gen(function* () {
          const { keys } = yield* boot(remains)
          yield* keys.chains.learn(A, [enrol(1, R)])
          yield* keys.pinNode(A, key(1).publicKey)
        })
      )
      yield* Effect.scoped(
        Effect.gen(function* () {
          const { keys } = yield* boot({ ...remains, pins: lost })
          yield* keys.chains.learn(A, [rotate(1, 2, { by: "recovery", recovery: R })])
        })
      )

      assert.strictEqual((yield* boot(remains)).pinned(), 2)
    }).pipe(Effect.scoped)
  )

  it.effect("follows to its end, and tells, whoever stops waiting for the lookup that brought the news", () =>
    Effect.gen(function* () {
      yield* begin
      const { chains, pins } = disk()
      const gate = yield* Deferred.make<void>()
      let isSlow = false
      const slow = {
        ...chains,
        save: (histories: Parameters<typeof chains.save>[0]) =>
          Effect.andThen(isSlow ? Deferred.await(gate) : Effect.void, chains.save(histories))
      }
      const { facts, keys, pinned } = yield* boot({ chains: slow, pins })
      yield* keys.chains.learn(A, [enrol(1, R)])
      yield* keys.pinNode(A, key(1).publicKey)
      isSlow = true
      const learning = yield* Effect.forkChild(keys.chains.learn(A, [rotate(1, 2, { by: "recovery", recovery: R })]), {
        startImmediately: true
      })
      const stopping = yield* Effect.forkChild(Fiber.interrupt(learning), { startImmediately: true })
      yield* Deferred.succeed(gate, undefined)
      yield* Fiber.join(stopping)

      assert.strictEqual(pinned(), 2)
      assert.include(facts, "Moved 1 to 2")
    }).pipe(Effect.scoped)
  )

  it.effect("freezes a peer at a fork, and a person's decision ends it", () =>
    Effect.gen(function* () {
      yield* begin
      const { facts, keys, pinned } = yield* boot(disk())
      yield* keys.pinNode(A, key(1).publicKey)
      keys.setTrusted(new Map([[A, key(1).publicKey]]))
      yield* keys.chains.learn(A, [rotate(1, 2)])
      yield* keys.chains.learn(A, [rotate(1, 3)])

      assert.deepStrictEqual(facts, ["Announced 2", "Forked"])
      assert.isFalse(keys.isTrusted(A))
      const refused = yield* Effect.flip(keys.pinNode(A, key(1).publicKey))
      assert.strictEqual(refused._tag, "KeyChanged")
      yield* TestClock.adjust("30 days")
      yield* keys.chains.settle
      assert.strictEqual(pinned(), 1)

      yield* keys.acceptKey(A, key(1).publicKey)
      assert.isTrue(keys.isTrusted(A))
      yield* keys.pinNode(A, key(1).publicKey)
      assert.deepStrictEqual(facts.slice(2), ["Accepted", "Thawed"])
    }).pipe(Effect.scoped)
  )

  it.effect("hears a cancellation, and a person who refuses", () =>
    Effect.gen(function* () {
      yield* begin
      const { facts, keys, pinned } = yield* boot(disk())
      yield* keys.pinNode(A, key(1).publicKey)
      yield* keys.chains.learn(A, [rotate(1, 2)])
      yield* keys.chains.learn(A, [cancel(1, 2)])
      yield* keys.chains.learn(A, [rotate(1, 3)])
      assert.strictEqual(numberOf((yield* keys.chains.refuse(A))!), 3)
      assert.strictEqual(yield* keys.chains.refuse(A), undefined)
      yield* TestClock.adjust("30 days")
      yield* keys.chains.settle

      assert.deepStrictEqual(facts, ["Announced 2", "Cancelled 2", "Announced 3", "Cancelled 3"])
      assert.strictEqual(pinned(), 1)
    }).pipe(Effect.scoped)
  )
})

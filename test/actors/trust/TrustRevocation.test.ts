import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Scope } from "effect"
import { TestClock } from "effect/testing"
import * as TrustStore from "../../../src/actors/trust/TrustStore.ts"
import * as Bytes from "../../../src/core/data/Bytes.ts"
import * as Revocation from "../../../src/protocol/trust/Revocation.ts"
import { NodeId } from "../../../src/protocol/wire/Address.ts"
import * as TrustStation from "../../support/TrustStation.ts"

const [A, B] = [NodeId(1), NodeId(2)]

/** Two that trust each other. */
const pair = Effect.fnUntraced(function* (remains: TrustStation.Remains = {}) {
  const world = TrustStation.world()
  const scope = yield* Scope.make()
  const a = yield* TrustStation.start(world, A, remains).pipe(Scope.provide(scope))
  const b = yield* TrustStation.start(world, B)
  yield* a.trust.request(B, "")
  yield* TrustStation.pass(10)
  yield* b.trust.approve(A)
  yield* TrustStation.pass(20)
  assert.deepStrictEqual([a.keys.isTrusted(B), b.keys.isTrusted(A)], [true, true])
  return { world, a, b, scope }
})
const revoke = Effect.fnUntraced(function* (station: TrustStation.Station, peer: NodeId) {
  const revoking = yield* Effect.forkChild(station.trust.revoke(peer), { startImmediately: true })
  yield* TrustStation.pass(50)
  yield* Fiber.join(revoking)
})

describe("a revocation that finds its peer away (node §2.3)", () => {
  it.effect("waits at the registry for it, signed, though the one who ended it has gone meanwhile", () =>
    Effect.gen(function* () {
      const { a, b, scope, world } = yield* pair()
      b.node.offline = true
      yield* revoke(a, B)
      yield* Scope.close(scope, Exit.void)
      a.node.offline = true
      assert.isTrue(b.keys.isTrusted(A))
      b.node.offline = false
      yield* b.trust.poll
      yield* TrustStation.pass(10)

      assert.isFalse(b.keys.isTrusted(A))
      assert.deepStrictEqual(yield* b.trust.pending, [])
      assert.deepInclude(b.events.at(-1), { _tag: "TrustRevoked", by: "peer" })
      assert.deepStrictEqual([...world.registry.reports], [])
    })
  )

  it.effect("is said directly as soon as the peer is back, while the registry relays nothing", () =>
    Effect.gen(function* () {
      const { a, b, world } = yield* pair()
      yield* a.trust.poll
      b.node.offline = true
      world.registry.failing.add("requestHandshake")
      yield* revoke(a, B)
      b.node.offline = false
      yield* a.trust.poll
      yield* TrustStation.pass(10)
      assert.isTrue(b.keys.isTrusted(A), "not within the first minute")
      yield* TrustStation.pass(600)
      yield* a.trust.poll
      yield* TrustStation.pass(20)

      assert.isFalse(b.keys.isTrusted(A))
    })
  )

  it.effect("is not forgotten by a restart", () =>
    Effect.gen(function* () {
      const remains = { store: TrustStore.memory(), pins: TrustStation.memoryPins() }
      const { a, b, scope, world } = yield* pair(remains)
      b.node.offline = true
      world.registry.failing.add("requestHandshake")
      yield* revoke(a, B)
      yield* Scope.close(scope, Exit.void)
      b.node.offline = false
      yield* TrustStation.start(world, A, remains)
      yield* TrustStation.pass(30)

      assert.isFalse(b.keys.isTrusted(A))
    })
  )

  it.effect("is said once: the peer's answer ends it", () =>
    Effect.gen(function* () {
      const { a, b, world } = yield* pair()
      b.node.offline = true
      yield* revoke(a, B)
      b.node.offline = false
      yield* b.trust.poll
      yield* TrustStation.pass(10)
      yield* a.trust.poll
      yield* TrustStation.pass(610)
      const { dials } = a.node
      yield* a.trust.poll
      yield* TrustStation.pass(20)

      assert.strictEqual(a.node.dials, dials)
      assert.lengthOf(
        world.registry.calls.filter((call) => call === "requestHandshake 1 2"),
        1
      )
    })
  )

  it.effect("is not said to a peer that has asked again since, which waits for the answer to that", () =>
    Effect.gen(function* () {
      const { a, b, world } = yield* pair()
      b.node.offline = true
      world.registry.failing.add("requestHandshake")
      yield* revoke(a, B)
      yield* revoke(b, A)
      b.node.offline = false
      yield* b.trust.request(A, "again")
      yield* TrustStation.pass(610)
      assert.lengthOf(yield* a.trust.pending, 1)
      yield* a.trust.poll
      yield* TrustStation.pass(20)
      yield* a.trust.approve(B)
      yield* TrustStation.pass(20)

      assert.deepStrictEqual([a.keys.isTrusted(B), b.keys.isTrusted(A)], [true, true])
    })
  )

  it.effect("cannot be forged by the registry, nor by another key, nor repeated after new trust", () =>
    Effect.gen(function* () {
      const { a, b, world } = yield* pair()
      const put = (justification: string) =>
        Effect.andThen(
          Effect.sync(() => void world.registry.inbox(B).requests.push({ from: A, justification, timestamp: 0 })),
          Effect.andThen(b.trust.poll, TrustStation.pass(10))
        )
      const noticeBy = (fill: number, atSeconds: number) => {
        const text = Revocation.signedText(a.identity.publicKey, b.identity.publicKey, atSeconds)
        const signature = TrustStation.identityOf(fill).sign(Bytes.fromUtf8(text))
        return Revocation.formatNotice({ atSeconds, signature })
      }
      yield* put(noticeBy(9, 1000))
      assert.isTrue(b.keys.isTrusted(A))
      assert.deepInclude(b.events.at(-1), { _tag: "KeyRefused", reason: "BadSignature" })
      assert.deepStrictEqual(yield* b.trust.pending, [])

      yield* put(noticeBy(A, 2000))
      assert.isFalse(b.keys.isTrusted(A))
      yield* TestClock.adjust("50 minutes")
      yield* b.trust.request(A, "")
      yield* TrustStation.pass(10)
      yield* put(noticeBy(A, 2000))
      assert.isTrue(b.keys.isTrusted(A))
    })
  )
})

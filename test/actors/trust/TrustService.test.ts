import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import * as NativeCrypto from "../../../src/core/crypto/NativeCrypto.ts"
import * as Fingerprint from "../../../src/protocol/trust/Fingerprint.ts"
import { NodeId } from "../../../src/protocol/wire/Address.ts"
import * as TrustStation from "../../support/TrustStation.ts"

const [A, B] = [NodeId(1), NodeId(2)]
const fingerprintOf = (publicKey: Uint8Array) => Fingerprint.format(NativeCrypto.crypto.sha256(publicKey))
const OTHER = TrustStation.identityOf(9).publicKey

/** A asks, B has to decide. */
const asked = Effect.gen(function* () {
  const world = TrustStation.world()
  const [a, b] = [yield* TrustStation.start(world, A), yield* TrustStation.start(world, B)]
  yield* a.trust.request(B, "")
  yield* TrustStation.pass(10)
  return { world, a, b }
})

describe("TrustService", () => {
  it.effect("an approval with a fingerprint is for that key only", () =>
    Effect.gen(function* () {
      const { a, b } = yield* asked
      const error = yield* Effect.flip(b.trust.approve(A, fingerprintOf(OTHER)))

      assert.strictEqual(error.reason, "FingerprintMismatch")
      assert.include(error.detail, fingerprintOf(a.identity.publicKey))
      assert.isFalse(b.keys.isTrusted(A))
      assert.isUndefined(b.keys.pinned(A))
      const typed = fingerprintOf(a.identity.publicKey).toLowerCase().replaceAll("-", " ")
      assert.deepStrictEqual(yield* b.trust.approve(A, typed), { known: true })
    })
  )

  it.effect("an approval pins the key, and is refused when another is pinned meanwhile (security rule 1)", () =>
    Effect.gen(function* () {
      const { a, b } = yield* asked
      yield* b.keys.pinNode(A, OTHER)
      const error = yield* Effect.flip(b.trust.approve(A))

      assert.strictEqual(error.reason, "KeyChanged")
      assert.include(error.detail, fingerprintOf(OTHER))
      assert.include(error.detail, fingerprintOf(a.identity.publicKey))
      yield* b.keys.acceptKey(A, a.identity.publicKey)
      assert.deepStrictEqual(yield* b.trust.approve(A), { known: true })
      assert.deepStrictEqual(b.keys.pinned(A), a.identity.publicKey)
    })
  )

  it.effect("a request is for the key that is pinned or registered now, and refused when they differ", () =>
    Effect.gen(function* () {
      const { a, world } = yield* asked
      world.registry.keys.set(B, OTHER)
      const error = yield* Effect.flip(a.trust.request(B, ""))

      assert.strictEqual(error.reason, "KeyChanged")
      assert.include(error.detail, fingerprintOf(OTHER))
    })
  )

  it.effect("a request that meets another key sends nothing there and leaves nothing at the registry", () =>
    Effect.gen(function* () {
      const world = TrustStation.world()
      const [a, b] = [yield* TrustStation.start(world, A), yield* TrustStation.start(world, B)]
      world.nodes.add(B, OTHER)
      const error = yield* Effect.flip(a.trust.request(B, "secret"))
      yield* TrustStation.pass(10)

      assert.strictEqual(error.reason, "KeyChanged")
      assert.deepStrictEqual(yield* b.trust.pending, [])
      assert.notInclude(world.registry.calls.join(), "requestHandshake")
    })
  )

  it.effect("a request needs a key: an unknown node and a silent registry are told apart", () =>
    Effect.gen(function* () {
      const { a, world } = yield* asked
      const reason = (node: number) =>
        Effect.map(Effect.flip(a.trust.request(NodeId(node), "")), (error) => error.reason)

      assert.strictEqual(yield* reason(77), "UnknownPeer")
      assert.strictEqual(yield* reason(A), "UnknownPeer")
      world.registry.failing.add("lookup")
      assert.strictEqual(yield* reason(77), "RelayFailed")
      assert.strictEqual(yield* a.trust.request(B, ""), "sent")
    })
  )

  it.effect("trust ends in effect when a person accepts another key for the node", () =>
    Effect.gen(function* () {
      const { b, world } = yield* asked
      yield* b.trust.approve(A)
      yield* TrustStation.pass(10)
      yield* b.keys.acceptKey(A, OTHER)
      world.registry.keys.set(A, OTHER)

      assert.isFalse(b.keys.isTrusted(A))
      const told = b.events.find(({ _tag }) => _tag === "KeyAccepted")
      assert.deepInclude(told, { peer: A, to: Fingerprint.format(NativeCrypto.crypto.sha256(OTHER)) })
      world.nodes.add(A, OTHER)
      assert.strictEqual(yield* b.trust.request(A, ""), "sent")
      assert.deepStrictEqual(yield* b.trust.trusted, [])
    })
  )

  it.effect("a refusal that the registry relays late says nothing of the request that was made since", () =>
    Effect.gen(function* () {
      const { a, b } = yield* asked
      assert.deepStrictEqual(yield* b.trust.reject(A, "not now"), { known: true })
      yield* TrustStation.pass(10)
      assert.strictEqual((yield* a.trust.standing(B)).refusal, "not now")

      yield* a.trust.request(B, "please")
      yield* TrustStation.pass(10)
      yield* a.trust.poll
      assert.deepStrictEqual(yield* a.trust.standing(B), { standing: "outgoing", refusal: undefined })
      yield* b.trust.approve(A)
      yield* TrustStation.pass(10)

      assert.deepStrictEqual([a.keys.isTrusted(B), b.keys.isTrusted(A)], [true, true])
    })
  )

  it.effect("what is said twice within a second is heard twice, and no replay of itself", () =>
    Effect.gen(function* () {
      const world = TrustStation.world()
      const a = yield* TrustStation.start(world, A)
      const b = yield* TrustStation.start(world, B)
      for (let time = 0; time < 3; time++) {
        yield* a.trust.request(B, "once more")
        yield* TrustStation.pass(1)
        assert.lengthOf(yield* b.trust.pending, 1, `time ${time}`)
        yield* b.trust.approve(A)
        yield* TrustStation.pass(2)
        assert.deepStrictEqual([a.keys.isTrusted(B), b.keys.isTrusted(A)], [true, true], `time ${time}`)
        const ending = yield* Effect.forkChild(b.trust.revoke(A), { startImmediately: true })
        yield* TrustStation.pass(2)
        assert.isFalse(a.keys.isTrusted(B), `time ${time}`)
        yield* Fiber.interrupt(ending)
      }
    }).pipe(Effect.scoped)
  )

  it.effect("a request for text longer than a segment still arrives, cut at a character (node §2.1)", () =>
    Effect.gen(function* () {
      const { a, b } = yield* asked
      yield* a.trust.request(B, "<é☕>".repeat(500))
      yield* TrustStation.pass(10)

      const [pending] = yield* b.trust.pending
      assert.isAbove(pending?.justification.length ?? 0, 50)
      assert.match(pending?.justification ?? "", /^(<é☕>)+(<|<é|<é☕)?$/)
    })
  )
})

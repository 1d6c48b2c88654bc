import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Scope } from "effect"
import * as TrustStore from "../../../src/actors/trust/TrustStore.ts"
import { NodeId } from "../../../src/protocol/wire/Address.ts"
import * as TrustStation from "../../support/TrustStation.ts"

const [A, B] = [NodeId(1), NodeId(2)]

const settle = TrustStation.pass(20)
const twoStations = Effect.gen(function* () {
  const world = TrustStation.world()
  const [a, b] = [yield* TrustStation.start(world, A), yield* TrustStation.start(world, B)]
  yield* settle
  return { world, a, b }
})
const tags = (station: TrustStation.Station) => station.events.map((event) => event._tag)

describe("TrustSupervisor", () => {
  it.effect("a request waits for a person, whose approval is told and makes both trust the other's key", () =>
    Effect.gen(function* () {
      const { a, b, world } = yield* twoStations

      assert.strictEqual(yield* a.trust.request(B, "share\u0007 data"), "sent")
      yield* settle
      const [pending] = yield* b.trust.pending
      assert.deepStrictEqual(pending, {
        node: A,
        publicKey: a.identity.publicKey,
        justification: "share data",
        receivedAtSeconds: 2
      })
      assert.isFalse(b.keys.isTrusted(A))
      assert.isFalse(a.keys.isTrusted(B))

      assert.deepStrictEqual(yield* b.trust.approve(A), { known: true })
      assert.isTrue(b.keys.isTrusted(A))
      yield* settle
      assert.isTrue(a.keys.isTrusted(B))
      const [ofA] = yield* a.trust.trusted
      const [ofB] = yield* b.trust.trusted
      assert.deepStrictEqual([ofA?.publicKey, ofA?.mutual], [b.identity.publicKey, true])
      assert.deepStrictEqual([ofB?.publicKey, ofB?.mutual], [a.identity.publicKey, false])
      assert.deepStrictEqual(yield* b.trust.pending, [])
      assert.deepStrictEqual([...world.registry.reports].toSorted(), ["1>2", "2>1"])
      assert.deepStrictEqual(tags(b), ["HandshakeReceived", "HandshakePending", "PeerTrusted"])
      assert.deepStrictEqual(tags(a), ["PeerTrusted"])
    })
  )

  it.effect("two persons who ask for each other need no approval (node §2.3, mutual)", () =>
    Effect.gen(function* () {
      const { a, b } = yield* twoStations
      a.node.offline = true
      yield* a.trust.request(B, "")
      a.node.offline = false

      yield* b.trust.request(A, "")
      yield* settle

      assert.isTrue(a.keys.isTrusted(B))
      assert.isTrue(b.keys.isTrusted(A))
      assert.isTrue((yield* a.trust.trusted)[0]?.mutual)
      assert.isTrue((yield* b.trust.trusted)[0]?.mutual)
    })
  )

  it.effect("a trusted peer is not asked again", () =>
    Effect.gen(function* () {
      const { a, b } = yield* twoStations
      yield* a.trust.request(B, "")
      yield* settle
      yield* b.trust.approve(A)
      yield* settle
      const dials = a.node.dials

      assert.strictEqual(yield* a.trust.request(B, ""), "already_trusted")
      assert.strictEqual(a.node.dials, dials)
    })
  )

  it.effect("a rejection ends the request on both sides and is told with its reason", () =>
    Effect.gen(function* () {
      const { a, b } = yield* twoStations
      yield* a.trust.request(B, "")
      yield* settle

      assert.deepStrictEqual(yield* b.trust.reject(A, "not now"), { known: true })
      yield* settle

      assert.deepStrictEqual(yield* b.trust.pending, [])
      assert.deepInclude(b.events.at(-1), { _tag: "HandshakeRejected", reason: "not now" })
      yield* b.trust.request(A, "")
      yield* settle
      assert.isFalse(a.keys.isTrusted(B))
      assert.lengthOf(yield* a.trust.pending, 1)
    })
  )

  it.effect("a revocation is sent before the tunnel goes, and both forget (node §2.3)", () =>
    Effect.gen(function* () {
      const { a, b, world } = yield* twoStations
      yield* a.trust.request(B, "")
      yield* settle
      yield* b.trust.approve(A)
      yield* settle

      const revoking = yield* Effect.forkChild(a.trust.revoke(B), { startImmediately: true })
      yield* TrustStation.pass(4)
      assert.isFalse(a.keys.isTrusted(B))
      assert.isFalse(b.keys.isTrusted(A))
      assert.deepStrictEqual(a.node.dropped, [])
      yield* settle
      yield* Fiber.join(revoking)

      assert.deepStrictEqual([a.node.dropped, b.node.dropped], [[B], [A]])
      assert.deepStrictEqual([...world.registry.reports], [])
      assert.deepStrictEqual([yield* a.trust.trusted, yield* b.trust.trusted], [[], []])
      assert.deepInclude(a.events.at(-1), { _tag: "TrustRevoked", by: "here" })
      assert.deepInclude(b.events.at(-1), { _tag: "TrustRevoked", by: "peer" })
    })
  )

  it.effect("revoking what is not trusted is an error that says so, and withdraws our request", () =>
    Effect.gen(function* () {
      const { a, b } = yield* twoStations
      yield* a.trust.request(B, "")
      const error = yield* Effect.flip(a.trust.revoke(B))

      assert.deepStrictEqual([error.reason, error.detail], ["NotTrusted", "node 2 was not trusted"])
      yield* settle
      yield* b.trust.approve(A)
      yield* settle
      assert.isFalse(a.keys.isTrusted(B))
    })
  )

  it.effect("approving or rejecting an unknown node does nothing (node §1.8)", () =>
    Effect.gen(function* () {
      const { a, b } = yield* twoStations

      assert.deepStrictEqual(yield* a.trust.approve(B), { known: false })
      assert.deepStrictEqual(yield* a.trust.reject(B, ""), { known: false })
      yield* settle
      assert.strictEqual(a.node.dials, 0)
      assert.deepStrictEqual(b.events, [])
    })
  )

  it.effect("what was answered outlives the process, and so does a request of ours (node §2.2)", () =>
    Effect.gen(function* () {
      const world = TrustStation.world()
      const [store, pins] = [TrustStore.memory(), TrustStation.memoryPins()]
      const b = yield* TrustStation.start(world, B)
      const first = yield* Scope.make()
      const a = yield* TrustStation.start(world, A, { store, pins }).pipe(Scope.provide(first))
      yield* a.trust.request(B, "")
      yield* settle
      yield* Scope.close(first, Exit.void)
      yield* b.trust.approve(A)
      yield* settle
      const again = yield* TrustStation.start(world, A, { store, pins })
      yield* settle
      yield* b.trust.poll
      yield* settle

      assert.isTrue(again.keys.isTrusted(B))
      assert.isTrue(b.keys.isTrusted(A))
    })
  )

  it.effect("a station that starts again trusts whom it trusted, at once", () =>
    Effect.gen(function* () {
      const world = TrustStation.world()
      const remains = { store: TrustStore.memory(), pins: TrustStation.memoryPins() }
      const a = yield* TrustStation.start(world, A)
      const first = yield* Scope.make()
      const b = yield* TrustStation.start(world, B, remains).pipe(Scope.provide(first))
      yield* a.trust.request(B, "")
      yield* settle
      yield* b.trust.approve(A)
      yield* Scope.close(first, Exit.void)

      const again = yield* TrustStation.start(world, B, remains)
      assert.isTrue(again.keys.isTrusted(A))
    })
  )

  it.effect("an approval that cannot be stored is an error and no trust", () =>
    Effect.gen(function* () {
      const world = TrustStation.world()
      const memory = TrustStore.memory()
      let isFull = false
      const store: TrustStore.TrustStore = {
        ...memory,
        save: (content) =>
          isFull ? new TrustStore.TrustNotStored({ path: "/full", detail: "no space" }) : memory.save(content)
      }
      const a = yield* TrustStation.start(world, A)
      const b = yield* TrustStation.start(world, B, { store })
      yield* a.trust.request(B, "")
      yield* settle
      isFull = true

      const error = yield* Effect.flip(b.trust.approve(A))
      assert.deepStrictEqual([error.reason, error.detail], ["NotStored", "no space"])
      assert.isFalse(b.keys.isTrusted(A))
      assert.lengthOf(yield* b.trust.pending, 1)
      yield* settle
      assert.isFalse(a.keys.isTrusted(B))
    })
  )

  it.effect("a revocation that cannot be stored still ends the trust, and says so", () =>
    Effect.gen(function* () {
      const world = TrustStation.world()
      const memory = TrustStore.memory()
      let isFull = false
      const store: TrustStore.TrustStore = {
        ...memory,
        save: (content) =>
          isFull ? new TrustStore.TrustNotStored({ path: "/full", detail: "no space" }) : memory.save(content)
      }
      const a = yield* TrustStation.start(world, A)
      const b = yield* TrustStation.start(world, B, { store })
      yield* a.trust.request(B, "")
      yield* settle
      yield* b.trust.approve(A)
      yield* settle
      isFull = true

      const error = yield* Effect.flip(b.trust.revoke(A))
      assert.strictEqual(error.reason, "NotStored")
      assert.isFalse(b.keys.isTrusted(A))
      yield* settle
      assert.isFalse(a.keys.isTrusted(B))
    })
  )

  it.effect("pairs are reported again after a new registration, each only under its own key (rendezvous §9.3)", () =>
    Effect.gen(function* () {
      const { a, b, world } = yield* twoStations
      yield* a.trust.request(B, "")
      yield* settle
      yield* b.trust.approve(A)
      yield* settle
      world.registry.reports.clear()
      world.registry.keys.set(A, TrustStation.identityOf(9).publicKey)

      yield* a.reregistered
      yield* b.reregistered
      yield* settle

      assert.deepStrictEqual([...world.registry.reports], ["1>2"])
      assert.deepInclude(b.events.at(-1), { _tag: "KeyRefused", peer: A, reason: "RegistryMismatch" })
    })
  )

  it.effect("a report that the registry did not take is made after a later poll", () =>
    Effect.gen(function* () {
      const { a, b, world } = yield* twoStations
      yield* a.trust.request(B, "")
      yield* settle
      world.registry.failing.add("reportTrust")
      yield* b.trust.approve(A)
      yield* settle
      assert.strictEqual(world.registry.reports.size, 0)
      world.registry.failing.clear()

      yield* a.trust.poll
      yield* b.trust.poll
      yield* settle

      assert.strictEqual(world.registry.reports.size, 2)
    })
  )
})

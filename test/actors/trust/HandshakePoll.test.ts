import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { NodeId } from "../../../src/protocol/wire/Address.ts"
import * as TrustStation from "../../support/TrustStation.ts"

const [A, B] = [NodeId(1), NodeId(2)]

/** Two stations that cannot reach each other yet: everything goes by relay. */
const apart = Effect.gen(function* () {
  const world = TrustStation.world()
  const [a, b] = [yield* TrustStation.start(world, A), yield* TrustStation.start(world, B)]
  yield* TrustStation.pass(2)
  const [online, offline] = [setOffline(a, b, false), setOffline(a, b, true)]
  yield* offline
  return { world, a, b, online, offline }
})
const setOffline = (a: TrustStation.Station, b: TrustStation.Station, isOffline: boolean) =>
  Effect.sync(() => {
    a.node.offline = isOffline
    b.node.offline = isOffline
  })
const poll = ({ trust }: TrustStation.Station) => Effect.andThen(trust.poll, TrustStation.pass(5))

describe("HandshakePoll", () => {
  it.effect("a request that cannot be delivered is left at the registry and fetched with its key (node §2.4)", () =>
    Effect.gen(function* () {
      const { a, b, world } = yield* apart

      assert.strictEqual(yield* a.trust.request(B, "hi\r\n"), "sent")
      assert.deepInclude(world.registry.calls, "requestHandshake 1 2")
      yield* poll(b)

      const [pending] = yield* b.trust.pending
      assert.deepInclude({ ...pending }, { node: A, publicKey: a.identity.publicKey, justification: "hi" })
      assert.deepInclude(b.events, { _tag: "HandshakePending", peer: A, justification: "hi" })
    })
  )

  it.effect("a relayed accept counts only after that key has opened a tunnel (security rule 2)", () =>
    Effect.gen(function* () {
      const { a, b, online } = yield* apart
      yield* a.trust.request(B, "")
      yield* poll(b)
      assert.deepStrictEqual(yield* b.trust.approve(A), { known: true })
      yield* TrustStation.pass(5)
      yield* poll(a)

      assert.isFalse(a.keys.isTrusted(B))
      assert.deepInclude(a.events, { _tag: "HandshakeReceived", peer: B, kind: "relayed_accept", justification: "" })
      yield* online
      yield* poll(a)
      assert.isTrue(a.keys.isTrusted(B))
      assert.isTrue(b.keys.isTrusted(A))
    })
  )

  it.effect("a registry that lies about an accept gains nothing for another key", () =>
    Effect.gen(function* () {
      const { a, b, world, online } = yield* apart
      yield* a.trust.request(B, "")
      world.registry.inbox(A).responses.push({ from: B, accept: true, timestamp: 0 })
      world.registry.keys.set(B, TrustStation.identityOf(9).publicKey)
      world.nodes.add(B, TrustStation.identityOf(9).publicKey)
      yield* online
      yield* poll(a)
      yield* poll(a)

      assert.isFalse(a.keys.isTrusted(B))
      assert.deepStrictEqual(yield* a.trust.trusted, [])
      assert.deepStrictEqual(b.events, [])
    })
  )

  it.effect("an accept that nobody asked for is ignored, as is one of a stranger", () =>
    Effect.gen(function* () {
      const { a, world, online } = yield* apart
      yield* online
      world.registry.inbox(A).responses.push({ from: B, accept: true, timestamp: 0 })
      yield* poll(a)

      assert.strictEqual(a.node.dials, 0)
      assert.deepStrictEqual(yield* a.trust.trusted, [])
    })
  )

  it.effect("a request is answered for a trusted peer only under its trusted key (node §2.4)", () =>
    Effect.gen(function* () {
      const { a, b, world, online, offline } = yield* apart
      yield* online
      yield* a.trust.request(B, "")
      yield* TrustStation.pass(10)
      yield* b.trust.approve(A)
      yield* TrustStation.pass(20)
      yield* offline
      world.registry.calls.length = 0
      const ask = Effect.sync(() => world.registry.inbox(B).requests.push({ from: A, justification: "", timestamp: 0 }))

      yield* Effect.andThen(ask, poll(b))
      assert.include(world.registry.calls, "respondHandshake 2 1")
      world.registry.calls.length = 0
      world.registry.keys.set(A, TrustStation.identityOf(9).publicKey)
      yield* Effect.andThen(ask, poll(b))

      assert.notInclude(world.registry.calls, "respondHandshake 2 1")
      assert.deepInclude(b.events.at(-1), { _tag: "KeyRefused", peer: A, reason: "KeyChanged" })
      assert.deepStrictEqual(yield* b.trust.pending, [])
    })
  )

  it.effect("two persons who asked by relay trust each other when their keys have met", () =>
    Effect.gen(function* () {
      const { a, b, online } = yield* apart
      yield* a.trust.request(B, "")
      yield* b.trust.request(A, "")
      yield* poll(a)
      yield* poll(b)
      assert.deepStrictEqual([a.keys.isTrusted(B), b.keys.isTrusted(A)], [false, false])

      yield* online
      yield* poll(a)
      yield* poll(b)
      assert.deepStrictEqual([a.keys.isTrusted(B), b.keys.isTrusted(A)], [true, true])
    })
  )

  it.effect("a relayed rejection withdraws the request, and a relayed word never ends trust", () =>
    Effect.gen(function* () {
      const { a, b, world } = yield* apart
      yield* a.trust.request(B, "")
      yield* poll(b)
      yield* b.trust.reject(A, "no")
      yield* TrustStation.pass(5)
      yield* poll(a)
      world.registry.inbox(A).responses.push({ from: B, accept: true, timestamp: 0 })
      yield* poll(a)

      assert.strictEqual(a.events.filter(({ _tag }) => _tag === "HandshakeReceived").length, 1)
      assert.deepStrictEqual(yield* a.trust.trusted, [])
    })
  )

  it.effect("a request whose key the registry could not give is approved with the key it gives then", () =>
    Effect.gen(function* () {
      const { a, b, world } = yield* apart
      yield* a.trust.request(B, "")
      world.registry.failing.add("lookup")
      yield* poll(b)
      assert.strictEqual((yield* b.trust.pending)[0]?.publicKey.length, 0)
      const error = yield* Effect.flip(b.trust.approve(A))
      world.registry.failing.clear()

      assert.strictEqual(error.reason, "RelayFailed")
      assert.deepStrictEqual(yield* b.trust.approve(A), { known: true })
      assert.isTrue(b.keys.isTrusted(A))
      assert.deepStrictEqual(b.keys.pinned(A), a.identity.publicKey)
    })
  )

  it.effect("approving finds a request that nobody has looked at yet", () =>
    Effect.gen(function* () {
      const { a, b } = yield* apart
      yield* a.trust.request(B, "")

      assert.deepStrictEqual(yield* b.trust.approve(A), { known: true })
    })
  )

  it.effect("our request that still waits at the registry counts as sent", () =>
    Effect.gen(function* () {
      const { a } = yield* apart

      assert.strictEqual(yield* a.trust.request(B, ""), "sent")
      assert.strictEqual(yield* a.trust.request(B, ""), "sent")
    })
  )

  it.effect("a request that finds no way says so", () =>
    Effect.gen(function* () {
      const { a, world } = yield* apart
      world.registry.failing.add("requestHandshake")
      const error = yield* Effect.flip(a.trust.request(B, ""))

      assert.deepStrictEqual([error.reason, error.detail], ["RelayFailed", "down"])
    })
  )

  it.effect("an accept that reached nobody is sent again after a poll", () =>
    Effect.gen(function* () {
      const { a, b, world, online, offline } = yield* apart
      yield* online
      yield* a.trust.request(B, "")
      yield* TrustStation.pass(10)
      yield* offline
      world.registry.failing.add("respondHandshake")
      yield* b.trust.approve(A)
      yield* TrustStation.pass(10)
      world.registry.inbox(A).responses.length = 0
      assert.isFalse(a.keys.isTrusted(B))

      yield* online
      yield* poll(b)
      assert.isTrue(a.keys.isTrusted(B))
    })
  )

  it.effect("who asks for a poll while one runs waits for that one", () =>
    Effect.gen(function* () {
      const { a, world } = yield* apart
      world.registry.calls.length = 0
      yield* Effect.all([a.trust.poll, a.trust.poll, a.trust.poll], { concurrency: 3 })

      assert.deepStrictEqual(world.registry.calls, ["pollHandshakes 1 1"])
    })
  )

  it.effect("a registry that is away leaves everything as it is", () =>
    Effect.gen(function* () {
      const { a, b, world } = yield* apart
      yield* a.trust.request(B, "")
      world.registry.failing.add("*")
      yield* poll(b)
      assert.deepStrictEqual(yield* b.trust.pending, [])
      world.registry.failing.clear()
      yield* poll(b)

      assert.lengthOf(yield* b.trust.pending, 1)
    })
  )
})

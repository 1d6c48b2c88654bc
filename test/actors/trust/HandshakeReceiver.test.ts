import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import type { Connection } from "../../../src/actors/node/Node.ts"
import * as NativeCrypto from "../../../src/core/crypto/NativeCrypto.ts"
import * as Bytes from "../../../src/core/data/Bytes.ts"
import * as Fingerprint from "../../../src/protocol/trust/Fingerprint.ts"
import * as Address from "../../../src/protocol/wire/Address.ts"
import * as HandshakeMessage from "../../../src/protocol/wire/HandshakeMessage.ts"
import * as TrustStation from "../../support/TrustStation.ts"

const [VICTIM, PEER, STRANGER] = [Address.NodeId(1), Address.NodeId(2), Address.NodeId(3)]
const PORT = Address.Port(444)

/** A victim that trusts `peer`, and a stranger with a node and a key of its own. */
const scene = Effect.gen(function* () {
  const world = TrustStation.world()
  const victim = yield* TrustStation.start(world, VICTIM)
  const peer = yield* TrustStation.start(world, PEER)
  yield* peer.trust.request(VICTIM, "")
  yield* TrustStation.pass(10)
  yield* victim.trust.approve(PEER)
  yield* TrustStation.pass(20)
  const identity = TrustStation.identityOf(STRANGER)
  world.registry.keys.set(STRANGER, identity.publicKey)
  const node = world.nodes.add(STRANGER, identity.publicKey)
  victim.events.length = 0
  return { world, victim, peer, stranger: { id: STRANGER, identity, node } }
})
type Scene = Effect.Success<typeof scene>

/** The stranger writes these bytes on one stream, in these segments, and leaves it open. */
const write = Effect.fnUntraced(function* (self: Scene, segments: ReadonlyArray<Uint8Array>) {
  const connection = yield* self.stranger.node.service.dial(Address.make(0, VICTIM), PORT)
  for (const segment of segments) yield* connection.write(segment)
  yield* TrustStation.pass(5)
  return connection
})

/** A message of the stranger, dated now, with changes. */
const send = Effect.fnUntraced(function* (self: Scene, changes: Partial<HandshakeMessage.HandshakeMessage> = {}) {
  const unixSeconds = yield* nowSeconds
  const message = TrustStation.message(self.stranger, VICTIM, { unixSeconds, ...changes })
  return yield* write(self, [HandshakeMessage.encode(message)])
})
const nowSeconds = Effect.clockWith((clock) => Effect.succeed(Math.floor(clock.currentTimeMillisUnsafe() / 1000)))

/** Nothing changed for the victim, and it said why. */
const assertUnmoved = Effect.fnUntraced(function* ({ victim, peer }: Scene, reason: string) {
  assert.deepStrictEqual(
    (yield* victim.trust.trusted).map(({ node, publicKey }) => [node, publicKey]),
    [[PEER, peer.identity.publicKey]]
  )
  assert.deepStrictEqual(yield* victim.trust.pending, [])
  assert.isTrue(victim.keys.isTrusted(PEER))
  assert.isFalse(victim.keys.isTrusted(STRANGER))
  assert.deepStrictEqual(
    victim.events.map((event) => ("reason" in event ? event.reason : event._tag)),
    [reason]
  )
})

const ofPeer = (self: Scene) => TrustStation.message({ id: PEER, identity: self.peer.identity }, VICTIM)

describe("HandshakeReceiver", () => {
  it.effect("lets an honest stranger ask, and closes its stream", () =>
    Effect.gen(function* () {
      const self = yield* scene
      const connection = yield* send(self, { justification: "hello\u001b[2J" })

      const [pending] = yield* self.victim.trust.pending
      assert.deepStrictEqual([pending?.node, pending?.justification], [STRANGER, "hello[2J"])
      assert.isTrue(yield* isEnded(connection))
    })
  )

  it.effect("node §2.2 hole 1: an empty key does not bypass the signature", () =>
    Effect.gen(function* () {
      const self = yield* scene
      yield* send(self, { kind: "accept", publicKey: Bytes.empty, signature: Bytes.empty })
      yield* assertUnmoved(self, "UnknownIdentity")
    })
  )

  it.effect("node §2.2 hole 1: a request without a key is not even kept", () =>
    Effect.gen(function* () {
      const self = yield* scene
      yield* send(self, { publicKey: Bytes.empty, signature: Bytes.empty })
      yield* assertUnmoved(self, "UnknownIdentity")
    })
  )

  it.effect("node §2.2 hole 2: a key that the registry does not name for the node is refused", () =>
    Effect.gen(function* () {
      const self = yield* scene
      self.world.registry.keys.set(STRANGER, TrustStation.identityOf(8).publicKey)
      yield* send(self)
      yield* assertUnmoved(self, "RegistryMismatch")
    })
  )

  it.effect("node §2.2 hole 2: a pinned key beats the registry's (security rule 1)", () =>
    Effect.gen(function* () {
      const self = yield* scene
      yield* self.victim.keys.pinNode(STRANGER, TrustStation.identityOf(8).publicKey)
      yield* send(self)
      yield* assertUnmoved(self, "RegistryMismatch")
    })
  )

  it.effect("node §2.2 hole 3: an accept that nobody asked for trusts nobody", () =>
    Effect.gen(function* () {
      const self = yield* scene
      yield* send(self, { kind: "accept" })
      assert.isFalse(self.victim.keys.isTrusted(STRANGER))
      assert.lengthOf(yield* self.victim.trust.trusted, 1)
    })
  )

  it.effect("node §2.2 hole 4: nobody revokes the trust of another, with or without a key", () =>
    Effect.gen(function* () {
      const self = yield* scene
      const empty = { publicKey: Bytes.empty, signature: Bytes.empty }
      yield* send(self, { kind: "revoke", node: PEER, ...empty })
      yield* assertUnmoved(self, "WrongSource")
    })
  )

  it.effect("node §2.2 hole 5: a captured message of a peer is worth nothing from another node", () =>
    Effect.gen(function* () {
      const self = yield* scene
      const { publicKey, signature } = ofPeer(self)
      yield* send(self, { kind: "revoke", node: PEER, publicKey, signature })
      yield* assertUnmoved(self, "WrongSource")
    })
  )

  it.effect("a captured message is worth nothing from the right node through a tunnel of another key", () =>
    Effect.gen(function* () {
      const self = yield* scene
      const { publicKey, signature } = ofPeer(self)
      // The stranger has taken the peer's node id at the tunnel, but cannot have its key.
      const impostor = {
        ...self,
        stranger: { ...self.stranger, node: self.world.nodes.add(PEER, self.stranger.identity.publicKey) }
      }
      yield* send(impostor, { kind: "revoke", node: PEER, publicKey, signature })
      yield* assertUnmoved(self, "KeyChanged")
    })
  )

  it.effect("the key of another node id is refused even with a signature of its own", () =>
    Effect.gen(function* () {
      const self = yield* scene
      const impostor = {
        ...self,
        stranger: { ...self.stranger, node: self.world.nodes.add(PEER, self.stranger.identity.publicKey) }
      }
      const forged = TrustStation.message({ id: PEER, identity: self.stranger.identity }, VICTIM)
      yield* send(impostor, { kind: "revoke", node: PEER, publicKey: forged.publicKey, signature: forged.signature })
      yield* assertUnmoved(self, "RegistryMismatch")
    })
  )

  it.effect("a message through an unauthenticated tunnel is refused", () =>
    Effect.gen(function* () {
      const self = yield* scene
      const connection = yield* self.stranger.node.service.dial(Address.make(0, VICTIM), PORT)
      self.victim.node.tunnels.set(STRANGER, undefined)
      const message = TrustStation.message(self.stranger, VICTIM, { unixSeconds: yield* nowSeconds })
      yield* connection.write(HandshakeMessage.encode(message))
      yield* TrustStation.pass(5)
      yield* assertUnmoved(self, "UnknownIdentity")
    })
  )

  it.effect("a signature for another receiver is refused", () =>
    Effect.gen(function* () {
      const self = yield* scene
      const { signature } = TrustStation.message(self.stranger, PEER)
      yield* send(self, { signature })
      yield* assertUnmoved(self, "BadSignature")
    })
  )

  it.effect("a message from before or after its time is dropped (node §2.2)", () =>
    Effect.gen(function* () {
      const self = yield* scene
      yield* TrustStation.pass(4000)
      const now = yield* nowSeconds
      yield* send(self, { unixSeconds: now - 301 })
      yield* assertUnmoved(self, "Malformed")
      self.victim.events.length = 0
      yield* send(self, { unixSeconds: now + 40 })
      yield* assertUnmoved(self, "Malformed")
    })
  )

  it.effect("a repeated message counts once (node §2.2)", () =>
    Effect.gen(function* () {
      const self = yield* scene
      const message = TrustStation.message(self.stranger, VICTIM, { unixSeconds: yield* nowSeconds })
      const bytes = HandshakeMessage.encode(message)
      yield* write(self, [bytes])
      yield* self.victim.trust.reject(STRANGER, "")
      yield* write(self, [bytes])
      assert.deepStrictEqual(yield* self.victim.trust.pending, [])
      assert.deepInclude(self.victim.events.at(-1), { _tag: "PacketDropped", reason: "ReplayedNonce" })
    })
  )

  it.effect("without the registry a stranger may ask, but its key stays unconfirmed", () =>
    Effect.gen(function* () {
      const self = yield* scene
      self.world.registry.failing.add("lookup")
      yield* send(self)
      assert.lengthOf(yield* self.victim.trust.pending, 1)

      const error = yield* Effect.flip(self.victim.trust.approve(STRANGER))
      assert.strictEqual(error.reason, "RelayFailed")
      assert.isFalse(self.victim.keys.isTrusted(STRANGER))
      const fingerprint = Fingerprint.format(NativeCrypto.crypto.sha256(self.stranger.identity.publicKey))
      assert.deepStrictEqual(yield* self.victim.trust.approve(STRANGER, fingerprint), { known: true })
      assert.isTrue(self.victim.keys.isTrusted(STRANGER))
    })
  )

  it.effect("closes a stream whose message is no message, or too long for one", () =>
    Effect.gen(function* () {
      const self = yield* scene
      for (const bytes of [Bytes.fromUtf8("{}"), new Uint8Array(4097), Bytes.fromUtf8("null")]) {
        const connection = yield* write(self, [bytes])
        yield* connection.close
        yield* TrustStation.pass(2)
        assert.isTrue(yield* isEnded(connection))
      }
      assert.deepStrictEqual(yield* self.victim.trust.pending, [])
    })
  )

  it.effect("reads a message that came in pieces, but not in more than sixteen", () =>
    Effect.gen(function* () {
      const self = yield* scene
      const encoded = (kind: HandshakeMessage.Kind) =>
        Effect.map(nowSeconds, (unixSeconds) =>
          HandshakeMessage.encode(TrustStation.message(self.stranger, VICTIM, { kind, unixSeconds }))
        )
      const pieces = (bytes: Uint8Array, count: number) => {
        const size = Math.ceil(bytes.length / count)
        return Array.from({ length: count }, (_, i) => bytes.subarray(i * size, (i + 1) * size))
      }
      yield* write(self, pieces(yield* encoded("request"), 17))
      assert.deepStrictEqual(yield* self.victim.trust.pending, [])
      yield* write(self, pieces(yield* encoded("request"), 16))
      assert.lengthOf(yield* self.victim.trust.pending, 1)
    })
  )

  it.effect("gives a silent stream up after ten seconds and closes it (node §2.1)", () =>
    Effect.gen(function* () {
      const self = yield* scene
      const connection = yield* write(self, [])
      yield* TrustStation.pass(90)
      assert.isFalse(yield* isEnded(connection))
      yield* TrustStation.pass(10)
      assert.isTrue(yield* isEnded(connection))
    })
  )

  it.effect("holds at most four streams of one node", () =>
    Effect.gen(function* () {
      const self = yield* scene
      const connections = yield* Effect.forEach([1, 2, 3, 4, 5], () => write(self, []))
      const ended = yield* Effect.forEach(connections, isEnded)

      assert.deepStrictEqual(ended, [false, false, false, false, true])
    })
  )

  it.effect("keeps a request under its own text: a stranger cannot make it long", () =>
    Effect.gen(function* () {
      const self = yield* scene
      yield* send(self, { justification: "é".repeat(1500) })
      const [pending] = yield* self.victim.trust.pending
      assert.strictEqual(Bytes.fromUtf8(pending?.justification ?? "").length, 1024)
    })
  )
})

/** Whether the other side has ended the stream, on which it never sends anything. */
const isEnded = Effect.fnUntraced(function* (connection: Connection) {
  const reading = yield* Effect.forkChild(Effect.exit(connection.read), { startImmediately: true })
  yield* TrustStation.pass(1)
  const hasEnded = reading.pollUnsafe() !== undefined
  yield* Fiber.interrupt(reading)
  return hasEnded
})

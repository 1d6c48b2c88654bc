import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Queue, Scope } from "effect"
import type { Connection, Listener } from "../../../src/actors/node/Node.ts"
import * as NativeCrypto from "../../../src/core/crypto/NativeCrypto.ts"
import { type Address, NodeId, Port } from "../../../src/protocol/wire/Address.ts"
import * as BeaconMessage from "../../../src/protocol/wire/BeaconMessage.ts"
import * as Packet from "../../../src/protocol/wire/Packet.ts"
import * as TunnelFrame from "../../../src/protocol/wire/TunnelFrame.ts"
import * as NodeNet from "../../support/NodeNet.ts"

const PORT = Port(1000)
const HANDSHAKE = Port(444)
const ECHO = Port(7)
const [A, B, EVIL] = ["192.0.2.1", "192.0.2.2", "203.0.113.66"]
const SECRET = new TextEncoder().encode("this text must never be seen on the wire")

const strangers = Effect.fnUntraced(function* (options?: Parameters<typeof NodeNet.make>[0], isPublic = false) {
  const net = yield* NodeNet.make(options)
  const a = yield* net.node(A, { isPublic })
  const b = yield* net.node(B, { isPublic })
  return { net, a, b }
})

const friends = Effect.fnUntraced(function* (options?: Parameters<typeof NodeNet.make>[0]) {
  const world = yield* strangers(options)
  yield* NodeNet.pinEachOther(world.a, world.b)
  return world
})

/** Proves that a stream works right now, in both directions. */
const exchange = Effect.fnUntraced(function* (stream: Connection, accepted: Connection) {
  yield* stream.write(SECRET)
  yield* accepted.write(yield* accepted.read)
  assert.deepStrictEqual(Buffer.from(yield* stream.read), Buffer.from(SECRET))
})

const connect = Effect.fnUntraced(function* (a: NodeNet.Running, b: NodeNet.Running, listener: Listener) {
  const stream = yield* a.node.dial(b.address, PORT)
  return [stream, yield* listener.accept] as const
})

const keyExchange = (sender: NodeId, identity = NativeCrypto.crypto.signingKey()): Uint8Array => {
  const { publicKey } = NativeCrypto.crypto.agreementKey()
  return TunnelFrame.encode({
    _tag: "KeyExchange",
    sender,
    agreementKey: publicKey,
    identityKey: identity.publicKey,
    signature: identity.sign(TunnelFrame.signedText(sender, publicKey))
  })
}

const syn = (source: Address, destination: Address, port: Port): Uint8Array =>
  Packet.encode({
    flags: Packet.Flag.Syn,
    sequence: 1,
    acknowledgement: 0,
    window: 512,
    payload: new Uint8Array(0),
    protocol: Packet.Protocol.Stream,
    source,
    destination,
    sourcePort: Port(50_000),
    destinationPort: port
  })

describe("rule 1: a peer is its key", () => {
  it.effect("another key at the registry than the pinned one is refused before a packet is sent", () =>
    NodeNet.run(
      Effect.gen(function* () {
        const { a, b, net } = yield* friends()
        let datagrams = 0
        net.network.tap(() => void datagrams++)
        const record = net.records.get(b.address.node)!
        net.records.set(b.address.node, { ...record, publicKey: NativeCrypto.crypto.signingKey().publicKey })

        const error = yield* Effect.flip(a.node.dial(b.address, PORT))

        assert.strictEqual(error.reason, "KeyChanged")
        assert.strictEqual(datagrams, 0)
      })
    )
  )

  it.effect("a peer that shows another key than the pinned one opens no tunnel", () =>
    NodeNet.run(
      Effect.gen(function* () {
        const { a, b } = yield* strangers()
        yield* Effect.orDie(a.keys.pinNode(b.address.node, NativeCrypto.crypto.signingKey().publicKey))
        yield* Effect.ignore(b.node.dial(a.address, HANDSHAKE, { timeoutMs: 3_000 }))

        assert.deepStrictEqual((yield* a.node.status).peers, [])
        assert.isTrue(a.events.some((event) => event._tag === "KeyRefused"))
      })
    )
  )
})

describe("rule 3: a stranger reaches the handshake and nothing else", () => {
  it.effect("every other port is silent, and the dialler is told why", () =>
    NodeNet.run(
      Effect.gen(function* () {
        const { a, b } = yield* strangers()
        const listener = yield* b.node.listen(PORT)
        const accepted = yield* Effect.forkScoped(listener.accept)

        const error = yield* Effect.flip(a.node.dial(b.address, PORT))
        const unbound = yield* Effect.flip(a.node.dial(b.address, Port(1001)))

        assert.deepStrictEqual([error.reason, unbound.reason], ["Untrusted", "Untrusted"])
        assert.isUndefined(accepted.pollUnsafe())
      })
    )
  )

  it.effect("the handshake port answers", () =>
    NodeNet.run(
      Effect.gen(function* () {
        const { a, b } = yield* strangers()
        const listener = yield* b.node.listen(HANDSHAKE)

        const stream = yield* a.node.dial(b.address, HANDSHAKE)

        assert.strictEqual((yield* listener.accept).remote.node, a.address.node)
        assert.strictEqual(stream.remotePort, HANDSHAKE)
      })
    )
  )

  it.effect("echo answers on a public node only", () =>
    NodeNet.run(
      Effect.gen(function* () {
        const { a, b } = yield* strangers()
        yield* b.node.listen(ECHO)

        const hidden = yield* Effect.flip(a.node.dial(b.address, ECHO))
        yield* b.node.setPublic(true)
        const open = yield* Effect.exit(a.node.dial(b.address, ECHO))

        assert.strictEqual(hidden.reason, "Untrusted")
        assert.isTrue(Exit.isSuccess(open))
      })
    )
  )

  it.effect("datagrams and pings of a stranger are not answered", () =>
    NodeNet.run(
      Effect.gen(function* () {
        const { a, b } = yield* strangers()
        const datagrams = yield* b.node.datagrams(8)
        yield* b.node.listen(HANDSHAKE)
        yield* a.node.dial(b.address, HANDSHAKE)

        yield* a.node.sendDatagram(b.address, PORT, SECRET)
        const pinged = yield* Effect.exit(a.node.ping(b.address, 2_000))

        assert.isTrue(Exit.isFailure(pinged))
        assert.strictEqual(yield* Queue.size(datagrams), 0)
      })
    )
  )
})

describe("rule 5: nothing unauthenticated changes a session", () => {
  it.effect("forged and replayed key exchanges and sealed frames leave the stream as it is", () =>
    NodeNet.run(
      Effect.gen(function* () {
        const { a, b, net } = yield* friends()
        const recorded: Array<Uint8Array> = []
        net.network.tap((passage) => recorded.push(passage.bytes.slice()))
        const listener = yield* b.node.listen(PORT)
        const [stream, accepted] = yield* connect(a, b, listener)
        yield* exchange(stream, accepted)
        const evil = yield* NodeNet.attacker(net.network, EVIL)
        const before = (yield* b.node.status).peers

        for (const bytes of [...recorded]) evil.send(bytes, B)
        evil.send(keyExchange(a.address.node), B)
        evil.send(TunnelFrame.encodeSealed(a.address.node, new Uint8Array(12).fill(0xff), new Uint8Array(64)), B)
        yield* Effect.sleep(500)
        yield* exchange(stream, accepted)

        assert.deepStrictEqual((yield* b.node.status).peers[0]?.endpoint, before[0]?.endpoint)
      })
    )
  )

  it.effect("that the later key scheme has opened is kept for the key itself, a stranger's too", () =>
    NodeNet.run(
      Effect.gen(function* () {
        const { a, b } = yield* strangers()
        yield* b.node.listen(HANDSHAKE)
        yield* a.node.dial(b.address, HANDSHAKE)
        const evil = NativeCrypto.crypto.signingKey().publicKey

        assert.isUndefined(b.keys.pinned(a.address.node))
        assert.deepStrictEqual([a.identity.publicKey, evil].map(b.keys.isLaterOnly), [true, false])
      })
    )
  )

  it.effect("a key that the registry names later takes over no tunnel of another, and that is reported", () =>
    NodeNet.run(
      Effect.gen(function* () {
        const { a, b, net } = yield* strangers()
        yield* b.node.listen(HANDSHAKE)
        yield* a.node.dial(b.address, HANDSHAKE)
        const record = net.records.get(a.address.node)!
        const other = NativeCrypto.crypto.signingKey()
        net.records.set(a.address.node, { ...record, publicKey: other.publicKey })
        const evil = yield* NodeNet.attacker(net.network, EVIL)

        for (let minute = 0; minute < 2; minute++) {
          evil.send(keyExchange(a.address.node, other), B)
          yield* Effect.sleep(61_000)
        }

        assert.deepInclude(b.events, { _tag: "KeyRefused", peer: a.address.node, reason: "RegistryMismatch" })
        assert.deepInclude((yield* b.node.status).refusedKeys, {
          node: a.address.node,
          reason: "RegistryMismatch",
          count: 1
        })
        const [row] = (yield* b.node.status).peers
        assert.deepStrictEqual(row?.publicKey, a.identity.publicKey)
      }),
      200_000
    )
  )

  it.effect("a restarted peer has new keys, and the stream to it can be opened again", () =>
    NodeNet.run(
      Effect.gen(function* () {
        const net = yield* NodeNet.make()
        const a = yield* net.node(A)
        const identity = NativeCrypto.crypto.signingKey()
        const first = yield* Effect.scoped(
          Effect.gen(function* () {
            const b = yield* net.node(B, { identity })
            yield* NodeNet.pinEachOther(a, b)
            yield* b.node.listen(HANDSHAKE)
            yield* a.node.dial(b.address, HANDSHAKE)
            return b
          })
        )

        const b = yield* net.node(B, { identity })
        yield* NodeNet.pinEachOther(a, b)
        const listener = yield* b.node.listen(PORT)
        const [stream, accepted] = yield* connect(a, b, listener)
        yield* exchange(stream, accepted)

        assert.strictEqual(b.address.node, first.address.node)
      })
    )
  )
})

describe("a peer that begins a new life", () => {
  it.effect("is reported at its first packet, and its old streams end with that reason", () =>
    NodeNet.run(
      Effect.gen(function* () {
        const net = yield* NodeNet.make({ link: { delayMs: 5 } })
        const a = yield* net.node(A)
        const identity = NativeCrypto.crypto.signingKey()
        const start = Effect.fnUntraced(function* () {
          const b = yield* net.node(B, { identity })
          yield* NodeNet.pinEachOther(a, b)
          return [b, yield* b.node.listen(PORT)] as const
        })
        // As in a crash, nobody hears of the end of the first life.
        const crashing = yield* Scope.make()
        const [first, listener] = yield* Scope.provide(start(), crashing)
        const [stream] = yield* connect(a, first, listener)
        const reading = yield* Effect.forkScoped(Effect.flip(stream.read))
        net.network.partition([A], [B])
        yield* Scope.close(crashing, Exit.void)
        net.network.heal()

        const [second] = yield* start()
        assert.isUndefined(reading.pollUnsafe())
        yield* Effect.ignore(second.node.ping(a.address, 2_000))
        const failure = yield* Fiber.join(reading)

        assert.deepInclude(failure, { _tag: "ConnectionReset", reason: "PeerRestarted" })
        assert.deepInclude(a.events, { _tag: "PeerRestarted", peer: second.address.node })
        assert.isFalse(second.events.some((event) => event._tag === "PeerRestarted"))
      })
    )
  )
})

describe("rule 6: no plaintext", () => {
  it.effect("nothing a stream carries appears on the wire, first packets included", () =>
    NodeNet.run(
      Effect.gen(function* () {
        const { a, b, net } = yield* friends({ beacon: true })
        const seen: Array<Buffer> = []
        net.network.tap((passage) => seen.push(Buffer.from(passage.bytes)))
        const listener = yield* b.node.listen(PORT)
        const [stream, accepted] = yield* connect(a, b, listener)
        yield* exchange(stream, accepted)

        assert.isAbove(seen.length, 4)
        assert.isFalse(seen.some((datagram) => datagram.includes(Buffer.from(SECRET)) || datagram.includes("PILT")))
      })
    )
  )

  it.effect("a packet in clear is dropped, also from an address that has a session", () =>
    NodeNet.run(
      Effect.gen(function* () {
        const { a, b, net } = yield* friends()
        const listener = yield* b.node.listen(PORT)
        yield* connect(a, b, listener)
        const evil = yield* NodeNet.attacker(net.network, EVIL)
        const waiting = yield* Effect.forkScoped(listener.accept)

        evil.send(TunnelFrame.encode({ _tag: "Plain", packet: syn(a.address, b.address, PORT) }), B)
        yield* Effect.sleep(1_000)

        assert.isUndefined(waiting.pollUnsafe())
        assert.deepStrictEqual(evil.received, [])
      })
    )
  )
})

describe("a node whose operator has switched encryption off (wire §6.1)", () => {
  const plain = Effect.fnUntraced(function* (encryptB: boolean) {
    const net = yield* NodeNet.make({ beacon: true, link: { delayMs: 5 } })
    const a = yield* net.node(A, { encrypt: false })
    const b = yield* net.node(B, { encrypt: encryptB })
    yield* NodeNet.pinEachOther(a, b)
    return { net, a, b }
  })

  it.effect("speaks with others of its kind in clear, over streams, datagrams and pings", () =>
    NodeNet.run(
      Effect.gen(function* () {
        const { a, b } = yield* plain(false)
        const datagrams = yield* b.node.datagrams(8)
        const [stream, accepted] = yield* connect(a, b, yield* b.node.listen(PORT))
        yield* exchange(stream, accepted)
        yield* a.node.sendDatagram(b.address, PORT, SECRET)

        assert.deepStrictEqual(Buffer.from((yield* Queue.take(datagrams)).payload), Buffer.from(SECRET))
        assert.isAtLeast(yield* a.node.ping(b.address, 2_000), 5)
        assert.isFalse((yield* a.node.status).peers[0]?.encrypted)
      })
    )
  )

  it.effect("is not heard by a node that encrypts, nor hears it (rule 6)", () =>
    NodeNet.run(
      Effect.gen(function* () {
        const { a, b } = yield* plain(true)
        yield* b.node.listen(PORT)
        yield* a.node.listen(PORT)

        const outward = yield* Effect.flip(a.node.dial(b.address, PORT, { timeoutMs: 2_000 }))
        const inward = yield* Effect.flip(b.node.dial(a.address, PORT, { timeoutMs: 2_000 }))

        assert.deepStrictEqual([outward.reason, inward.reason], ["Timeout", "Timeout"])
      })
    )
  )
})

describe("rule 7: probing and relaying are not weapons", () => {
  it.effect("beacon messages from anybody but the beacon do nothing", () =>
    NodeNet.run(
      Effect.gen(function* () {
        const { a, b, net } = yield* friends({ beacon: true })
        const victims: Array<string> = []
        net.network.tap((passage) => victims.push(passage.to.host))
        const evil = yield* NodeNet.attacker(net.network, EVIL)
        const endpoint = { host: "198.51.100.9", port: 80 }

        evil.send(BeaconMessage.encode({ _tag: "PunchCommand", endpoint }), B)
        evil.send(BeaconMessage.encode({ _tag: "DiscoverReply", endpoint }), B)
        const frame = keyExchange(a.address.node, a.identity)
        evil.send(BeaconMessage.encode({ _tag: "RelayDeliver", sender: a.address.node, frame }), B)
        yield* Effect.sleep(1_000)

        assert.isFalse(victims.includes(endpoint.host))
        assert.notDeepEqual((yield* b.node.status).mapped, endpoint)
        assert.deepStrictEqual((yield* b.node.status).peers, [])
      })
    )
  )

  it.effect("a source that only claims to be a peer gets at most three times what it sent", () =>
    NodeNet.run(
      Effect.gen(function* () {
        const { a, b, net } = yield* friends()
        const evil = yield* NodeNet.attacker(net.network, EVIL)
        const frame = keyExchange(a.address.node, a.identity)

        evil.send(frame, B)
        yield* Effect.forkScoped(Effect.ignore(b.node.dial(a.address, PORT, { timeoutMs: 20_000 })))
        yield* Effect.sleep(20_000)

        const sent = frame.length + 28
        const answered = evil.received.reduce((sum, bytes) => sum + bytes.length + 28, 0)
        assert.isAbove(answered, 0)
        assert.isAtMost(answered, 3 * sent)
      })
    )
  )

  it.effect("a flood of key exchanges from one source is cut before any signature is checked", () =>
    NodeNet.run(
      Effect.gen(function* () {
        const { b, net } = yield* strangers()
        const evil = yield* NodeNet.attacker(net.network, EVIL)
        for (let forged = 0; forged < 500; forged++) evil.send(keyExchange(NodeId(1_000 + forged)), B)
        yield* Effect.sleep(1_000)

        assert.isAtMost(evil.received.length, 10)
        assert.deepStrictEqual((yield* b.node.status).peers, [])
      })
    )
  )
})

describe("paths", () => {
  it.effect("the relay carries a stream when the direct path does not exist", () =>
    NodeNet.run(
      Effect.gen(function* () {
        const { a, b, net } = yield* friends({ beacon: true, link: { delayMs: 5 } })
        net.network.partition([A], [B])
        const listener = yield* b.node.listen(PORT)
        const [stream, accepted] = yield* connect(a, b, listener)
        yield* exchange(stream, accepted)

        assert.strictEqual((yield* a.node.status).peers[0]?.path, "relay")
      })
    )
  )

  it.effect("a stream moves to the relay when its direct path dies, and back when it returns", () =>
    NodeNet.run(
      Effect.gen(function* () {
        const { a, b, net } = yield* friends({ beacon: true, link: { delayMs: 5 } })
        const listener = yield* b.node.listen(PORT)
        const [stream, accepted] = yield* connect(a, b, listener)
        yield* exchange(stream, accepted)
        const path = Effect.map(a.node.status, (status) => status.peers[0]?.path)
        const paths = [yield* path]

        net.network.partition([A], [B])
        for (let round = 0; round < 10; round++) {
          yield* exchange(stream, accepted)
          yield* Effect.sleep(300)
        }
        paths.push(yield* path)
        net.network.heal()
        for (let round = 0; round < 40; round++) {
          yield* exchange(stream, accepted)
          yield* Effect.sleep(300)
        }
        paths.push(yield* path)

        assert.deepStrictEqual(paths, ["direct", "relay", "direct"])
      })
    )
  )

  it.effect("a peer that crashed and came back elsewhere is found again by the relay", () =>
    NodeNet.run(
      Effect.gen(function* () {
        const net = yield* NodeNet.make({ beacon: true, link: { delayMs: 5 } })
        const a = yield* net.node(A)
        const identity = NativeCrypto.crypto.signingKey()
        yield* Effect.scoped(
          Effect.gen(function* () {
            const first = yield* net.node(B, { identity })
            yield* NodeNet.pinEachOther(a, first)
            const [stream, accepted] = yield* connect(a, first, yield* first.node.listen(PORT))
            yield* exchange(stream, accepted)
            // Its last words are lost.
            net.network.partition([A], [B])
          })
        )
        net.network.heal()
        const b = yield* net.node(B, { identity, listen: { host: B, port: 4001 } })
        yield* NodeNet.pinEachOther(a, b)
        const listener = yield* b.node.listen(PORT)

        const stream = yield* a.node.dial(b.address, PORT, { timeoutMs: 5_000 })
        yield* exchange(stream, yield* listener.accept)
      })
    )
  )
})

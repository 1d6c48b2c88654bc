import { assert, describe, it } from "@effect/vitest"
import { crypto } from "../../../src/core/crypto/NativeCrypto.ts"
import * as Bytes from "../../../src/core/data/Bytes.ts"
import * as Address from "../../../src/protocol/wire/Address.ts"
import * as ControlMessage from "../../../src/protocol/wire/ControlMessage.ts"
import * as Packet from "../../../src/protocol/wire/Packet.ts"
import * as TunnelFrame from "../../../src/protocol/wire/TunnelFrame.ts"
import { integer } from "../../support/Arbitraries.ts"
import { direct, established, pathOf, relay, type Sent, Station, settle } from "../../support/TunnelStation.ts"

/** The attacker's own address. */
const EVE = direct("192.0.2.66")

/** The session works in both directions, under keys that have not changed since `established`. */
const assertAlive = (a: Station, b: Station, nowMs: number) => {
  a.take()
  b.take()
  a.send(`to b at ${nowMs}`, nowMs)
  b.send(`to a at ${nowMs}`, nowMs)
  settle(a, b, nowMs)
  assert.strictEqual(b.delivered.at(-1), `to b at ${nowMs}`)
  assert.strictEqual(a.delivered.at(-1), `to a at ${nowMs}`)
}

/** Sealed frames with another sender in the header. */
const asFrom = (node: number, { bytes }: Sent): Uint8Array => {
  const frame = Uint8Array.from(bytes)
  Bytes.writeU32(frame, 4, node)
  return frame
}

const isSealed = ({ bytes }: Sent): boolean => bytes[3] === 0x53

describe("Tunnel under attack", () => {
  it("keeps its session whatever key exchanges are forged (security rule 5)", () => {
    const [a, b] = established()
    const eve = crypto.signingKey()
    const agreementKey = crypto.agreementKey().publicKey
    const sender = Address.NodeId(2)
    const own = { sender, agreementKey, identityKey: eve.publicKey }
    const forged = [
      { ...own, signature: eve.sign(TunnelFrame.signedText(sender, agreementKey)) },
      { ...own, identityKey: b.identity.publicKey, signature: eve.sign(TunnelFrame.signedText(sender, agreementKey)) },
      { ...own, agreementKey: new Uint8Array(32), signature: new Uint8Array(64) }
    ]

    for (const exchange of forged) a.receive(TunnelFrame.encodeKeyExchange(exchange), EVE, 100)

    assert.deepStrictEqual([a.take(), a.takeEvents()], [[], []])
    assertAlive(a, b, 200)
  })

  it("looks at 5 key exchanges a second per source, so that a flood does not shut out the peer (wire §6.4 d)", () => {
    const [a, b] = established()
    const sender = Address.NodeId(2)
    const flood = (host: string) =>
      Array.from({ length: 100 }, (_, index) => {
        const agreementKey = crypto.sha256(Bytes.fromUtf8(`${host} ${index}`))
        const forged = { sender, agreementKey, identityKey: b.identity.publicKey, signature: new Uint8Array(64) }
        return a.tunnel.keyExchangeReceived({ _tag: "KeyExchange", ...forged }, direct(host), 100)
      }).filter((verdict) => verdict === "verify").length

    assert.strictEqual(flood("192.0.2.1"), 5)
    const total = Array.from({ length: 200 }, (_, host) => flood(`198.51.100.${host}`)).reduce((sum, n) => sum + n, 0)
    assert.isAtMost(total, 75, "all sources together")
    b.restart()
    b.tunnel.connect(2000)
    b.flush(2000)
    settle(a, b, 2000)
    assertAlive(a, b, 2001)
  })

  it("takes a replayed old key exchange for a candidate, and sends nothing but one challenge under it", () => {
    const [a, b] = established()
    const old = b.keyExchange()
    b.restart()
    b.tunnel.connect(100)
    b.flush(100)
    settle(a, b, 100)
    a.takeEvents()

    for (let second = 1; second <= 10; second++) a.receive(old, EVE, 100_000 + second * 1000)

    // The previous keys come back as a candidate; the earliest answer and challenge go to where the replay came from.
    const sent = a.take()
    assert.isAtMost(sent.filter(isSealed).length, 10)
    assert.isTrue(sent.every(({ path }) => path === EVE))
    assert.notInclude(a.takeEvents(), "Established")
    assertAlive(a, b, 120_000)
  })

  it("does not promote a candidate by frames of its old session, sent again", () => {
    const [a, b] = established()
    const recorded: Array<Uint8Array> = [b.keyExchange()]
    for (let packet = 0; packet < 20; packet++) b.send(`old ${packet}`, 10)
    const sent = b.take()
    for (const { bytes } of sent) a.receive(bytes, pathOf(b), 10)
    recorded.push(...sent.map(({ bytes }) => bytes))
    b.restart()
    b.tunnel.connect(100)
    b.flush(100)
    settle(a, b, 100)
    a.takeEvents()
    const before = a.delivered.length

    for (const bytes of recorded) a.receive(bytes, EVE, 200_000)

    assert.strictEqual(a.delivered.length, before)
    const events = a.takeEvents()
    assert.notInclude(events, "Established")
    assert.strictEqual(a.tunnel.counters.replayed, 20)
    // Told once in a second, whatever comes.
    assert.deepStrictEqual(
      events.filter((event) => event === "Replayed"),
      ["Replayed"]
    )
    assertAlive(a, b, 200_001)
  })

  it("recovers even if a frame withheld from an old session promotes its keys once", () => {
    const [a, b] = established()
    const old = b.keyExchange()
    b.send("withheld", 10)
    const [withheld] = b.take()
    b.restart()
    b.tunnel.connect(10_000)
    b.flush(10_000)
    settle(a, b, 10_000)

    a.receive(old, EVE, 80_000)
    a.receive(withheld!.bytes, EVE, 80_000)
    let nowMs = 80_000
    for (; nowMs < 110_000 && b.delivered.at(-1) !== "heard"; nowMs += 500) {
      a.send("heard", nowMs)
      b.send("x", nowMs)
      settle(a, b, nowMs)
    }

    assert.isBelow(nowMs, 90_000)
    assertAlive(a, b, nowMs + 1000)
  })

  it("notices by itself that the peer does not hear it, though frames under older keys still open", () => {
    const [a, b] = established()
    const old = b.keyExchange()
    b.send("withheld", 10)
    const [withheld] = b.take()
    b.restart()
    b.tunnel.connect(10_000)
    b.flush(10_000)
    settle(a, b, 10_000)
    a.receive(old, EVE, 80_000)
    a.receive(withheld!.bytes, EVE, 80_000)
    a.takeEvents()

    for (let nowMs = 80_000; nowMs <= 87_000; nowMs += 500) {
      a.send("unheard", nowMs)
      b.send("heard", nowMs)
      for (const { bytes } of b.take().filter(isSealed)) a.receive(bytes, pathOf(b), nowMs)
    }

    assert.strictEqual(a.delivered.at(-1), "heard")
    assert.include(a.takeEvents(), "Desynchronised")
  })

  it("is not moved by a forged counter, however large (wire §6.6, quirk 1)", () => {
    const [a, b] = established()
    const { badCounter, badTag } = { ...a.tunnel.counters }
    for (const counter of [2 ** 53 - 1, 2 ** 40, 1, 0]) {
      b.send("x", 50)
      const [original] = b.take()
      const forged = Uint8Array.from(original!.bytes)
      Bytes.writeU64(forged, 12, counter)
      a.receive(forged, EVE, 50)
      forged.fill(0xff, 12, 20)
      a.receive(forged, EVE, 50)
    }

    assert.strictEqual(a.tunnel.counters.badTag - badTag, 3)
    assert.strictEqual(a.tunnel.counters.badCounter - badCounter, 5)
    assertAlive(a, b, 100)
  })

  it("delivers no frame twice", () => {
    const [a, b] = established()
    b.send("once", 10)
    const [sent] = b.take()

    for (const path of [pathOf(b), EVE, relay]) a.receive(sent!.bytes, path, 10)

    assert.deepStrictEqual(a.delivered, ["once"])
    assert.strictEqual(a.tunnel.counters.replayed, 2)
  })

  it.prop("opens nothing that was altered", { at: integer(0, 8 * 81 - 1) }, ({ at }) => {
    const [a, b] = established()
    b.send("12345", 10)
    const [sent] = b.take()
    const altered = Uint8Array.from(sent!.bytes)
    altered[(at >> 3) % altered.length]! ^= 1 << (at & 7)

    a.receive(altered, EVE, 10)

    assert.deepStrictEqual(a.delivered, [])
  })

  it("drops its own frames, thrown back with the peer's name on them", () => {
    for (const only of ["legacy", "later"] as const) {
      const [a, b] = established({ only }, { only })
      a.send("mine", 10)
      const [mine] = a.take()

      a.receive(asFrom(2, mine!), EVE, 10)

      assert.strictEqual(a.tunnel.counters.reflected, 1, only)
      assertAlive(a, b, 20)
    }
  })

  it("is not established by its own challenge, thrown back", () => {
    const a = new Station({ node: 1, peer: 2 })
    const b = new Station({ node: 2, peer: 1 })
    a.receive(b.keyExchange(), EVE, 0)
    for (const challenge of a.take().filter(isSealed)) a.receive(asFrom(2, challenge), EVE, 0)

    assert.isFalse(a.tunnel.hasOpened)
    assert.strictEqual(a.tunnel.counters.reflected, 2)
  })

  it("lets a peer speak for itself only (wire §6.6)", () => {
    const [a, b] = established()
    const key = a.agreement.agree(b.agreement.publicKey)!
    const own = b.packet("as another")
    Bytes.writeU32(own, 6, 77)
    const short = own.subarray(0, 33)

    for (const [index, packet] of [own, short, new Uint8Array(0)].entries())
      a.receive(b.sealBySelf(key, 0x80000001, index + 1, packet), pathOf(b), 10)

    assert.deepStrictEqual(a.delivered, [])
    assert.strictEqual(a.tunnel.counters.foreignSource, 3)
  })

  it("lets nobody speak without a name, except in an empty control packet to port 0 (wire §6.6)", () => {
    const [a, b] = established()
    const key = a.agreement.agree(b.agreement.publicKey)!
    const nobody = Address.make(0, 0)
    const packets = [
      Packet.encode(ControlMessage.keepalive(nobody)),
      Packet.encode(ControlMessage.pathProbe(nobody, Address.make(0, 1))),
      Packet.encode({ ...ControlMessage.keepalive(nobody), protocol: Packet.Protocol.Stream }),
      Packet.encode({ ...ControlMessage.keepalive(nobody), destinationPort: Address.Port(1) })
    ]
    const opened = a.tunnel.counters.opened

    for (const [index, packet] of packets.entries())
      a.receive(b.sealBySelf(key, 0x80000001, index + 1, packet), pathOf(b), 10)

    assert.strictEqual(a.tunnel.counters.opened - opened, 1)
    assert.strictEqual(a.tunnel.counters.foreignSource, 3)
  })

  it("never goes back to the earlier generation once the later one has opened (security rule 5)", () => {
    const [a, b] = established()
    const key = a.agreement.agree(b.agreement.publicKey)!
    a.receive(b.sealBySelf(key, 0x80000001, 1, b.packet("downgrade"), "legacy"), pathOf(b), 10)
    assert.deepStrictEqual(a.delivered, [])

    const downgraded = new Station({ ...b.options, only: "legacy" })
    downgraded.tunnel.connect(10_000)
    downgraded.flush(10_000)
    settle(a, downgraded, 10_000)
    assert.isFalse(downgraded.tunnel.hasOpened)
    assert.strictEqual(a.tunnel.scheme, "later")
  })

  it("remembers that over restarts, if its owner does", () => {
    const [a, b] = established({ laterOnly: true }, { only: "legacy" })

    assert.deepStrictEqual([a.tunnel.hasOpened, b.tunnel.hasOpened], [false, false])
  })

  it("asks again after 5 frames that do not open, once a second, and keeps the session meanwhile (wire §6.4 c)", () => {
    const [a, b] = established()
    const forge = (nowMs: number) => {
      b.send("x", nowMs)
      for (const { bytes } of b.take().filter(isSealed)) a.receive(bytes.fill(7, 30), EVE, nowMs)
    }
    for (let frame = 0; frame < 20; frame++) forge(2900)
    assert.deepStrictEqual(a.takeEvents(), [], "a young session")

    for (let frame = 0; frame < 20; frame++) forge(10_000)
    assert.deepStrictEqual(a.takeEvents(), ["Desynchronised", "SendKeyExchange"])
    forge(11_000)
    assert.deepStrictEqual(a.takeEvents(), ["Desynchronised", "SendKeyExchange"])
    assertAlive(a, b, 11_001)
    for (let frame = 0; frame < 4; frame++) forge(20_000)
    assert.deepStrictEqual(a.takeEvents(), [], "one that opened starts the count again")
  })

  it("answers frames without a session once a second per source (wire §6.4 c)", () => {
    const a = new Station({ node: 1, peer: 2 })
    const [, b] = established()
    b.send("x", 0)
    const [sent] = b.take()
    for (let frame = 0; frame < 50; frame++) a.receive(sent!.bytes, EVE, 10 * frame)
    a.receive(sent!.bytes, pathOf(b), 500)

    assert.deepStrictEqual(
      a.take().map(({ path }) => path),
      [EVE, EVE, pathOf(b), pathOf(b)],
      "a key exchange and a key request each"
    )
    assert.isFalse(a.tunnel.isReady)
  })

  describe("every kind of unauthenticated datagram, thrown at a live tunnel", () => {
    /** A frame as the network may carry it, by name. */
    const datagrams = (a: Station, b: Station): ReadonlyArray<readonly [string, Uint8Array]> => {
      const oldExchange = b.keyExchange()
      b.send("old epoch", 1)
      const [oldEpoch] = b.take()
      a.receive(oldEpoch!.bytes, pathOf(b), 1)
      b.restart()
      b.tunnel.connect(20_000)
      b.flush(20_000)
      settle(a, b, 20_000)
      a.send("own", 90_000)
      b.send("replayed", 90_000)
      const [own] = a.take()
      const [genuine] = b.take()
      a.receive(genuine!.bytes, pathOf(b), 90_000)
      b.receive(own!.bytes, pathOf(a), 90_000)
      b.send("never delivered", 90_000)
      const [fresh] = b.take()
      const stranger = new Station({ node: 3, peer: 1 })
      const eve = crypto.signingKey()
      const sender = Address.NodeId(2)
      const agreementKey = crypto.agreementKey().publicKey
      const signature = eve.sign(TunnelFrame.signedText(sender, agreementKey))
      const forged = { sender, agreementKey, identityKey: eve.publicKey, signature }
      const altered = Uint8Array.from(fresh!.bytes)
      altered[altered.length - 1]! ^= 1
      const huge = Uint8Array.from(fresh!.bytes)
      huge.fill(0xff, 13, 20)
      return [
        ["a replayed frame", genuine!.bytes],
        ["a frame of an old epoch", oldEpoch!.bytes],
        ["a key exchange of an old epoch", oldExchange],
        ["a frame of an old epoch after its key exchange", oldEpoch!.bytes],
        ["the peer's key exchange again", b.keyExchange()],
        ["its key request", b.keyRequest()],
        ["our own frame", own!.bytes],
        ["our own frame in the peer's name", asFrom(2, own!)],
        ["our own key exchange", a.keyExchange()],
        ["an altered frame", altered],
        ["a frame with a huge counter", huge],
        ["a truncated frame", fresh!.bytes.subarray(0, -1)],
        ["a frame without content", fresh!.bytes.subarray(0, 36)],
        ["less than a frame", fresh!.bytes.subarray(0, 12)],
        ["another peer's frame in the peer's name", asFrom(2, { bytes: stranger.keyExchange(), path: undefined })],
        ["another peer's key exchange", stranger.keyExchange()],
        ["a forged key exchange", TunnelFrame.encodeKeyExchange(forged)],
        ["one in the peer's name", TunnelFrame.encodeKeyExchange({ ...forged, identityKey: b.identity.publicKey })],
        [
          "one with a key of small order",
          TunnelFrame.encodeKeyExchange({ ...forged, agreementKey: new Uint8Array(32) })
        ],
        ["a forged key request", TunnelFrame.encodeKeyRequest({ sender, agreementKey })],
        ["a packet in clear", TunnelFrame.encode({ _tag: "Plain", packet: b.packet("clear") })],
        ["nothing", new Uint8Array(0)],
        ["noise", crypto.sha256(agreementKey)]
      ]
    }

    /** All that the owner, the peer or a user could see of a tunnel, counters aside. */
    const observe = (a: Station) => {
      const { announcement, hasOpened, isReady, laterOnly, lives, scheme } = a.tunnel
      a.take()
      a.takeEvents()
      a.send("observed", 90_000)
      const [{ bytes, path }] = a.take() as [Sent]
      // The key shows in what the frame seals, its place in the prefix; the counter goes on by one with each look.
      const sealed = { prefix: Bytes.toHex(bytes.subarray(0, 12)), path }
      return { announcement, hasOpened, isReady, laterOnly, lives, scheme, sealed, delivered: [...a.delivered] }
    }

    it("changes nothing that anybody can see, and the session works on under its keys (security rule 5)", () => {
      const [a, b] = established()
      const thrown = datagrams(a, b)
      const before = observe(a)
      const keysOf = (station: Station) => Bytes.toHex(station.agreement.publicKey)
      const [keyA, keyB] = [keysOf(a), keysOf(b)]
      for (const path of [EVE, relay, pathOf(b)])
        for (const [what, bytes] of thrown) {
          a.receive(bytes, path, 90_000)
          const sent = a.take()
          assert.isTrue(
            sent.every(({ path: to }) => to === path || to === undefined),
            `${what}: answered elsewhere`
          )
          assert.deepStrictEqual(observe(a), before, what)
        }

      assert.deepStrictEqual([keysOf(a), keysOf(b)], [keyA, keyB])
      b.receive(new Uint8Array(0), pathOf(a), 90_000)
      assertAlive(a, b, 90_001)
      assert.deepStrictEqual(a.tunnel.lives, before.lives)
    })
  })
})

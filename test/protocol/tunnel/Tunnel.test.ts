import { assert, describe, it } from "@effect/vitest"
import * as Bytes from "../../../src/core/data/Bytes.ts"
import * as Address from "../../../src/protocol/wire/Address.ts"
import { Capability } from "../../../src/protocol/wire/Announcement.ts"
import * as ControlMessage from "../../../src/protocol/wire/ControlMessage.ts"
import * as Packet from "../../../src/protocol/wire/Packet.ts"
import * as TunnelFrame from "../../../src/protocol/wire/TunnelFrame.ts"
import { TunnelLine } from "../../support/TunnelLine.ts"
import { established, pathOf, relay, type Sent, Station, settle } from "../../support/TunnelStation.ts"
import { success } from "../../support/Vectors.ts"

/** The kinds of frames sent, in order. */
const kinds = (sent: ReadonlyArray<Sent>): ReadonlyArray<string> =>
  sent.map(({ bytes }) => success(TunnelFrame.decode(bytes))._tag)

const sealedOf = ({ bytes }: Sent): TunnelFrame.Sealed => {
  const frame = success(TunnelFrame.decode(bytes))
  if (frame._tag !== "Sealed") throw new Error(`a sealed frame expected, not ${frame._tag}`)
  return frame
}

const prefixOf = (sent: Sent): number => Bytes.readU32(sealedOf(sent).nonce, 0)
const counterOf = (sent: Sent): number => Bytes.readU64(sealedOf(sent).nonce, 4) ?? -1

/** Wakes a station at each of its deadlines up to `untilMs`; what it sent, by the time it did. */
const run = (
  station: Station,
  untilMs: number
): ReadonlyArray<readonly [atMs: number, kinds: ReadonlyArray<string>]> => {
  const log: Array<readonly [number, ReadonlyArray<string>]> = []
  while (station.tunnel.deadlineMs <= untilMs) {
    const nowMs = station.tunnel.deadlineMs
    station.timeout(nowMs)
    log.push([nowMs, kinds(station.take())])
    assert.isAbove(station.tunnel.deadlineMs, nowMs)
  }
  return log
}

describe("Tunnel", () => {
  describe("asking for a session", () => {
    it("asks twice, repeats after 1 s, then every 4 s, 5 times, with a key request, then stops (wire §6.4 a, b)", () => {
      const a = new Station({ node: 1, peer: 2 })
      a.tunnel.connect(0)
      a.flush(0)
      assert.deepStrictEqual(kinds(a.take()), ["KeyExchange", "KeyExchange"])

      const repeats = [1000, 4000, 8000, 12_000, 16_000, 20_000].map(
        (atMs) => [atMs, ["KeyExchange", "KeyRequest"]] as const
      )
      assert.deepStrictEqual(run(a, 100_000), [...repeats, [25_000, []]])
      assert.strictEqual(a.tunnel.deadlineMs, Number.POSITIVE_INFINITY)
    })

    it("begins another round after a pause of 5 s if somebody still asks (wire §6.4 a)", () => {
      const a = new Station({ node: 1, peer: 2 })
      a.tunnel.connect(0)
      a.tunnel.connect(1000)
      run(a, 10_000)
      a.tunnel.connect(10_000)

      assert.deepStrictEqual(
        run(a, 100_000).map(([atMs]) => atMs),
        [12_000, 16_000, 20_000, 25_000, 29_000, 33_000, 37_000, 41_000, 45_000, 50_000]
      )
    })

    it("keeps the first packets when too many wait, and forgets them when nobody answers (wire §6.5)", () => {
      const a = new Station({ node: 1, peer: 2, config: { pendingPacketsMax: 3 } })

      assert.deepStrictEqual(
        ["1", "2", "3", "4"].map((text) => a.send(text, 0)),
        [true, true, true, false]
      )
      assert.deepStrictEqual(kinds(a.take()), ["KeyExchange", "KeyExchange"])
      assert.strictEqual(a.tunnel.counters.refused, 1)
      run(a, 30_000)
      assert.strictEqual(a.tunnel.counters.expired, 3)
      assert.isTrue(a.send("5", 30_000))
    })

    it("bounds what waits in bytes as well", () => {
      const a = new Station({ node: 1, peer: 2, config: { pendingBytesMax: 100 } })

      assert.deepStrictEqual(
        ["1".repeat(60), "2".repeat(60)].map((text) => a.send(text, 0)),
        [true, false]
      )
    })
  })

  describe("first session", () => {
    it("flushes what waited, in order, and is proven on both sides (wire §6.3)", () => {
      const a = new Station({ node: 1, peer: 2 })
      const b = new Station({ node: 2, peer: 1 })
      for (const text of ["one", "two", "three"]) assert.isTrue(a.send(text, 0))

      settle(a, b, 0)

      assert.deepStrictEqual(b.delivered, ["one", "two", "three"])
      for (const { events, tunnel } of [a, b]) {
        assert.deepStrictEqual([tunnel.hasOpened, tunnel.scheme, tunnel.laterOnly], [true, "later", true])
        assert.strictEqual(events.filter((event) => event === "Established").length, 1)
      }
    })

    it("carries no packet until a frame of the peer has opened, for the address may not be its own (rules 5, 7)", () => {
      const a = new Station({ node: 1, peer: 2 })
      const b = new Station({ node: 2, peer: 1 })
      a.send("waits", 0)
      a.take()
      a.receive(b.keyExchange(), pathOf(b), 0)
      a.send("waits too", 1)

      assert.deepStrictEqual([a.tunnel.isReady, a.tunnel.hasOpened], [false, false])
      assert.deepStrictEqual(kinds(a.take()), ["KeyExchange", "Sealed", "Sealed"], "an answer and two challenges")
    })

    it("asks for the proof again with what is sent, every 250 ms, when the first one is lost", () => {
      const a = new Station({ node: 1, peer: 2 })
      const b = new Station({ node: 2, peer: 1 }, new Set())
      a.send("one", 0)
      for (const { bytes } of a.take()) b.receive(bytes, pathOf(a), 0)
      const [exchange] = b.take()
      a.receive(exchange!.bytes, pathOf(b), 10)
      a.take()
      for (const nowMs of [100, 259]) a.send("two", nowMs)
      assert.deepStrictEqual(kinds(a.take()), [])

      a.send("three", 260)
      settle(a, b, 260)

      assert.deepStrictEqual(b.delivered, ["one", "two", "two", "three"])
    })

    it("answers a key exchange first and challenges its keys in both generations, by the path it came", () => {
      const a = new Station({ node: 1, peer: 2 })
      const b = new Station({ node: 2, peer: 1 })
      a.receive(b.keyExchange(), relay, 0)

      const sent = a.take()
      assert.deepStrictEqual(kinds(sent), ["KeyExchange", "Sealed", "Sealed"])
      assert.deepStrictEqual(
        sent.map(({ path }) => path),
        [relay, relay, relay]
      )
    })

    it("needs no pong: a peer that ignores strangers' pings proves itself by its announcement (wire §17)", () => {
      const [a, b] = established({}, { isSilent: true })

      assert.deepStrictEqual([a.tunnel.hasOpened, b.tunnel.hasOpened], [true, true])
    })

    it("comes about when both ask at once", () => {
      const a = new Station({ node: 1, peer: 2 })
      const b = new Station({ node: 2, peer: 1 })
      a.send("from a", 0)
      b.send("from b", 0)

      settle(a, b, 0)

      assert.deepStrictEqual([a.delivered, b.delivered], [["from b"], ["from a"]])
    })
  })

  describe("generations of keys (wire §15.1)", () => {
    it("finds out that the peer speaks the earlier one, from either side", () => {
      for (const only of [
        [undefined, "legacy"],
        ["legacy", undefined]
      ] as const) {
        const [a, b] = established(
          only[0] === undefined ? {} : { only: only[0] },
          only[1] === undefined ? {} : { only: only[1] }
        )
        a.send("from a", 1)
        b.send("from b", 1)
        settle(a, b, 1)

        assert.deepStrictEqual([a.tunnel.scheme, b.tunnel.scheme], ["legacy", "legacy"])
        assert.deepStrictEqual([a.delivered, b.delivered], [["from b"], ["from a"]])
      }
    })

    it("sends an unknown peer of either one nothing that it cannot open, and waits for no time-out (wire §15.1)", () => {
      for (const only of ["legacy", "later"] as const) {
        const a = new Station({ node: 1, peer: 2 })
        const b = new Station({ node: 2, peer: 1, only })
        a.send("first", 0)
        settle(a, b, 0)
        a.send("second", 0)
        settle(a, b, 0)

        assert.deepStrictEqual([b.delivered, a.tunnel.scheme], [["first", "second"], only])
        assert.isAtMost(b.tunnel.counters.badTag, 1, "the challenge in the other one")
      }
    })

    it("moves to the later one when the peer announces itself, though a lost frame made the earlier one open", () => {
      for (let lost = 0; lost < 12; lost++) {
        const a = new Station({ node: 1, peer: 2 })
        const b = new Station({ node: 2, peer: 1 })
        const line = new TunnelLine({ stations: [a, b], roundTripMs: 10, nowMs: 0, isLost: (index) => index === lost })
        a.send("first", 0)
        line.run(20)
        for (let turn = 0; turn < 3; turn++) {
          a.send("a", line.nowMs)
          b.send("b", line.nowMs)
          line.run(20)
        }

        assert.deepStrictEqual([a.tunnel.scheme, b.tunnel.scheme], ["later", "later"], `frame ${lost} lost`)
        assert.deepStrictEqual([a.tunnel.laterOnly, b.tunnel.laterOnly], [true, true])
      }
    })

    it("moves to the later one when the peer does, for ever", () => {
      const [a, b] = established({ config: { preferredScheme: "legacy" } }, { config: { preferredScheme: "legacy" } })

      assert.deepStrictEqual([a.tunnel.scheme, b.tunnel.scheme], ["later", "later"])
      assert.deepStrictEqual([a.tunnel.laterOnly, b.tunnel.laterOnly], [true, true])
    })
  })

  describe("nonces (wire §6.1)", () => {
    it("counts from 1 under one prefix, whose top bit says which node id is the lower (security rule 5)", () => {
      const [a, b] = established()
      const first = new Station({ node: 1, peer: 2 })
      first.receive(b.keyExchange(), pathOf(b), 0)
      const [, one, two] = first.take()
      assert.deepStrictEqual([counterOf(one!), counterOf(two!)], [1, 2])

      for (const [station, topBit] of [
        [a, 0],
        [b, 1]
      ] as const) {
        for (let packet = 0; packet < 20; packet++) station.send("x", 1)
        const sent = station.take()
        const counters = sent.map(counterOf)
        assert.deepStrictEqual(
          counters,
          counters.map((_, index) => counters[0]! + index)
        )
        assert.deepStrictEqual(
          [...new Set(sent.map(prefixOf))].map((prefix) => prefix >>> 31),
          [topBit]
        )
      }
    })

    it("refuses to seal past the lifetime of the keys, and asks for new ones before (security rule 5)", () => {
      const [a, b] = established({ config: { keyLifetimeFrames: 40 } })
      for (let packet = 0; packet < 90; packet++) assert.isTrue(a.send(`${packet}`, packet), `${packet}`)
      assert.include(a.takeEvents(), "RenewAgreementKey")
      assert.isAtMost(a.tunnel.counters.sealed, 40)
      settle(a, b, 90)
      for (let packet = 90; packet < 400; packet++) {
        assert.isTrue(a.send(`${packet}`, 100 * packet))
        settle(a, b, 100 * packet)
      }

      const sent = Array.from({ length: 400 }, (_, packet) => `${packet}`)
      assert.sameMembers(b.delivered, sent)
    })
  })

  describe("renewal", () => {
    it("makes new keys after a day, while the old ones go on until the new ones are proven (wire §6.1, better)", () => {
      const [a, b] = established()
      const dayMs = 86_400_000
      assert.strictEqual(a.tunnel.deadlineMs, dayMs)
      run(b, dayMs - 1)
      run(a, dayMs - 1)
      for (let packet = 0; packet < 20; packet++) sendAndTake(a, dayMs - 1)
      const before = sendAndTake(a, dayMs - 1)

      a.timeout(dayMs)
      assert.deepStrictEqual(a.takeEvents(), ["RenewAgreementKey", "SendKeyExchange"])
      const [exchange] = a.take()
      assert.strictEqual(counterOf(sendAndTake(a, dayMs)), counterOf(before) + 1)
      b.receive(exchange!.bytes, pathOf(a), dayMs)
      settle(a, b, dayMs)
      const after = sendAndTake(a, dayMs)

      assert.isBelow(counterOf(after), counterOf(before), "another key, counted from 1")
      assert.strictEqual(prefixOf(after), prefixOf(before), "still the same life")
      b.receive(after.bytes, pathOf(a), dayMs)
      assert.strictEqual(b.delivered.at(-1), "x")
    })

    it("still opens what was under way under the old keys, for a minute", () => {
      const [a, b] = established()
      b.send("slow", 1000)
      b.send("slower", 1000)
      const [slow, slower] = b.take()
      a.renew(1000)
      a.flush(1000)
      settle(a, b, 1000)

      a.receive(slow!.bytes, pathOf(b), 60_999)
      a.timeout(61_000)
      a.receive(slower!.bytes, pathOf(b), 61_000)
      assert.deepStrictEqual(a.delivered, ["slow"])
    })

    it("survives both sides renewing at once, and the loss of any one frame of it", () => {
      for (let lost = 0; lost < 12; lost++) {
        const [a, b] = established()
        a.renew(1000)
        b.renew(1000)
        a.flush(1000)
        b.flush(1000)
        let carried = 0
        for (let turn = 0; turn < 20; turn++) {
          for (const [from, to] of [
            [a, b],
            [b, a]
          ] as const)
            for (const { bytes } of from.take()) if (carried++ !== lost) to.receive(bytes, pathOf(from), 1000)
        }
        for (let nowMs = 2000; nowMs < 40_000; nowMs += 1000) {
          a.send(`a${nowMs}`, nowMs)
          b.send(`b${nowMs}`, nowMs)
          settle(a, b, nowMs)
          for (const station of [a, b]) if (station.tunnel.deadlineMs <= nowMs) station.timeout(nowMs)
        }

        assert.include(a.delivered, "b2000", `${lost}`)
        assert.include(b.delivered, "a2000", `${lost}`)
        assert.deepStrictEqual([a.delivered.length, b.delivered.length], [38, 38], `frame ${lost} lost`)
      }
    })

    it("comes when the peer has shown more keys than are remembered, before any more are accepted", () => {
      const [a, b] = established()
      for (let restart = 1; restart < 40; restart++) {
        const nowMs = restart * 10_000
        b.restart()
        b.tunnel.connect(nowMs)
        b.flush(nowMs)
        settle(a, b, nowMs)
        b.send(`${restart}`, nowMs)
        settle(a, b, nowMs)
        if (restart % 10 === 0) run(a, nowMs)
      }

      assert.isAbove(a.takeEvents().filter((event) => event === "RenewAgreementKey").length, 1)
      assert.strictEqual(new Set(a.delivered).size, a.delivered.length)
      assert.isAtLeast(a.delivered.length, 36)
    })
  })

  describe("a peer that lost our keys", () => {
    it("recovers when the restarted side speaks first", () => {
      const [a, b] = established()
      b.restart()
      b.send("again", 10_000)
      settle(a, b, 10_000)
      a.send("welcome", 10_000)
      settle(a, b, 10_000)

      assert.deepStrictEqual([a.delivered, b.delivered], [["again"], ["welcome"]])
    })

    it("recovers when the other side speaks first: a frame without a session is answered (wire §6.4 c)", () => {
      const [a, b] = established()
      b.restart()
      a.send("lost", 10_000)
      settle(a, b, 10_000)
      a.send("found", 10_001)
      settle(a, b, 10_001)

      assert.deepStrictEqual(b.delivered, ["found"])
    })

    it("recovers when the first challenges are lost and only the other side has anything to say", () => {
      const [a, b] = established()
      b.restart()
      a.send("lost", 10_000)
      for (const { bytes } of a.take()) b.receive(bytes, pathOf(a), 10_000)
      for (const { bytes } of b.take()) a.receive(bytes, pathOf(b), 10_000)
      for (const { bytes } of a.take().slice(0, 1)) b.receive(bytes, pathOf(a), 10_000)
      b.take()

      for (const nowMs of [11_500, 13_000]) {
        a.send(`at ${nowMs}`, nowMs)
        settle(a, b, nowMs)
      }

      assert.deepStrictEqual(b.delivered, ["at 13000"])
    })

    it("is asked again after 6 s of silence, if it answers nothing by itself (wire §6.4)", () => {
      const [a] = established()
      for (const nowMs of [10_000, 12_000, 16_000]) a.send("x", nowMs)
      assert.deepStrictEqual(a.takeEvents(), [])
      a.send("x", 16_001)
      a.send("x", 17_000)

      assert.deepStrictEqual(a.takeEvents(), ["Desynchronised", "SendKeyExchange"])
      a.send("x", 23_000)
      assert.deepStrictEqual(kinds(a.take()).slice(-2), ["KeyExchange", "KeyRequest"])
    })
  })

  describe("a peer that begins a new life", () => {
    const restartsOf = (station: Station) => station.takeEvents().filter((event) => event === "PeerRestarted").length

    it("is noticed by the first packet that opens, and no packet of its old life opens from then on", () => {
      const [a, b] = established()
      b.send("late", 9_000)
      const [late] = b.take()
      b.restart()
      b.send("again", 10_000)
      for (const { bytes } of b.take()) a.receive(bytes, pathOf(b), 10_000)
      for (const { bytes } of a.take()) b.receive(bytes, pathOf(a), 10_000)
      assert.strictEqual(a.tunnel.lives, 1)

      const opened = a.tunnel.counters.opened
      for (const { bytes } of b.take()) {
        a.receive(bytes, pathOf(b), 10_000)
        assert.strictEqual(a.tunnel.lives, a.tunnel.counters.opened > opened ? 2 : 1)
      }
      a.receive(late!.bytes, pathOf(b), 10_000)

      assert.deepStrictEqual([a.delivered, restartsOf(a), restartsOf(b)], [["again"], 1, 0])
    })

    it("is not seen in the renewal of keys, by either side or by both at once", () => {
      const [a, b] = established()
      for (const [round, renewing] of [[a], [b], [a, b]].entries()) {
        const nowMs = 100_000 * (round + 1)
        for (const station of renewing) station.renew(nowMs)
        for (const station of renewing) station.flush(nowMs)
        settle(a, b, nowMs)
        a.send(`a${round}`, nowMs)
        b.send(`b${round}`, nowMs)
        settle(a, b, nowMs)
        assert.deepStrictEqual([a.delivered.at(-1), b.delivered.at(-1)], [`b${round}`, `a${round}`])
      }

      assert.deepStrictEqual([a, b].map(restartsOf), [0, 0])
    })

    it("is seen in a reference too, which draws a new prefix with its new key", () => {
      const [a, b] = established({}, { only: "legacy" })
      b.restart()
      b.send("again", 10_000)
      settle(a, b, 10_000)

      assert.deepStrictEqual([a.delivered, a.tunnel.lives, restartsOf(a)], [["again"], 2, 1])
    })

    it("is not seen in a reference that starts over with a new prefix under the same key (wire §6.3)", () => {
      const [a, b] = established()
      const key = a.agreement.agree(b.agreement.publicKey)!
      a.receive(b.sealBySelf(key, 0x90000000, 1, b.packet("x")), pathOf(b), 20)

      assert.deepStrictEqual([a.delivered, restartsOf(a)], [["x"], 0])
    })

    it("is not seen in keys of an old life that come back by a replay, nor in the true ones after them", () => {
      const [a, b] = established()
      const old = b.keyExchange()
      b.send("withheld", 10)
      const [withheld] = b.take()
      b.restart()
      b.tunnel.connect(10_000)
      b.flush(10_000)
      settle(a, b, 10_000)
      assert.strictEqual(restartsOf(a), 1)

      a.receive(old, pathOf(b), 80_000)
      a.receive(withheld!.bytes, pathOf(b), 80_000)
      for (let nowMs = 80_000; nowMs < 100_000; nowMs += 500) {
        a.send("x", nowMs)
        b.send(`${nowMs}`, nowMs)
        settle(a, b, nowMs)
      }

      assert.deepStrictEqual([a.delivered.at(-1), restartsOf(a)], ["99500", 0])
    })
  })

  describe("a repeated key exchange (wire §6.3)", () => {
    it("keeps all state, and is answered once a second, and only after 6 s of silence", () => {
      const [a, b] = established()
      const before = prefixOf(sendAndTake(a, 100))
      b.receive(a.keyExchange(), pathOf(a), 5000)
      assert.deepStrictEqual(b.take(), [], "spoken to a moment ago")

      for (const nowMs of [7000, 7500, 7900]) b.receive(a.keyExchange(), pathOf(a), nowMs)
      assert.deepStrictEqual(kinds(b.take()), ["KeyExchange"])
      b.receive(a.keyExchange(), pathOf(a), 8001)
      assert.deepStrictEqual(kinds(b.take()), ["KeyExchange"])

      a.receive(b.keyExchange(), pathOf(b), 20_000)
      a.take()
      assert.strictEqual(prefixOf(sendAndTake(a, 20_000)), before)
    })

    it("brings a lost answer again, and the challenge with it", () => {
      const a = new Station({ node: 1, peer: 2 })
      const b = new Station({ node: 2, peer: 1 })
      a.tunnel.connect(0)
      a.flush(0)
      for (const { bytes } of a.take()) b.receive(bytes, pathOf(a), 0)
      b.take()

      a.timeout(4000)
      settle(a, b, 4000)

      assert.deepStrictEqual([a.tunnel.hasOpened, b.tunnel.hasOpened], [true, true])
    })

    it("tolerates a reference that then starts over with a new prefix and counter 1", () => {
      const [a, b] = established()
      for (let packet = 0; packet < 50; packet++) b.send("before", 10)
      settle(a, b, 10)
      const key = a.agreement.agree(b.agreement.publicKey)!
      for (let restart = 0; restart < 8; restart++) {
        for (const counter of [1, 2, 3]) {
          const text = `prefix ${restart}, counter ${counter}`
          a.receive(b.sealBySelf(key, 0x90000000 + restart, counter, b.packet(text)), pathOf(b), 20)
          assert.strictEqual(a.delivered.at(-1), text)
        }
      }
    })
  })

  describe("a key request", () => {
    it("is answered with our key exchange once a second per source, whatever the session (wire §6.2)", () => {
      const [a, b] = established()
      const answers = (nowMs: number, path = pathOf(b)) => {
        a.receive(b.keyRequest(), path, nowMs)
        return kinds(a.take())
      }

      assert.deepStrictEqual(answers(5000), ["KeyExchange"])
      assert.deepStrictEqual(answers(5500), [])
      assert.deepStrictEqual(answers(5500, relay), ["KeyExchange"])
      assert.deepStrictEqual(answers(6500), ["KeyExchange"])
      assert.deepStrictEqual(a.takeEvents(), ["SendKeyExchange", "SendKeyExchange", "SendKeyExchange"])
      b.restart()
      a.receive(b.keyExchange(), pathOf(b), 10_000)
      assert.deepStrictEqual(kinds(a.take()).slice(0, 1), ["KeyExchange"])
      assert.deepStrictEqual(answers(10_000), ["KeyExchange"], "one of the two answers may be lost")
      const stranger = new Station({ node: 3, peer: 2 })
      stranger.receive(b.keyRequest(), pathOf(b), 0)
      assert.isFalse(stranger.tunnel.isReady, "it never installs keys")
    })
  })

  describe("announcement (wire §17)", () => {
    it("is exchanged once both have opened a frame", () => {
      const [a, b] = established(
        { config: { capabilities: Capability.HalfClose } },
        { config: { capabilities: Capability.Recut | Capability.PathProbe } }
      )

      assert.strictEqual(a.tunnel.announcement?.capabilities, Capability.Recut | Capability.PathProbe)
      assert.strictEqual(b.tunnel.announcement?.capabilities, Capability.HalfClose)
    })

    it("reaches both, whichever single frame is lost, as soon as both have sent a few packets", () => {
      for (let lost = 0; lost < 16; lost++) {
        const a = new Station({ node: 1, peer: 2 })
        const b = new Station({ node: 2, peer: 1 })
        const line = new TunnelLine({ stations: [a, b], roundTripMs: 10, nowMs: 0, isLost: (index) => index === lost })
        a.send("first", 0)
        line.run(20)
        for (let turn = 0; turn < 3; turn++) {
          a.send("a", line.nowMs)
          b.send("b", line.nowMs)
          line.run(20)
        }

        assert.isDefined(a.tunnel.announcement, `frame ${lost} lost`)
        assert.isDefined(b.tunnel.announcement, `frame ${lost} lost`)
      }
    })

    it("is not answered for ever", () => {
      const [a, b] = established()
      const announcement = ControlMessage.announcement(Address.make(0, 2), Address.make(0, 1), {
        capabilities: 1,
        fields: []
      })
      b.tunnel.send(Packet.encode(announcement), 1)
      b.flush(1)
      let frames = 0
      for (let turn = 0; turn < 10; turn++) {
        const [fromB, fromA] = [b.take(), a.take()]
        frames += fromA.length + fromB.length
        for (const { bytes } of fromB) a.receive(bytes, pathOf(b), 1)
        for (const { bytes } of fromA) b.receive(bytes, pathOf(a), 1)
      }
      assert.strictEqual(frames, 2)
    })

    it("goes with each of the next three packets until the peer's is seen", () => {
      const [a, b] = established({}, {}, 0)
      assert.isDefined(a.tunnel.announcement)
      assert.strictEqual(sendCount(a, 1), 1, "seen: no more of it")

      b.restart()
      b.tunnel.connect(10)
      b.flush(10)
      for (const { bytes } of b.take()) a.receive(bytes, pathOf(b), 10)
      for (const { bytes } of a.take()) b.receive(bytes, pathOf(a), 10)
      const challenge = b.take().filter(({ bytes }) => bytes[3] === 0x53)
      a.receive(challenge[0]!.bytes, pathOf(b), 10)

      assert.isUndefined(a.tunnel.announcement, "a restarted peer may be another version")
      // The answer to the challenge was the first packet.
      assert.deepStrictEqual(
        [11, 12, 13, 14].map((nowMs) => sendCount(a, nowMs)),
        [2 + 3, 2, 1, 1]
      )
    })
  })

  it("drops a frame that another node sent", () => {
    const [a, b] = established()
    const stranger = { ...sealedOf(sendAndTake(b, 1)), sender: Address.NodeId(9) }

    assert.isUndefined(a.tunnel.open(stranger, pathOf(b), 1))
    assert.strictEqual(a.tunnel.counters.foreignSource, 1)
  })
})

const sendAndTake = (station: Station, nowMs: number): Sent => {
  station.send("x", nowMs)
  return station.take().find(({ bytes }) => success(TunnelFrame.decode(bytes))._tag === "Sealed")!
}

const sendCount = (station: Station, nowMs: number): number => {
  station.send("x", nowMs)
  return station.take().length
}

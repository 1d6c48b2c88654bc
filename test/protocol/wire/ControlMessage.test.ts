import { assert, describe, it } from "@effect/vitest"
import { Result } from "effect"
import * as Bytes from "../../../src/core/data/Bytes.ts"
import * as Address from "../../../src/protocol/wire/Address.ts"
import * as Announcement from "../../../src/protocol/wire/Announcement.ts"
import * as ControlMessage from "../../../src/protocol/wire/ControlMessage.ts"
import * as Packet from "../../../src/protocol/wire/Packet.ts"
import * as SizeProbe from "../../../src/protocol/wire/SizeProbe.ts"
import * as TunnelFrame from "../../../src/protocol/wire/TunnelFrame.ts"
import * as Arb from "../../support/Arbitraries.ts"
import { failure, hex, success } from "../../support/Vectors.ts"

const own = Address.make(0, 1)
const peer = Address.make(3, 2)

describe("ControlMessage", () => {
  it.prop(
    "a pong answers its ping (wire §12)",
    { port: Arb.port, payload: Arb.bytes(30), sequence: Arb.unsigned(32) },
    (given) => {
      const ping = ControlMessage.ping(
        own,
        peer,
        given.port,
        Bytes.concat(given.payload, Uint8Array.of(1)),
        given.sequence
      )
      const pong = ControlMessage.pong(ping, Address.make(0, 2))!

      assert.deepInclude(pong, { flags: Packet.Flag.Ack, source: peer, destination: own, window: 0 })
      assert.deepInclude(pong, { sourcePort: Address.Port(0), destinationPort: given.port, sequence: given.sequence })
      assert.strictEqual(pong.acknowledgement, (given.sequence + 1) % 2 ** 32)
      assert.deepStrictEqual(pong.payload, ping.payload)
      assert.deepInclude(ControlMessage.classify(pong), { _tag: "Pong", port: given.port, sequence: given.sequence })
    }
  )

  it.prop("no packet and its answer make a loop (wire §12)", { packet: Arb.packet }, ({ packet }) => {
    const pong = ControlMessage.pong(packet, own)
    if (pong !== undefined) assert.isUndefined(ControlMessage.pong(pong, peer))
  })

  it.prop(
    "only a control packet to port 0 without ACK is answered (wire §12)",
    { packet: Arb.packet },
    ({ packet }) => {
      if (
        packet.protocol !== Packet.Protocol.Control ||
        packet.destinationPort !== 0 ||
        (packet.flags & Packet.Flag.Ack) !== 0
      )
        assert.isUndefined(ControlMessage.pong(packet, own))
    }
  )

  it("answers a path probe that names no node from its own address (wire §15.2)", () => {
    const probe = ControlMessage.pathProbe(peer, Address.make(0, 0))

    assert.isTrue(ControlMessage.isPathProbe(probe))
    assert.deepStrictEqual(ControlMessage.pong(probe, own)?.source, own)
    assert.strictEqual(Bytes.toUtf8(probe.payload), "pathprobe.v1")
  })

  it("numbers a path probe, and its answer has the same number and says the same about itself", () => {
    for (const onlyMeasures of [true, false]) {
      const probe = ControlMessage.numbered(ControlMessage.pathProbe(peer, own), 7, onlyMeasures)
      const pong = ControlMessage.pong(probe, own)

      assert.isDefined(pong)
      assert.isTrue(ControlMessage.isPathProbe(pong))
      assert.strictEqual(pong.sequence, probe.sequence)
      assert.deepStrictEqual([probe, pong].map(ControlMessage.onlyMeasures), [onlyMeasures, onlyMeasures])
    }
  })

  it("drops a keepalive (wire §15.2)", () => {
    const keepalive = ControlMessage.keepalive(peer)

    assert.deepStrictEqual(ControlMessage.classify(keepalive), { _tag: "Keepalive", source: peer })
    assert.isUndefined(ControlMessage.pong(keepalive, own))
  })

  it.prop(
    "an announcement is recognised by port and content (wire §17)",
    { announced: Arb.announcement },
    ({ announced }) => {
      const packet = ControlMessage.announcement(own, peer, announced)

      assert.deepStrictEqual(ControlMessage.classify(packet), { _tag: "Announced", announcement: announced })
      assert.strictEqual(ControlMessage.classify({ ...packet, payload: Bytes.empty })._tag, "Ignored")
      assert.isUndefined(ControlMessage.pong(packet, peer))
    }
  )
})

describe("Announcement", () => {
  it.prop("decodes what it encodes (wire §17)", { announced: Arb.announcement }, ({ announced }) => {
    assert.deepStrictEqual(success(Announcement.decode(Announcement.encode(announced))), announced)
  })

  it("has the bytes of wire §17", () => {
    const capabilities = Announcement.Capability.HalfClose | Announcement.Capability.ServiceExtensions
    const announced = { capabilities, fields: [{ type: 7, value: Uint8Array.of(1, 2) }] }

    assert.strictEqual(Bytes.toHex(Announcement.encode(announced)), "4550580100000021" + "07020102")
    assert.isTrue(Announcement.has(announced, Announcement.Capability.HalfClose))
    assert.isFalse(Announcement.has(announced, Announcement.Capability.Recut))
    assert.isFalse(Announcement.has(announced, capabilities | Announcement.Capability.Recut))
    assert.isTrue(Announcement.has({ capabilities: 0xffffffff, fields: [] }, 0x80000000))
  })

  it("refuses another format, other bytes, and a field cut short", () => {
    assert.deepStrictEqual(failure(Announcement.decode(hex("4550580200000000"))), {
      _tag: "UnsupportedVersion",
      version: 2
    })
    assert.deepStrictEqual(failure(Announcement.decode(hex("4550590100000000"))), { _tag: "BadMagic" })
    assert.strictEqual(failure(Announcement.decode(hex("45505801000000")))._tag, "Truncated")
    assert.strictEqual(failure(Announcement.decode(hex("455058010000000007")))._tag, "Truncated")
    assert.strictEqual(failure(Announcement.decode(hex("45505801000000000702aa")))._tag, "Truncated")
  })

  it.prop(
    "a size probe makes a datagram of its size, and its answer says what arrived (wire §17)",
    { token: Arb.unsigned(32), datagramBytes: Arb.unsigned(16) },
    ({ token, datagramBytes: given }) => {
      const datagramBytes = Math.min(65_507, Math.max(78, given))
      const probe = ControlMessage.sizeProbe(own, peer, SizeProbe.SizeProbe.Probe({ token, datagramBytes }))
      const answer = SizeProbe.SizeProbe.Answer({ token, datagramBytes })

      assert.strictEqual(Packet.encode(probe).length + TunnelFrame.SEALED_OVERHEAD_BYTES, datagramBytes)
      assert.deepStrictEqual(ControlMessage.classify(probe), {
        _tag: "SizeProbed",
        probe: SizeProbe.SizeProbe.Probe({ token, datagramBytes })
      })
      assert.deepStrictEqual(ControlMessage.classify(ControlMessage.sizeProbe(peer, own, answer)), {
        _tag: "SizeProbed",
        probe: answer
      })
      assert.isUndefined(ControlMessage.pong(probe, peer))
    }
  )

  it.prop(
    "bytes that are no size probe are refused, never thrown at (wire §17)",
    { payload: Arb.bytes(16) },
    (given) => {
      const whole = SizeProbe.encode(SizeProbe.SizeProbe.Answer({ token: 1, datagramBytes: 2 }))

      assert.isTrue(Result.isFailure(SizeProbe.decode(given.payload)))
      for (let length = 0; length < whole.length; length++)
        assert.isTrue(Result.isFailure(SizeProbe.decode(whole.subarray(0, length))))
    }
  )
})

import { createHash } from "node:crypto"
import { crc32 } from "node:zlib"
import { assert, describe, it } from "@effect/vitest"
import { Result } from "effect"
import * as Bytes from "../../../src/core/data/Bytes.ts"
import * as Address from "../../../src/protocol/wire/Address.ts"
import * as Packet from "../../../src/protocol/wire/Packet.ts"
import * as Arb from "../../support/Arbitraries.ts"
import { failure, hex, success } from "../../support/Vectors.ts"
import vectors from "../../vectors/wire.json" with { type: "json" }

type Vector = Exclude<(typeof vectors.packet.vectors)[number], { readonly error_class: string }>

const encodable = vectors.packet.vectors.flatMap(
  (vector): ReadonlyArray<Vector> => (vector.error_class === undefined && vector.version === 1 ? [vector] : [])
)

const packetOf = (vector: Vector): Packet.Packet => ({
  flags: vector.flags,
  protocol: vector.protocol,
  source: success(Address.parse(vector.src)),
  destination: success(Address.parse(vector.dst)),
  sourcePort: Address.Port(vector.src_port),
  destinationPort: Address.Port(vector.dst_port),
  sequence: vector.seq,
  acknowledgement: vector.ack,
  window: vector.window,
  payload:
    vector.payload === undefined
      ? Uint8Array.from({ length: vector.payload_len }, (_, index) => index % 251)
      : hex(vector.payload)
})

/** Class of the reference's decoder for a failure of ours. */
const classOf = (bytes: Uint8Array): string => {
  const error = failure(Packet.decode(bytes))
  if (error._tag === "Truncated") return error.neededBytes === Packet.HEADER_BYTES ? "too_short" : "truncated"
  return error._tag === "ChecksumMismatch" ? "checksum_mismatch" : error._tag
}

describe("Packet", () => {
  for (const vector of encodable)
    it(`vector ${vector.name}`, () => {
      const packet = packetOf(vector)
      const encoded = Packet.encode(packet)

      assert.strictEqual(Bytes.toHex(encoded.subarray(0, Packet.HEADER_BYTES)), vector.header)
      if (vector.bytes !== undefined) assert.strictEqual(Bytes.toHex(encoded), vector.bytes)
      if (vector.bytes_sha256 !== undefined)
        assert.strictEqual(createHash("sha256").update(encoded).digest("hex"), vector.bytes_sha256)
      assert.deepStrictEqual(success(Packet.decode(encoded)), packet)
    })

  it("a payload that the length field cannot hold is a defect of the caller (wire §3)", () => {
    const packet = packetOf(encodable[0]!)
    assert.throws(() => Packet.encode({ ...packet, payload: new Uint8Array(Packet.PAYLOAD_BYTES_MAX + 1) }), RangeError)
  })

  for (const vector of vectors.packet_unmarshal.vectors)
    it(`decodes as the vector says: ${vector.name}`, () => {
      const bytes = hex(vector.bytes)

      if (!vector.ok) assert.strictEqual(classOf(bytes), vector.error_class)
      else if (vector.version === 1)
        assert.strictEqual(Bytes.toHex(success(Packet.decode(bytes)).payload), vector.payload)
      // The reference of v1.2 answers any version; the later one drops it, and so do we (wire §3).
      else
        assert.deepStrictEqual(failure(Packet.decode(bytes)), { _tag: "UnsupportedVersion", version: vector.version! })
    })

  it.prop(
    "decodes what it encodes, whatever follows (wire §3)",
    { packet: Arb.packet, tail: Arb.bytes(5) },
    (given) => {
      const encoded = Packet.encode(given.packet)

      assert.strictEqual(encoded.length, Packet.encodedBytes(given.packet))
      assert.deepStrictEqual(success(Packet.decode(Bytes.concat(encoded, given.tail))), given.packet)
    }
  )

  it.prop("encodes into the middle of a buffer and touches nothing else", { packet: Arb.packet }, ({ packet }) => {
    const target = new Uint8Array(Packet.encodedBytes(packet) + 7).fill(0xaa)

    const written = Packet.encodeInto(packet, target, 3)

    assert.deepStrictEqual(target.subarray(3, 3 + written), Packet.encode(packet))
    assert.deepStrictEqual([...target.subarray(0, 3), ...target.subarray(3 + written)], new Array(7).fill(0xaa))
  })

  it.prop(
    "notices any single damaged byte",
    { packet: Arb.packet, at: Arb.unsigned(16), by: Arb.integer(1, 255) },
    (given) => {
      const damaged = Packet.encode(given.packet)
      const at = given.at % damaged.length

      damaged[at] = damaged[at]! ^ given.by

      assert.isTrue(Result.isFailure(Packet.decode(damaged)))
    }
  )

  it.prop("another CRC-32 implementation changes nothing", { packet: Arb.packet }, ({ packet }) => {
    const native = (crc: number, bytes: Uint8Array, start: number, end: number) =>
      crc32(bytes.subarray(start, end), crc)

    const encoded = Packet.encode(packet, native)

    assert.deepStrictEqual(encoded, Packet.encode(packet))
    assert.deepStrictEqual(success(Packet.decode(encoded, native)), packet)
  })
})

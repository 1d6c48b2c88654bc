import { assert, describe, it } from "@effect/vitest"
import * as Bytes from "../../../src/core/data/Bytes.ts"
import * as TunnelFrame from "../../../src/protocol/wire/TunnelFrame.ts"
import * as Arb from "../../support/Arbitraries.ts"
import { failure, hex, success } from "../../support/Vectors.ts"
import vectors from "../../vectors/wire.json" with { type: "json" }

const TAGS: Record<string, TunnelFrame.TunnelFrame["_tag"]> = {
  PILT: "Plain",
  PILS: "Sealed",
  PILK: "KeyRequest",
  PILA: "KeyExchange",
  PILP: "Punch"
}

describe("TunnelFrame", () => {
  for (const vector of vectors.tunnel.frames)
    if (vector.frame !== undefined && vector.kind in TAGS)
      it(`vector ${vector.name}`, () => {
        const frame = success(TunnelFrame.decode(hex(vector.frame)))

        assert.strictEqual(frame._tag, TAGS[vector.kind])
        assert.strictEqual(Bytes.toHex(TunnelFrame.encode(frame)), vector.frame)
        if (frame._tag === "Sealed") {
          assert.strictEqual(frame.sender, vector.sender_node_id)
          assert.strictEqual(Bytes.toHex(frame.nonce), vector.nonce)
        }
        if (frame._tag === "Plain") assert.strictEqual(Bytes.toHex(frame.packet), vector.plaintext)
        if (frame._tag === "KeyExchange") assert.strictEqual(Bytes.toHex(frame.signature), vector.signature)
      })

  for (const vector of vectors.tunnel.negative)
    it(`layout of the refused vector: ${vector.name}`, () => {
      const decoded = TunnelFrame.decode(hex(vector.frame))

      if (vector.error_class === "too_short") assert.strictEqual(failure(decoded)._tag, "Truncated")
      else assert.strictEqual(Bytes.toHex(TunnelFrame.encode(success(decoded))), vector.frame)
    })

  it.prop("decodes what it encodes (wire §4)", { frame: Arb.tunnelFrame }, ({ frame }) => {
    const encoded = TunnelFrame.encode(frame)

    assert.strictEqual(TunnelFrame.classify(encoded), "Tunnel")
    assert.deepStrictEqual(success(TunnelFrame.decode(encoded)), frame)
  })

  it.prop(
    "ignores what follows key frames and punches (wire §4)",
    { frame: Arb.tunnelFrame, tail: Arb.bytes(9) },
    (given) => {
      if (given.frame._tag === "Plain" || given.frame._tag === "Sealed") return
      const encoded = Bytes.concat(TunnelFrame.encode(given.frame), given.tail)
      assert.deepStrictEqual(success(TunnelFrame.decode(encoded)), given.frame)
    }
  )

  it.prop(
    "every shorter prefix of a smallest frame is truncated",
    { frame: Arb.tunnelFrame, cut: Arb.unsigned(16) },
    (given) => {
      const smallest = { PILT: 38, PILS: 36, PILK: 40, PILA: 136, PILP: 4 }
      const encoded = TunnelFrame.encode(given.frame)
      const sizeBytes = smallest[Bytes.toUtf8(encoded.subarray(0, 4)) as keyof typeof smallest]

      const decoded = TunnelFrame.decode(encoded.subarray(0, given.cut % sizeBytes))

      assert.strictEqual(failure(decoded)._tag, "Truncated")
    }
  )

  it("tells beacon messages from frames by the first byte (wire §4)", () => {
    const kinds = [[], [0x00], [0x09], [0x0f], [0x10], [0x4f], [0x50], [0xff]].map((bytes) => Uint8Array.from(bytes))
    assert.deepStrictEqual(kinds.map(TunnelFrame.classify), [
      "Unknown",
      "Beacon",
      "Beacon",
      "Beacon",
      "Unknown",
      "Unknown",
      "Tunnel",
      "Unknown"
    ])
  })

  it("drops an unknown magic (wire §4)", () => {
    assert.deepStrictEqual(failure(TunnelFrame.decode(Bytes.fromUtf8("PILXxxxxxxxx"))), { _tag: "BadMagic" })
  })

  it("signs auth, node id and key, without a separator (wire §6.2)", () => {
    const { a } = vectors.tunnel.keys
    const key = hex(a.x25519_public)
    assert.strictEqual(Bytes.toHex(TunnelFrame.signedText(frameSender(), key)), `6175746800000101${a.x25519_public}`)
  })
})

const frameSender = () => {
  const frame = success(TunnelFrame.decode(hex(vectors.tunnel.frames[0]!.frame!)))
  if (frame._tag !== "Sealed") throw new TypeError("the first vector is a sealed frame")
  return frame.sender
}

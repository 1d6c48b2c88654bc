import { assert, describe, it } from "@effect/vitest"
import { Result } from "effect"
import * as Bytes from "../../../src/core/data/Bytes.ts"
import { NodeId } from "../../../src/protocol/wire/Address.ts"
import * as BeaconMessage from "../../../src/protocol/wire/BeaconMessage.ts"
import * as Arb from "../../support/Arbitraries.ts"
import { failure, hex, success } from "../../support/Vectors.ts"
import rendezvous from "../../vectors/rendezvous.json" with { type: "json" }
import wire from "../../vectors/wire.json" with { type: "json" }

/** Requests that the reference's beacon leaves unanswered because they are no message to it. */
const REFUSED: Record<string, string> = { discover_short: "Truncated", unknown_type: "UnknownType" }

const decodeHex = (text: string) => success(BeaconMessage.decode(hex(text)))

describe("BeaconMessage", () => {
  for (const vector of rendezvous.beacon) {
    const { name, request_hex, replies } = vector
    if (request_hex !== undefined)
      it(`request of the vector ${name}`, () => {
        const decoded = BeaconMessage.decode(hex(request_hex))

        if (name in REFUSED) assert.strictEqual(failure(decoded)._tag, REFUSED[name])
        // Whatever follows the fixed part is ignored, so only what was read comes back.
        else assert.isTrue(request_hex.startsWith(Bytes.toHex(BeaconMessage.encode(success(decoded)))))
      })
    for (const { hex: reply } of (replies ?? []).filter((reply) => typeof reply.hex === "string"))
      it(`reply ${reply} of the vector ${name}`, () => {
        assert.strictEqual(Bytes.toHex(BeaconMessage.encode(decodeHex(reply!))), reply)
      })
    for (const datagram of [vector.datagram_hex, vector.command_hex, ...(vector.datagrams_hex ?? [])])
      if (datagram !== undefined)
        it(`datagram ${datagram} of the vector ${name}`, () => {
          assert.strictEqual(Bytes.toHex(BeaconMessage.encode(decodeHex(datagram))), datagram)
        })
  }

  for (const vector of wire.tunnel.frames.filter(({ kind }) => kind.startsWith("relay")))
    it(`vector ${vector.name}`, () => {
      const message = decodeHex(vector.frame!)

      assert.strictEqual(message._tag, vector.kind === "relay 0x05" ? "Relay" : "RelayDeliver")
      if (message._tag === "Relay" || message._tag === "RelayDeliver")
        assert.strictEqual(Bytes.toHex(message.frame), wire.tunnel.frames[0]!.frame)
      assert.strictEqual(Bytes.toHex(BeaconMessage.encode(message)), vector.frame)
    })

  it("reads the punch grant of newer nodes (rendezvous §14.5)", () => {
    const vector = rendezvous.newer.find(({ name }) => name === "punch_request_with_grant")!
    const message = decodeHex(vector.datagram_hex!)

    assert.deepInclude(message, { _tag: "PunchRequest", requester: NodeId(1), target: NodeId(2) })
    if (message._tag === "PunchRequest") assert.strictEqual(message.grant?.expirySeconds, 1_800_000_000)
    assert.strictEqual(Bytes.toHex(BeaconMessage.encode(message)), vector.datagram_hex)
    assert.strictEqual(BeaconMessage.grantText(NodeId(1), NodeId(2), 1_800_000_000), "punch-grant:1:2:1800000000")
  })

  it.prop("decodes what it encodes (rendezvous §8)", { message: Arb.beaconMessage }, ({ message }) => {
    assert.deepStrictEqual(success(BeaconMessage.decode(BeaconMessage.encode(message))), message)
  })

  it.prop(
    "a prefix is another message of the same bytes, or refused",
    { message: Arb.beaconMessage, cut: Arb.unsigned(16) },
    ({ cut, message }) => {
      const encoded = BeaconMessage.encode(message)
      const prefix = encoded.subarray(0, cut % encoded.length)
      const decoded = BeaconMessage.decode(prefix)

      if (Result.isSuccess(decoded))
        assert.deepStrictEqual(
          BeaconMessage.encode(decoded.success),
          prefix.subarray(0, BeaconMessage.encode(decoded.success).length)
        )
    }
  )

  it("believes no count before the bytes are there", () => {
    const error = failure(BeaconMessage.decode(hex("0700000007ffff00000001")))
    assert.deepStrictEqual(error, { _tag: "Truncated", neededBytes: 7 + 4 * 0xffff, actualBytes: 11 })
  })

  it.prop(
    "bytes too few for a grant or a key are the trailing bytes everyone ignores (rendezvous §8)",
    { tail: Arb.bytes(31) },
    ({ tail }) => {
      const request = Bytes.concat(hex("030000000100000002"), tail)
      assert.deepInclude(success(BeaconMessage.decode(request)), { _tag: "PunchRequest", grant: undefined })
      const discover = Bytes.concat(hex("0100000001"), tail)
      assert.deepInclude(success(BeaconMessage.decode(discover)), { _tag: "Discover", identityKey: undefined })
    }
  )

  it("refuses an address of another length than 4 or 16", () => {
    assert.deepStrictEqual(failure(BeaconMessage.decode(hex("02057f00000100971b00"))), {
      _tag: "Malformed",
      detail: "IP length"
    })
  })
})

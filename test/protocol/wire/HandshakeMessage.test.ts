import { assert, describe, it } from "@effect/vitest"
import * as Bytes from "../../../src/core/data/Bytes.ts"
import { NodeId } from "../../../src/protocol/wire/Address.ts"
import * as HandshakeMessage from "../../../src/protocol/wire/HandshakeMessage.ts"
import * as Arb from "../../support/Arbitraries.ts"
import { failure, hex, success } from "../../support/Vectors.ts"
import vectors from "../../vectors/node.json" with { type: "json" }

describe("HandshakeMessage", () => {
  for (const vector of vectors.handshake.messages)
    it(`vector ${vector.name}`, () => {
      const message = success(HandshakeMessage.decode(hex(vector.hex)))

      assert.strictEqual(Bytes.toHex(HandshakeMessage.encode(message)), vector.hex)
      assert.strictEqual(Bytes.toUtf8(HandshakeMessage.encode(message)), vector.json)
      assert.strictEqual(HandshakeMessage.signedText(message.node, NodeId(vector.receiver_node_id)), vector.challenge)
    })

  it.prop("decodes what it encodes (node §2.1)", { message: Arb.handshakeMessage }, ({ message }) => {
    const encoded = HandshakeMessage.encode(message)

    if (encoded.length > HandshakeMessage.MESSAGE_BYTES_MAX)
      assert.strictEqual(failure(HandshakeMessage.decode(encoded))._tag, "LimitExceeded")
    else assert.deepStrictEqual(success(HandshakeMessage.decode(encoded)), message)
  })

  it("every spelling of a message encodes the same, so a replay is seen (node §2.2)", () => {
    const spelled = '{ "timestamp": 5.5, "extra": [1], "type":"handshake_accept", "node_id": 7, "reason":null }'
    const message = success(HandshakeMessage.decode(Bytes.fromUtf8(spelled)))

    assert.strictEqual(
      Bytes.toUtf8(HandshakeMessage.encode(message)),
      '{"type":"handshake_accept","node_id":7,"public_key":"","justification":"","signature":"","reason":"","timestamp":5}'
    )
  })

  it("refuses what is no message, naming the member", () => {
    const decode = (text: string) => failure(HandshakeMessage.decode(Bytes.fromUtf8(text)))

    assert.deepStrictEqual(decode("[]"), { _tag: "Malformed", detail: "JSON" })
    assert.deepStrictEqual(decode('{"type":"handshake_hello"}'), { _tag: "Malformed", detail: "type" })
    assert.deepStrictEqual(decode('{"type":"handshake_revoke","public_key":"AAAA"}'), {
      _tag: "Malformed",
      detail: "public_key"
    })
    assert.deepStrictEqual(decode('{"type":"handshake_revoke","signature":"?"}'), {
      _tag: "Malformed",
      detail: "signature"
    })
    assert.deepStrictEqual(decode(" ".repeat(4097)), { _tag: "LimitExceeded", limit: 4096, actual: 4097 })
  })
})

import { assert, describe, it } from "@effect/vitest"
import { Result } from "effect"
import * as Bytes from "../../../src/core/data/Bytes.ts"
import * as Address from "../../../src/protocol/wire/Address.ts"
import * as Arb from "../../support/Arbitraries.ts"
import { failure, hex, success } from "../../support/Vectors.ts"
import vectors from "../../vectors/wire.json" with { type: "json" }

describe("Address", () => {
  for (const vector of vectors.address.format)
    it(`vector ${vector.name}`, () => {
      const address = Address.make(vector.network, vector.node)

      assert.strictEqual(Address.format(address), vector.text)
      assert.strictEqual(Bytes.toHex(Address.encode(address)), vector.bytes)
      assert.deepStrictEqual(Address.decodeAt(hex(vector.bytes), 0), address)
      assert.strictEqual(Address.isBroadcast(address), vector.is_broadcast)
      assert.strictEqual(Address.isUnspecified(address), vector.is_zero)
    })

  for (const vector of vectors.address.parse)
    it(`vector ${vector.name}`, () => {
      const parsed = Address.parse(vector.input)

      if (vector.ok) {
        assert.strictEqual(Bytes.toHex(Address.encode(success(parsed))), vector.bytes)
        assert.strictEqual(Address.format(success(parsed)), vector.canonical)
      } else assert.strictEqual(failure(parsed), vector.error_class)
    })

  for (const vector of vectors.address.socket)
    it(`vector ${vector.name}`, () => {
      const parsed = Address.parseSocket(vector.input)

      assert.strictEqual(Result.isSuccess(parsed), vector.ok)
      if (Result.isSuccess(parsed)) {
        assert.strictEqual(Bytes.toHex(Address.encode(parsed.success.address)), vector.addr_bytes)
        assert.strictEqual(Address.formatSocket(parsed.success), vector.canonical)
        assert.strictEqual(parsed.success.port, vector.port)
      }
    })

  it.prop("text and bytes give the address back (wire §1)", { address: Arb.address, port: Arb.port }, (socket) => {
    assert.deepStrictEqual(success(Address.parse(Address.format(socket.address))), socket.address)
    assert.deepStrictEqual(success(Address.parseSocket(Address.formatSocket(socket))), socket)
    assert.deepStrictEqual(Address.decodeAt(Address.encode(socket.address), 0), socket.address)
  })

  it.prop(
    "a text that parses is its own canonical form but for case and leading zeros",
    { text: Arb.text },
    ({ text }) => {
      const parsed = Address.parse(text)
      if (Result.isSuccess(parsed)) {
        assert.strictEqual(Address.format(parsed.success), text.toUpperCase().replace(/^0+(?=[0-9])/, ""))
      }
    }
  )
})

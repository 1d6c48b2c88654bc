import { assert, describe, it } from "@effect/vitest"
import * as Bytes from "../../../src/core/data/Bytes.ts"
import * as Arb from "../../support/Arbitraries.ts"

describe("Bytes", () => {
  it.prop(
    "reads back what it writes, at any offset",
    { value: Arb.unsigned(32), offset: Arb.integer(0, 5) },
    (given) => {
      const target = new Uint8Array(16)

      Bytes.writeU32(target, given.offset, given.value)
      assert.strictEqual(Bytes.readU32(target, given.offset), given.value)

      Bytes.writeU16(target, given.offset, given.value & 0xffff)
      assert.strictEqual(Bytes.readU16(target, given.offset), given.value & 0xffff)
    }
  )

  it.prop(
    "64 bits carry every whole number a number can",
    { high: Arb.integer(0, 0x1fffff), low: Arb.unsigned(32) },
    (given) => {
      const value = given.high * 2 ** 32 + given.low
      const target = new Uint8Array(8)

      Bytes.writeU64(target, 0, value)

      assert.strictEqual(Bytes.readU64(target, 0), value)
      assert.deepStrictEqual(
        target,
        Uint8Array.from({ length: 8 }, (_, i) => Number((BigInt(value) >> BigInt(56 - 8 * i)) & 255n))
      )
    }
  )

  it("64 bits above 2^53 - 1 are refused instead of rounded", () => {
    assert.strictEqual(Bytes.readU64(Uint8Array.of(0, 0x1f, 255, 255, 255, 255, 255, 255), 0), Number.MAX_SAFE_INTEGER)
    assert.isUndefined(Bytes.readU64(Uint8Array.of(0, 0x20, 0, 0, 0, 0, 0, 0), 0))
  })

  it.prop("hexadecimal and base64 give the bytes back", { value: Arb.bytes(70) }, ({ value }) => {
    assert.deepStrictEqual(Bytes.fromHex(Bytes.toHex(value)), value)
    assert.deepStrictEqual(Bytes.fromHex(Bytes.toHex(value).toUpperCase()), value)
    assert.deepStrictEqual(Bytes.fromBase64(Bytes.toBase64(value)), value)
    assert.strictEqual(Bytes.toBase64(value), Buffer.from(value).toString("base64"))
  })

  it("base64 has one spelling (RFC 4648 §3.5)", () => {
    const spellings = ["Zg", "Zg=", "Zh==", "Zg==\n", "Zg= =", "Zg==Zg==", "====", "Z===", "Zm9v-_==", "=Zg="]
    assert.deepStrictEqual(
      spellings.map(Bytes.fromBase64),
      spellings.map(() => undefined)
    )
    assert.deepStrictEqual(Bytes.fromBase64("Zg=="), Uint8Array.of(0x66))
    assert.deepStrictEqual(Bytes.fromBase64(""), Bytes.empty)
  })

  it("the lenient reader skips line ends and spare bits only (rendezvous §2.2)", () => {
    assert.deepStrictEqual(Bytes.fromBase64Lenient("Z\r\nh=\n="), Uint8Array.of(0x66))
    assert.isUndefined(Bytes.fromBase64Lenient("Zg = ="))
    assert.isUndefined(Bytes.fromBase64Lenient("Zg"))
  })

  it.prop("strict UTF-8 accepts exactly what encodes back", { value: Arb.bytes(12) }, ({ value }) => {
    const text = Bytes.toUtf8(value)
    if (text === undefined) assert.notDeepEqual(Bytes.fromUtf8(Buffer.from(value).toString()), value)
    else assert.deepStrictEqual(Bytes.fromUtf8(text), value)
  })

  it.prop("lossy UTF-8 keeps every well-formed piece", { value: Arb.bytes(12), text: Arb.utf8 }, ({ text, value }) => {
    const around = Bytes.concat(value, Uint8Array.of(0xff), Bytes.fromUtf8(text), Uint8Array.of(0xff), value)
    const lossy = Bytes.toUtf8Lossy(around)

    assert.include(lossy, `\ufffd${text}\ufffd`)
    assert.strictEqual(lossy, `${Bytes.toUtf8Lossy(value)}\ufffd${text}\ufffd${Bytes.toUtf8Lossy(value)}`)
    assert.strictEqual(Bytes.toUtf8(Bytes.fromUtf8(lossy)), lossy)
    // The platform replaces whole ill-formed sequences, we each byte of them: the rest is the same.
    assert.strictEqual(lossy.replaceAll("\ufffd", ""), Buffer.from(around).toString().replaceAll("\ufffd", ""))
  })

  it("lossy UTF-8 replaces each bad byte by one U+FFFD", () => {
    assert.strictEqual(Bytes.toUtf8Lossy(Uint8Array.of(0xff, 0xfe, 0x61)), "\ufffd\ufffda")
    assert.strictEqual(Bytes.toUtf8Lossy(Uint8Array.of(0xe2, 0x82, 0x61)), "\ufffd\ufffda")
    assert.strictEqual(Bytes.toUtf8Lossy(Uint8Array.of(0xc3, 0xa9, 0xed, 0xa0, 0x80)), "é\ufffd\ufffd\ufffd")
    assert.strictEqual(Bytes.toUtf8Lossy(Uint8Array.of(0xf0, 0x9d, 0x84, 0x9e, 0xf0)), "𝄞\ufffd")
  })

  it.prop("order agrees with equality and with concatenation", { a: Arb.bytes(4), b: Arb.bytes(4) }, ({ a, b }) => {
    assert.strictEqual(Bytes.equals(a, b), Bytes.compare(a, b) === 0)
    assert.strictEqual(Math.sign(Bytes.compare(a, b)), Buffer.compare(a, b))
    assert.isTrue(Bytes.compare(a, Bytes.concat(a, b)) <= 0)
    assert.strictEqual(Bytes.concat(a, b).length, a.length + b.length)
  })
})

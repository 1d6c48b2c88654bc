/** What every implementation of `Crypto` must do: the vectors of the reference, and answers instead of throws. */
import { assert, describe, it } from "@effect/vitest"
import { Arbitrary } from "effect"
import type { Crypto } from "../../src/core/crypto/Crypto.ts"
import * as Bytes from "../../src/core/data/Bytes.ts"
import vectors from "../vectors/wire.json" with { type: "json" }
import { bytes, bytesOf } from "./Arbitraries.ts"
import { hex } from "./Vectors.ts"

/** Registers the suite for one implementation. */
export const cryptoSuite = (name: string, crypto: Crypto["Service"]): void => {
  describe(name, () => {
    describe("AES-256-GCM", () => sealing(crypto))
    describe("X25519", () => agreement(crypto))
    describe("Ed25519", () => signatures(crypto))
    describe("hashes and randomness", () => hashes(crypto))
  })
}

const sealing = (crypto: Crypto["Service"]): void => {
  const aead = crypto.aes256Gcm(hex(vectors.tunnel_new.key_hkdf))

  it("opens and seals a frame of the reference with additional data (vectors tunnel_new)", () => {
    for (const { aad, frame, nonce, plaintext } of vectors.tunnel_new.frames) {
      const sealed = hex(frame.slice(40))

      assert.strictEqual(Bytes.toHex(aead.seal(hex(nonce), hex(plaintext), hex(aad))), Bytes.toHex(sealed))
      assert.strictEqual(opened(aead.open(hex(nonce), sealed, hex(aad))), plaintext)
      assert.isUndefined(aead.open(hex(nonce), sealed))
    }
  })

  it.prop(
    "opens what it sealed, and puts a header before it unchanged",
    TEXTS,
    ({ nonce, plaintext, data, header }) => {
      const sealed = aead.seal(nonce, plaintext, data)

      assert.strictEqual(sealed.length, plaintext.length + 16)
      assert.strictEqual(opened(aead.open(nonce, sealed, data)), Bytes.toHex(plaintext))
      assert.strictEqual(
        Bytes.toHex(aead.sealAfter(header, nonce, plaintext, data)),
        Bytes.toHex(header) + Bytes.toHex(sealed)
      )
      const half = plaintext.length >> 1
      const pieces = aead.sealPieces(header, nonce, [plaintext.subarray(0, half), plaintext.subarray(half)], data)
      assert.strictEqual(Bytes.toHex(Bytes.join(pieces)), Bytes.toHex(header) + Bytes.toHex(sealed))
    }
  )

  it.prop("never opens what was altered by one bit anywhere", TEXTS, ({ nonce, plaintext, data, at }) => {
    const sealed = aead.seal(nonce, plaintext, data)

    assert.isUndefined(aead.open(nonce, flipped(sealed, at), data))
    assert.isUndefined(aead.open(flipped(nonce, at), sealed, data))
    assert.isUndefined(aead.open(nonce, sealed, flipped(data, at)))
  })

  it.prop("answers any bytes, nonces and additional data without throwing", ANY, ({ a, b, c }) => {
    assert.isUndefined(aead.open(a, b, c))
    assert.isUndefined(aead.open(a, b))
  })
}

const agreement = (crypto: Crypto["Service"]): void => {
  it("agrees on the secret of the vectors from both sides", () => {
    const { a, b } = vectors.tunnel.keys
    const [first, second] = [a, b].map(({ x25519_private }) => crypto.agreementKey(hex(x25519_private)))

    assert.strictEqual(Bytes.toHex(first!.publicKey), a.x25519_public)
    assert.strictEqual(Bytes.toHex(second!.publicKey), b.x25519_public)
    assert.strictEqual(opened(first!.agree(second!.publicKey)), vectors.tunnel.keys.shared_secret)
    assert.strictEqual(opened(second!.agree(first!.publicKey)), vectors.tunnel.keys.shared_secret)
  })

  it("makes a new key pair each time it is asked for one", () => {
    assert.notStrictEqual(Bytes.toHex(crypto.agreementKey().publicKey), Bytes.toHex(crypto.agreementKey().publicKey))
  })

  it("has no secret with a point of low order (RFC 7748 §6.1)", () => {
    for (const point of LOW_ORDER_POINTS) {
      assert.isUndefined(crypto.agreementKey().agree(hex(point)))
      // The top bit of the encoding is ignored (RFC 7748 §5).
      assert.isUndefined(crypto.agreementKey().agree(flipped(hex(point), 255)))
    }
  })

  it.prop("answers a key of any length without throwing", { key: bytes(80) }, ({ key }) => {
    const secret = crypto.agreementKey(PRIVATE_KEY).agree(key)

    assert.strictEqual(secret?.length, key.length === 32 ? 32 : undefined)
  })

  it("refuses a private key of our own with another length, as a defect", () => {
    assert.throws(() => crypto.agreementKey(new Uint8Array(31)), RangeError)
    assert.throws(() => crypto.signingKey(new Uint8Array(33)), RangeError)
    assert.throws(() => crypto.aes256Gcm(new Uint8Array(16)), RangeError)
  })
}

const signatures = (crypto: Crypto["Service"]): void => {
  it("signs and verifies as the vectors do (vectors identity)", () => {
    const key = crypto.signingKey(hex(vectors.identity.seed))

    assert.strictEqual(Bytes.toHex(key.publicKey), vectors.identity.public)
    for (const { message, signature, verifies } of vectors.identity.sign) {
      const bytes = new TextEncoder().encode(message)
      if (verifies) assert.strictEqual(Bytes.toHex(key.sign(bytes)), signature)
      assert.strictEqual(crypto.verify(key.publicKey, bytes, hex(signature)), verifies)
    }
  })

  it.prop("verifies its own signature and no altered one", TEXTS, ({ plaintext, at }) => {
    const key = crypto.signingKey(PRIVATE_KEY)
    const signature = key.sign(plaintext)

    assert.isTrue(crypto.verify(key.publicKey, plaintext, signature))
    assert.isFalse(crypto.verify(key.publicKey, plaintext, flipped(signature, at)))
    assert.isFalse(crypto.verify(flipped(key.publicKey, at), plaintext, signature))
    assert.isFalse(crypto.verify(key.publicKey, flipped(Uint8Array.of(...plaintext, 0), at), signature))
  })

  it("accepts no signature under a key of small order", () => {
    // With R = S·B such a signature holds for one message in eight or more, and takes no private key to make.
    for (const point of SMALL_ORDER_KEYS) {
      const key = hex(point)
      for (let message = 0; message < 32; message++) {
        assert.isFalse(crypto.verify(key, Uint8Array.of(message), SIGNATURE_FOR_ANYTHING))
        assert.isFalse(crypto.verify(flipped(key, 255), Uint8Array.of(message), SIGNATURE_FOR_ANYTHING))
      }
    }
  })

  it("refuses a signature whose scalar is not reduced (RFC 8032 §5.1.7)", () => {
    const key = crypto.signingKey(PRIVATE_KEY)
    const message = Uint8Array.of(1, 2, 3)

    assert.isFalse(crypto.verify(key.publicKey, message, withUnreducedScalar(key.sign(message))))
  })

  it.prop("answers any key, message and signature without throwing", ANY, ({ a, b, c }) => {
    assert.isFalse(crypto.verify(a, b, c))
    assert.isFalse(crypto.verify(PRIVATE_KEY, b, c))
  })
}

const hashes = (crypto: Crypto["Service"]): void => {
  it("hashes the examples of FIPS 180-4 and RFC 4231 §4.2", () => {
    assert.strictEqual(
      Bytes.toHex(crypto.sha256(new TextEncoder().encode("abc"))),
      "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    )
    assert.strictEqual(
      Bytes.toHex(crypto.hmacSha256(new Uint8Array(20).fill(0x0b), new TextEncoder().encode("Hi There"))),
      "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"
    )
  })

  it("makes keys of passphrases as the example of RFC 7914 §12 does", () => {
    const utf8 = (text: string) => new TextEncoder().encode(text)
    const key = crypto.scrypt(utf8("pleaseletmein"), utf8("SodiumChloride"), { n: 16_384, r: 8, p: 1 })

    assert.strictEqual(Bytes.toHex(key), "7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1f2")
  })

  it("keys an HMAC with an empty key, as the later key derivation needs (wire §15.1)", () => {
    const prk = crypto.hmacSha256(new Uint8Array(0), hex(vectors.tunnel.keys.shared_secret))

    assert.strictEqual(Bytes.toHex(prk), vectors.tunnel_new.prk)
  })

  it("draws as many random bytes as asked for, and other ones each time", () => {
    assert.deepStrictEqual(
      [0, 1, 32].map((size) => crypto.randomBytes(size).length),
      [0, 1, 32]
    )
    assert.notStrictEqual(Bytes.toHex(crypto.randomBytes(16)), Bytes.toHex(crypto.randomBytes(16)))
  })
}

/** One bit of `bytes` inverted, chosen by `at`. */
const flipped = (bytes: Uint8Array, at: number): Uint8Array => {
  const copy = Uint8Array.from(bytes)
  const bit = at % (copy.length * 8)
  copy[bit >> 3]! ^= 1 << (bit & 7)
  return copy
}

/** The same signature with the group order added to its scalar. */
const withUnreducedScalar = (signature: Uint8Array): Uint8Array => {
  const copy = Uint8Array.from(signature)
  let carry = 0
  ORDER.forEach((byte, index) => {
    const sum = copy[32 + index]! + byte + carry
    copy[32 + index] = sum & 0xff
    carry = sum >> 8
  })
  return copy
}

const opened = (bytes: Uint8Array | undefined): string => (bytes === undefined ? "refused" : Bytes.toHex(bytes))

const PRIVATE_KEY = hex("101112131415161718191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f")
/** R = 5·B, S = 5. */
const SIGNATURE_FOR_ANYTHING = hex(
  `edc876d6831fd2105d0b4389ca2e283166469289146e2ce06faefe98b22548df05${"00".repeat(31)}`
)
const ORDER = hex("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010")

const TEXTS = {
  nonce: bytesOf(12),
  plaintext: bytes(200),
  data: bytesOf(4),
  header: bytes(20),
  at: bytesOf(2).pipe(Arbitrary.map(([high, low]) => (high! << 8) | low!))
}
const ANY = {
  a: bytes(40),
  b: bytes(80),
  c: bytes(70)
}

/** Every u coordinate whose multiples by a clamped scalar are zero, canonical or not. */
const LOW_ORDER_POINTS = [
  "0000000000000000000000000000000000000000000000000000000000000000",
  "0100000000000000000000000000000000000000000000000000000000000000",
  "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
  "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
  "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"
]

const SMALL_ORDER_KEYS = [
  "0000000000000000000000000000000000000000000000000000000000000000",
  "0100000000000000000000000000000000000000000000000000000000000000",
  "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
  "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
  "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"
]

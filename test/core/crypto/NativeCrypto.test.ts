import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { Crypto } from "../../../src/core/crypto/Crypto.ts"
import * as NativeCrypto from "../../../src/core/crypto/NativeCrypto.ts"
import * as PortableCrypto from "../../../src/core/crypto/PortableCrypto.ts"
import * as Bytes from "../../../src/core/data/Bytes.ts"
import { bytes, bytesOf } from "../../support/Arbitraries.ts"
import { cryptoSuite } from "../../support/CryptoSuite.ts"

cryptoSuite("NativeCrypto", NativeCrypto.crypto)

describe("NativeCrypto's random bytes", () => {
  it("are drawn once, however few at a time, and shared with nobody", () => {
    const drawn = Array.from({ length: 3000 }, (_, index) => NativeCrypto.crypto.randomBytes(9 + (index % 8)))

    assert.strictEqual(new Set(drawn.map((bytes) => Bytes.toHex(bytes.subarray(0, 9)))).size, drawn.length)
    assert.isTrue(drawn.every((bytes, index) => bytes.length === 9 + (index % 8)))
    assert.isTrue(drawn.every((bytes) => bytes.buffer.byteLength === bytes.length))
  })
})

describe("NativeCrypto beside its oracle", () => {
  const native = NativeCrypto.crypto
  const portable = PortableCrypto.crypto
  const KEY = bytesOf(32)

  it.prop(
    "seals and opens the same bytes",
    {
      key: KEY,
      nonce: bytesOf(12),
      text: bytes(100),
      data: bytes(20)
    },
    ({ key, nonce, text, data }) => {
      const [ours, theirs] = [native.aes256Gcm(key), portable.aes256Gcm(key)]
      const sealed = ours.seal(nonce, text, data)

      assert.strictEqual(Bytes.toHex(sealed), Bytes.toHex(theirs.seal(nonce, text, data)))
      assert.strictEqual(encodeOrRefused(theirs.open(nonce, sealed, data)), Bytes.toHex(text))
    }
  )

  it.prop("agrees on the same secret with any peer key", { key: KEY, peer: KEY }, ({ key, peer }) => {
    const [ours, theirs] = [native.agreementKey(key), portable.agreementKey(key)]

    assert.strictEqual(Bytes.toHex(ours.publicKey), Bytes.toHex(theirs.publicKey))
    assert.strictEqual(encodeOrRefused(ours.agree(peer)), encodeOrRefused(theirs.agree(peer)))
  })

  it.prop("signs the same and verifies the other's", { seed: KEY, text: bytes(100) }, ({ seed, text }) => {
    const [ours, theirs] = [native.signingKey(seed), portable.signingKey(seed)]
    const signature = ours.sign(text)

    assert.strictEqual(Bytes.toHex(ours.publicKey), Bytes.toHex(theirs.publicKey))
    assert.strictEqual(Bytes.toHex(signature), Bytes.toHex(theirs.sign(text)))
    assert.isTrue(portable.verify(ours.publicKey, text, signature))
  })

  it.prop("hashes the same", { key: bytes(100), text: bytes(200) }, ({ key, text }) => {
    assert.strictEqual(Bytes.toHex(native.sha256(text)), Bytes.toHex(portable.sha256(text)))
    assert.strictEqual(Bytes.toHex(native.hmacSha256(key, text)), Bytes.toHex(portable.hmacSha256(key, text)))
  })

  it.effect("is what its layer provides", () =>
    Effect.gen(function* () {
      const crypto = yield* Crypto
      assert.strictEqual(crypto, native)
    }).pipe(Effect.provide(NativeCrypto.layer))
  )
})

const encodeOrRefused = (bytes: Uint8Array | undefined): string =>
  bytes === undefined ? "refused" : Bytes.toHex(bytes)

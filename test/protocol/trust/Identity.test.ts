import { assert, describe, it } from "@effect/vitest"
import { Result } from "effect"
import { crypto } from "../../../src/core/crypto/NativeCrypto.ts"
import * as Bytes from "../../../src/core/data/Bytes.ts"
import * as Identity from "../../../src/protocol/trust/Identity.ts"
import { bytes, bytesOf, text } from "../../support/Arbitraries.ts"
import { hex, success } from "../../support/Vectors.ts"
import vectors from "../../vectors/wire.json" with { type: "json" }

const publicKeyOf = (seed: Uint8Array) => crypto.signingKey(seed).publicKey
const identityOf = (seed: Uint8Array): Identity.Identity => ({ seed, publicKey: publicKeyOf(seed) })

describe("Identity", () => {
  const expected = identityOf(hex(vectors.identity.seed))

  it("writes keys and file as the reference does (vectors identity)", () => {
    assert.strictEqual(Bytes.toHex(expected.publicKey), vectors.identity.public)
    assert.strictEqual(Identity.encodePublicKey(expected.publicKey), vectors.identity.public_base64)
    assert.strictEqual(Identity.encodePrivateKey(expected), vectors.identity.private_base64)
    assert.strictEqual(Identity.encodeFile(expected), vectors.identity.file_as_saved)
  })

  it.for(vectors.identity.load)("loads as the reference does: $name (vectors identity)", ({ file, ok }) => {
    const decoded = Identity.decodeFile(file, publicKeyOf)

    assert.strictEqual(Result.isSuccess(decoded), ok)
    if (ok) assert.deepStrictEqual(success(decoded), expected)
  })

  it("tells a file that is none from keys that do not belong together", () => {
    const other = identityOf(new Uint8Array(32))
    const mixed = [
      Identity.encodeFile({ seed: other.seed, publicKey: expected.publicKey }),
      Identity.encodeFile(expected).replace(vectors.identity.public_base64, Identity.encodePublicKey(other.publicKey))
    ]

    for (const file of mixed) assert.deepStrictEqual(Identity.decodeFile(file, publicKeyOf), Result.fail("KeyMismatch"))
    for (const file of ["{}", "[]", "null", `${Identity.encodeFile(expected)}x`])
      assert.deepStrictEqual(Identity.decodeFile(file, publicKeyOf), Result.fail("Malformed"))
  })

  it("refuses hexadecimal, URL-safe, unpadded and short public keys (wire §5)", () => {
    const key = new Uint8Array(32).fill(0xfb)
    const base64 = Identity.encodePublicKey(key)

    assert.deepStrictEqual(Identity.decodePublicKey(base64), key)
    const urlSafe = base64.replaceAll("+", "-").replaceAll("/", "_")
    for (const spelling of [Bytes.toHex(key), urlSafe, base64.slice(0, -1), Bytes.toBase64(key.subarray(1)), ""])
      assert.isUndefined(Identity.decodePublicKey(spelling), spelling)
  })

  it.prop("reads what it wrote", { seed: bytesOf(32) }, ({ seed }) => {
    const identity = identityOf(seed)

    assert.deepStrictEqual(success(Identity.decodeFile(Identity.encodeFile(identity), publicKeyOf)), identity)
  })

  it.prop("answers any text without throwing", { any: text, noise: bytes(100) }, ({ any, noise }) => {
    assert.isTrue(Result.isFailure(Identity.decodeFile(any, publicKeyOf)))
    assert.isTrue(Result.isFailure(Identity.decodeFile(Bytes.toUtf8Lossy(noise), publicKeyOf)))
  })
})

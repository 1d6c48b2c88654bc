import { assert, describe, it } from "@effect/vitest"
import { Result } from "effect"
import * as NativeCrypto from "../../../src/core/crypto/NativeCrypto.ts"
import * as SealedText from "../../../src/core/crypto/SealedText.ts"
import * as Json from "../../../src/core/data/Json.ts"

const { crypto } = NativeCrypto
/** The cheapest that is read. */
const COST = { n: 16_384, r: 8, p: 1 }
const TEXT = "the key of this node ✓"
const sealed = SealedText.sealer(crypto, "correct horse", "identity", COST).seal(TEXT)
const object = Json.parseObject(sealed)!
const errorOf = (text: string, passphrase = "correct horse", purpose = "identity") =>
  Result.match(SealedText.open(crypto, text, passphrase, purpose), {
    onFailure: (error) => error,
    onSuccess: () => undefined
  })
const changed = (members: Json.JsonObject) => JSON.stringify({ ...object, ...members })

describe("SealedText", () => {
  it("opens with the passphrase, in any spelling of its characters, and writes a successor", () => {
    const opened = Result.getOrThrow(SealedText.open(crypto, sealed, "correct horse", "identity"))
    const again = opened.seal("another")

    assert.strictEqual(opened.text, TEXT)
    assert.strictEqual(Result.getOrThrow(SealedText.open(crypto, again, "correct horse", "identity")).text, "another")
    const composed = SealedText.sealer(crypto, "caf\u00e9", "identity", COST).seal(TEXT)
    assert.strictEqual(errorOf(composed, "cafe\u0301"), undefined)
  })

  it("holds nothing of the text, and says that it is sealed", () => {
    assert.isFalse(sealed.includes("key of this node"))
    assert.isTrue(SealedText.isSealed(sealed))
    assert.isFalse(SealedText.isSealed("{}"))
    assert.isFalse(SealedText.isSealed("no JSON"))
  })

  it("tells a wrong passphrase, damage, another purpose, costs out of bounds and foreign files apart", () => {
    assert.strictEqual(errorOf(sealed, "wrong"), "WrongPassphrase")
    assert.strictEqual(errorOf(sealed, "correct horse", "backup"), "OtherPurpose")
    assert.strictEqual(
      errorOf(changed({ data: Json.string(object, "data").replace(/^./, "A").replace(/.{4}$/, "AAAA") })),
      "Damaged"
    )
    assert.strictEqual(errorOf(sealed.slice(0, -20)), "Malformed")
    assert.strictEqual(errorOf(changed({ sealed: "effect-pilot/2" })), "Malformed")
    assert.strictEqual(errorOf(changed({ kdf: "argon2id" })), "Malformed")
    assert.strictEqual(errorOf(changed({ salt: "AAAA" })), "Malformed")
    assert.strictEqual(errorOf("garbage"), "Malformed")
    for (const cost of [{ n: 2 ** 30 }, { n: 16_385 }, { n: 1024 }, { r: 4096 }, { p: 10_000 }, { n: 0 }])
      assert.strictEqual(errorOf(changed(cost)), "TooCostly")
  })

  it("authenticates what it says about itself", () => {
    assert.strictEqual(errorOf(changed({ p: 2 })), "WrongPassphrase")
    assert.strictEqual(errorOf(changed({ purpose: "backup" }), "correct horse", "backup"), "WrongPassphrase")
  })
})

import { assert, describe, it } from "@effect/vitest"
import { Result } from "effect"
import * as NativeCrypto from "../../../src/core/crypto/NativeCrypto.ts"
import * as Bytes from "../../../src/core/data/Bytes.ts"
import * as KeyChain from "../../../src/protocol/identity/KeyChain.ts"
import * as KeyStatement from "../../../src/protocol/identity/KeyStatement.ts"
import { cancel, enrol, key, rotate } from "../../support/KeyChains.ts"
import { failure, hex, success } from "../../support/Vectors.ts"
import vectors from "../../vectors/identity.json" with { type: "json" }

const { verify } = NativeCrypto.crypto
const EACH = [
  enrol(1, 9),
  enrol(1, 8, 9),
  rotate(1, 2),
  rotate(1, 2, { by: "recovery", recovery: 9 }),
  cancel(1, 2),
  cancel(1, 2, { by: "recovery", recovery: 9 })
]

describe("KeyStatement", () => {
  it("is read as it was written, and is genuine", () => {
    for (const statement of EACH) {
      const bytes = KeyStatement.encode(statement)
      assert.strictEqual(bytes.length, KeyStatement.STATEMENT_BYTES)
      assert.deepStrictEqual(success(KeyStatement.decode(bytes)), statement)
      assert.isTrue(KeyStatement.isGenuine(statement, verify))
    }
  })

  it("has the bytes of the vectors", () => {
    const made = [
      ["enrol", enrol(1, 9)],
      ["rotate by the key", rotate(1, 2)],
      ["rotate by recovery", rotate(1, 2, { by: "recovery", recovery: 9 })],
      ["cancel by the key", cancel(1, 2)]
    ] as const

    assert.deepStrictEqual(
      made.map(([name, statement]) => ({ name, hex: Bytes.toHex(KeyStatement.encode(statement)) })),
      vectors.statements
    )
    assert.strictEqual(Bytes.toHex(KeyChain.encode(made.map(([, statement]) => statement))), vectors.chain)
    for (const { hex: text } of vectors.statements)
      assert.isTrue(KeyStatement.isGenuine(success(KeyStatement.decode(hex(text))), verify))
  })

  it("is void with any bit of it changed", () => {
    for (const statement of EACH) {
      const bytes = KeyStatement.encode(statement)
      for (let bit = 0; bit < bytes.length * 8; bit += 13) {
        const changed = bytes.slice()
        changed[bit >> 3]! ^= 1 << (bit & 7)
        const decoded = KeyStatement.decode(changed)
        if (Result.isSuccess(decoded)) assert.isFalse(KeyStatement.isGenuine(decoded.success, verify), `bit ${bit}`)
      }
    }
  })

  it("needs the consent of the new key, so nobody's key is drawn into a chain", () => {
    const forced = { ...rotate(1, 2), consent: rotate(1, 3).consent }

    assert.isFalse(KeyStatement.isGenuine(forced, verify))
  })

  it("has one form only: what a kind has no use for is zero", () => {
    const odd: ReadonlyArray<KeyStatement.KeyStatement> = [
      { ...cancel(1, 2), consent: rotate(1, 2).consent },
      { ...enrol(1, 9), next: key(2).publicKey },
      { ...rotate(1, 2), next: key(1).publicKey },
      { ...rotate(1, 2), recovery: key(2).publicKey },
      { ...rotate(1, 2), sequence: 0 },
      { ...rotate(1, 2), signer: "recovery" },
      { ...rotate(1, 2), key: new Uint8Array(32) }
    ]

    for (const statement of odd)
      assert.strictEqual(failure(KeyStatement.decode(KeyStatement.encode(statement)))._tag, "Malformed")
  })
})

describe("KeyChain", () => {
  it("carries as much as it may, the newest of more, and refuses more", () => {
    const many = Array.from({ length: KeyChain.STATEMENTS_MAX + 1 }, (_, index) =>
      rotate(1, 2, { sequence: index + 1 })
    )
    const bytes = KeyChain.encode(many)

    assert.deepStrictEqual(success(KeyChain.decode(bytes)), many.slice(1))
    const counted = bytes.slice()
    counted[5] = KeyChain.STATEMENTS_MAX + 1
    assert.strictEqual(failure(KeyChain.decode(counted))._tag, "LimitExceeded")
  })

  it("refuses what is cut short, too long, foreign or of another format", () => {
    const bytes = KeyChain.encode([rotate(1, 2)])

    assert.strictEqual(failure(KeyChain.decode(bytes.subarray(0, 5)))._tag, "Truncated")
    assert.strictEqual(failure(KeyChain.decode(bytes.subarray(0, -1)))._tag, "Truncated")
    assert.strictEqual(failure(KeyChain.decode(Bytes.concat(bytes, Uint8Array.of(0))))._tag, "Malformed")
    assert.strictEqual(failure(KeyChain.decode(Bytes.fromUtf8("no chain at all")))._tag, "BadMagic")
    const later = bytes.slice()
    later[4] = 2
    assert.strictEqual(failure(KeyChain.decode(later))._tag, "UnsupportedVersion")
  })

  it("is base64 in a message, nothing when there is nothing to say", () => {
    const chain = [enrol(1, 9), rotate(1, 2, { recovery: 9 })]

    assert.deepStrictEqual(KeyChain.parse(KeyChain.toText(chain)), chain)
    assert.strictEqual(KeyChain.toText([]), "")
    assert.deepStrictEqual(KeyChain.parse(""), [])
    assert.strictEqual(KeyChain.parse("x"), undefined)
    assert.strictEqual(KeyChain.parse("A".repeat(100_000)), undefined)
  })
})

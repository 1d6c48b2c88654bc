import { assert, describe, it } from "@effect/vitest"
import { Result, Schema } from "effect"
import * as Base64Url from "../../../src/core/data/Base64Url.ts"
import * as Bytes from "../../../src/core/data/Bytes.ts"
import * as Invitation from "../../../src/protocol/trust/Invitation.ts"
import { NodeId } from "../../../src/protocol/wire/Address.ts"

const whole: Invitation.Invitation = {
  secret: new Uint8Array(16).fill(7),
  expiresAtSeconds: 4_000_000_000,
  publicKey: new Uint8Array(32).fill(9),
  node: NodeId(42),
  name: "mcp-host",
  registry: "rendezvous.example:9000",
  beacon: "rendezvous.example:9001",
  fingerprint: "ab".repeat(32),
  services: ["files", "notes"],
  hints: ["203.0.113.7:4000"]
}
const tagOf = (text: string) => {
  const decoded = Invitation.decode(text)
  return Result.isSuccess(decoded) ? "whole" : decoded.failure._tag
}
/** The same bytes with a right checksum, so that what is behind it is reached. */
const bytesOf = (text: string) => Bytes.copy(Base64Url.decode(text.slice(Invitation.PREFIX.length)) ?? Bytes.empty)

const Text = Schema.Literals(["", "a", "mcp-host", "é☕", "x".repeat(255), "host:65535"])
const Parts = Schema.Struct({
  fill: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 255 })),
  node: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 0xffffffff })),
  expiresAtSeconds: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 0xffffffff })),
  name: Text,
  registry: Text,
  beacon: Text,
  isPinned: Schema.Boolean,
  services: Schema.Array(Schema.Literals(["a", "files", "x".repeat(255)])).check(Schema.isMaxLength(16)),
  hints: Schema.Array(Schema.Literals(["1.2.3.4:5"])).check(Schema.isMaxLength(4))
})

describe("Invitation", () => {
  it.prop("reads what it wrote, however a mail program broke the line", { parts: Parts }, ({ parts }) => {
    const { fill, isPinned, node, ...texts } = parts
    const [secret, publicKey] = [new Uint8Array(16).fill(fill), new Uint8Array(32).fill(fill ^ 0xff)]
    const invitation = { ...texts, secret, publicKey, node: NodeId(node), fingerprint: isPinned ? "0f".repeat(32) : "" }
    const text = Invitation.encode(invitation)
    const broken = text.replace(/(.{40})/g, "$1\r\n ")

    assert.isTrue(Invitation.isWritable(invitation))
    assert.deepStrictEqual(Invitation.decode(text), Result.succeed(invitation))
    assert.deepStrictEqual(Invitation.decode(broken), Result.succeed(invitation))
  })

  it("is one word that a shell takes as it is, and short", () => {
    const text = Invitation.encode(whole)

    assert.match(text, /^pilot-invite:[A-Za-z0-9_-]+$/)
    assert.isBelow(text.length, 320)
  })

  it("tells a damaged copy from a whole one, at every character", () => {
    const text = Invitation.encode(whole)
    for (let index = Invitation.PREFIX.length; index < text.length; index++) {
      const other = text[index] === "A" ? "B" : "A"
      assert.notStrictEqual(tagOf(text.slice(0, index) + other + text.slice(index + 1)), "whole", `${index}`)
      assert.notStrictEqual(tagOf(text.slice(0, index)), "whole", `${index}`)
    }
  })

  it("says what is wrong with what is no invitation", () => {
    const text = Invitation.encode(whole)
    const later = bytesOf(text)
    later[0] = 2

    assert.deepStrictEqual(
      [
        tagOf("hello"),
        tagOf(Invitation.PREFIX),
        tagOf(`${Invitation.PREFIX}!`),
        tagOf(`${Invitation.PREFIX}${Base64Url.encode(later)}`),
        tagOf(`${text.slice(0, -1)}=`),
        tagOf(Invitation.PREFIX + "A".repeat(20_000))
      ],
      ["BadMagic", "Truncated", "Malformed", "UnsupportedVersion", "Malformed", "LimitExceeded"]
    )
  })

  it("refuses texts that could rewrite a terminal, and lists that are too long", () => {
    const with_ = (changes: Partial<Invitation.Invitation>) => ({ ...whole, ...changes })
    for (const wrong of [
      with_({ name: "a\u001b[2J" }),
      with_({ registry: "x".repeat(256) }),
      with_({ services: Array.from({ length: 17 }, () => "s") }),
      with_({ hints: Array.from({ length: 5 }, () => "h") })
    ])
      assert.isFalse(Invitation.isWritable(wrong))
    assert.strictEqual(tagOf(Invitation.encode(with_({ name: "a\u001b[2J" }))), "Malformed")
    assert.strictEqual(tagOf(Invitation.encode(with_({ services: [""] }))), "Malformed")
    assert.strictEqual(tagOf(Invitation.encode(with_({ hints: Array.from({ length: 5 }, () => "h") }))), "Malformed")
  })
})

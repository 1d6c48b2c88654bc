import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import * as NativeCrypto from "../../../src/core/crypto/NativeCrypto.ts"
import * as Bytes from "../../../src/core/data/Bytes.ts"
import * as KeyDerivation from "../../../src/protocol/tunnel/KeyDerivation.ts"
import { SecureChannel } from "../../../src/protocol/tunnel/SecureChannel.ts"
import type { Role } from "../../../src/protocol/wire/SecureFrame.ts"
import { hex } from "../../support/Vectors.ts"
import vectors from "../../vectors/wire.json" with { type: "json" }

const { secure_channel: legacy, secure_channel_new: later } = vectors

const keys = () => {
  const derived = KeyDerivation.secureChannelKeys(hex(legacy.shared_secret), NativeCrypto.crypto)
  return {
    legacy: NativeCrypto.crypto.aes256Gcm(derived.legacy),
    later: NativeCrypto.crypto.aes256Gcm(derived.later)
  }
}
const channel = (role: Role, preferred: KeyDerivation.Scheme = "legacy") =>
  new SecureChannel({ role, keys: keys(), preferred })

const roleOf = (name: string): Role => (name.startsWith("client") ? "client" : "server")
const otherOf = (role: Role): Role => (role === "client" ? "server" : "client")

describe("SecureChannel", () => {
  it("agrees on the recorded secret, whichever side computes it (vectors secure_channel)", () => {
    const client = NativeCrypto.crypto.agreementKey(hex(legacy.client_private))
    const server = NativeCrypto.crypto.agreementKey(hex(legacy.server_private))

    assert.strictEqual(Bytes.toHex(client.publicKey), legacy.handshake[0]!.bytes)
    assert.strictEqual(Bytes.toHex(server.publicKey), legacy.handshake[1]!.bytes)
    assert.strictEqual(Bytes.toHex(client.agree(server.publicKey)!), legacy.shared_secret)
    assert.strictEqual(Bytes.toHex(server.agree(client.publicKey)!), legacy.shared_secret)
  })

  it("writes the frames of both generations, in both roles (vectors secure_channel, secure_channel_new)", () => {
    for (const [scheme, frames] of [
      ["legacy", legacy.frames],
      ["later", later.frames]
    ] as const) {
      const senders = { client: channel("client", scheme), server: channel("server", scheme) }
      for (const { frame, name, plaintext } of frames)
        assert.strictEqual(Bytes.toHex(senders[roleOf(name)].seal(hex(plaintext))), frame, `${scheme}: ${name}`)
    }
  })

  it("reads the frames of both generations, whichever it prefers (wire §15.1)", () => {
    for (const preferred of ["legacy", "later"] as const)
      for (const [scheme, frames] of [
        ["legacy", legacy.frames],
        ["later", later.frames]
      ] as const) {
        const receivers = { client: channel("client", preferred), server: channel("server", preferred) }
        for (const { frame, name, plaintext } of frames) {
          const receiver = receivers[otherOf(roleOf(name))]
          const { failure, plaintexts } = receiver.push(hex(frame))
          assert.deepStrictEqual([failure, plaintexts.map(Bytes.toHex)], [undefined, [plaintext]], name)
          assert.strictEqual(receiver.heard, scheme)
        }
      }
  })

  it("fails as the reference does on what it cannot read (vectors secure_channel.read)", () => {
    const expected: Readonly<Record<string, unknown>> = { decrypt: "Tag", too_short: "TooShort", too_large: "TooLong" }
    for (const { error_class, frame, name, ok } of legacy.read) {
      const receiver = channel("server")
      // The reference looks at no counter; ours must be right for the tag to be looked at.
      const bytes = hex(name === "length 12 (nonce only)" ? "0000000c000000020000000000000001" : frame)
      const { failure, plaintexts } = receiver.push(bytes)
      if (ok) assert.deepStrictEqual([failure, plaintexts.map(Bytes.toHex)], [undefined, ["68656c6c6f"]])
      else if (error_class === "unexpected_eof") assert.isTrue(receiver.isInside, name)
      else assert.strictEqual(failure, expected[error_class!], name)
    }
  })

  it("answers in the generation that it was spoken to in (wire §15.1)", () => {
    const server = channel("server", "legacy")
    server.push(hex(later.frames[0]!.frame))

    assert.strictEqual(Bytes.toHex(server.seal(Bytes.fromUtf8("hello"))), later.frames[1]!.frame)
  })

  it("takes no frame twice, none out of turn, and none of its own (wire §14, better)", () => {
    const [first, second] = legacy.frames.map(({ frame }) => hex(frame)) as [Uint8Array, Uint8Array]
    const own = channel("client").seal(Bytes.fromUtf8("x"))
    const cases: ReadonlyArray<readonly [Role, ReadonlyArray<Uint8Array>]> = [
      ["server", [first, first]],
      ["server", [second]],
      ["client", [own]]
    ]
    for (const [role, frames] of cases) {
      const receiver = channel(role)
      const last = frames.map((frame) => receiver.push(frame)).at(-1)
      assert.deepStrictEqual(last, { plaintexts: [], failure: "OutOfOrder" })
    }
  })

  it("is unusable after a failure, and gives what came before it (wire §14)", () => {
    const client = channel("client")
    const good = client.seal(Bytes.fromUtf8("good"))
    const bad = client.seal(Bytes.fromUtf8("bad"))
    bad[bad.length - 1]! ^= 1
    const server = channel("server")

    const opened = server.push(Bytes.concat(good, bad))
    assert.deepStrictEqual([opened.plaintexts.map(Bytes.toUtf8Lossy), opened.failure], [["good"], "Tag"])
    assert.deepStrictEqual(server.push(good), { plaintexts: [], failure: "Tag" })
  })

  it.prop(
    "gives the same bytes however the stream is cut",
    {
      texts: Schema.NonEmptyArray(Schema.String),
      cut: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 40 }))
    },
    ({ cut, texts }) => {
      const client = channel("client", "later")
      const server = channel("server")
      const all = Bytes.concat(...texts.map((text) => client.seal(Bytes.fromUtf8(text))))
      const heard: Array<string> = []
      for (let at = 0; at < all.length; at += cut)
        heard.push(...server.push(all.slice(at, at + cut)).plaintexts.map(Bytes.toUtf8Lossy))

      assert.deepStrictEqual(
        heard,
        texts.map((text) => Bytes.toUtf8Lossy(Bytes.fromUtf8(text)))
      )
    }
  )
})

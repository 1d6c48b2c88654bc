import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import * as Bytes from "../../../src/core/data/Bytes.ts"
import * as Socks5 from "../../../src/protocol/gateway/Socks5.ts"

const Octet = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 255 }))

describe("Socks5", () => {
  it("reads the greeting of curl (RFC 1928 §3)", () => {
    assert.deepStrictEqual(
      Socks5.greeting(Uint8Array.of(5, 2, 0, 2)),
      Socks5.Step.Greeted({ methods: new Set([0, 2]), usedBytes: 4 })
    )
  })

  it("reads user and password as many bytes as they have (RFC 1929 §2)", () => {
    const bytes = Bytes.concat(Uint8Array.of(1, 1), Bytes.fromUtf8("u"), Uint8Array.of(3), Bytes.fromUtf8("päst"))
    const step = Socks5.credentials(bytes)
    assert.strictEqual(step._tag, "Authenticated")
    if (step._tag !== "Authenticated") return
    assert.deepStrictEqual([step.user, step.password, step.usedBytes], ["u", "pä", 7])
  })

  it("reads names, and addresses of both families", () => {
    const ask = (...bytes: ReadonlyArray<number>) => Socks5.request(Uint8Array.from(bytes))
    const name = Bytes.fromUtf8("mcp-host.pilot")
    assert.deepStrictEqual(
      ask(5, 1, 0, 3, name.length, ...name, 0x1f, 0x90),
      Socks5.Step.Connect({ host: "mcp-host.pilot", port: 8080, usedBytes: 7 + name.length })
    )
    assert.deepStrictEqual(
      ask(5, 1, 0, 1, 10, 0, 0, 1, 0, 80),
      Socks5.Step.Connect({ host: "10.0.0.1", port: 80, usedBytes: 10 })
    )
    const v6 = ask(5, 1, 0, 4, ...new Array(15).fill(0), 1, 0, 80)
    assert.strictEqual(v6._tag === "Connect" && v6.host, "[0:0:0:0:0:0:0:1]")
  })

  it("refuses what it does not offer, with the code of RFC 1928 §6", () => {
    const code = (step: Socks5.Step) => (step._tag === "Refused" ? step.reply?.[1] : step._tag)
    assert.strictEqual(code(Socks5.request(Uint8Array.of(5, 2, 0, 1, 1))), Socks5.Reply.CommandNotSupported)
    assert.strictEqual(code(Socks5.request(Uint8Array.of(5, 3, 0, 1, 1))), Socks5.Reply.CommandNotSupported)
    assert.strictEqual(code(Socks5.request(Uint8Array.of(5, 1, 0, 9, 1))), Socks5.Reply.AddressTypeNotSupported)
    assert.strictEqual(Socks5.greeting(Uint8Array.of(4, 1))._tag, "Refused")
    assert.strictEqual(Socks5.credentials(Uint8Array.of(5, 1))._tag, "Refused")
  })

  it.prop(
    "asks for more until the step is whole, and never uses a byte after it",
    { bytes: Schema.Array(Octet) },
    ({ bytes }) => {
      for (const decode of [Socks5.greeting, Socks5.credentials, Socks5.request]) {
        const whole = decode(Uint8Array.from(bytes))
        if (!("usedBytes" in whole)) continue
        assert.isAtMost(whole.usedBytes, bytes.length)
        assert.deepStrictEqual(decode(Uint8Array.from(bytes.slice(0, whole.usedBytes))), whole)
        assert.strictEqual(decode(Uint8Array.from(bytes.slice(0, whole.usedBytes - 1)))._tag, "NeedMore")
      }
    }
  )
})

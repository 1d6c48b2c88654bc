import { isIP } from "node:net"
import { assert, describe, it } from "@effect/vitest"
import * as Endpoint from "../../../src/core/data/Endpoint.ts"
import * as IpAddress from "../../../src/core/data/IpAddress.ts"
import * as Arb from "../../support/Arbitraries.ts"

describe("IpAddress", () => {
  it.prop("text gives the bytes back, and is a literal to others", { endpoint: Arb.endpoint }, ({ endpoint }) => {
    const bytes = IpAddress.parse(endpoint.host)!

    assert.strictEqual(IpAddress.format(bytes), endpoint.host)
    assert.strictEqual(isIP(endpoint.host), bytes.length === 4 ? 4 : 6)
    assert.deepStrictEqual(Endpoint.parse(Endpoint.format(endpoint)), endpoint)
  })

  it.prop("whatever parses is a literal to others, too", { text: Arb.text }, ({ text }) => {
    if (IpAddress.parse(text) !== undefined) assert.isAbove(isIP(text), 0)
  })

  it("writes the canonical form (RFC 5952)", () => {
    const spellings: Record<string, string> = {
      "2001:DB8:0:0:0:0:0:1": "2001:db8::1",
      "2001:db8:0:0:1:0:0:1": "2001:db8::1:0:0:1",
      "2001:db8:0:1:1:1:1:1": "2001:db8:0:1:1:1:1:1",
      "0:0:0:0:0:0:0:0": "::",
      "::1": "::1",
      "1::": "1::",
      "::ffff:192.0.2.1": "192.0.2.1",
      "64:ff9b::192.0.2.33": "64:ff9b::c000:221",
      "192.0.2.1": "192.0.2.1"
    }
    for (const [text, canonical] of Object.entries(spellings)) assert.strictEqual(IpAddress.canonical(text), canonical)
  })

  it("refuses what is no literal", () => {
    const texts = [
      "",
      "1.2.3",
      "1.2.3.4.5",
      "01.2.3.4",
      "256.1.1.1",
      "1.2.3.4 ",
      "localhost",
      ":",
      ":::",
      "1:2:3:4:5:6:7"
    ]
    const more = [
      "1::2::3",
      "1:2:3:4:5:6:7:8:9",
      "1:2:3:4:5:6:7::8",
      "12345::",
      "fe80::1%eth0",
      "[::1]",
      "::1.2.3",
      "1.2.3.4::"
    ]
    for (const text of [...texts, ...more]) assert.isUndefined(IpAddress.parse(text), text)
  })

  it("endpoints are a literal and a port", () => {
    assert.deepStrictEqual(Endpoint.parse("[::FFFF:10.0.0.1]:80"), { host: "10.0.0.1", port: 80 })
    const refused = [
      "1.2.3.4",
      "1.2.3.4:",
      "1.2.3.4:65536",
      "::1:80",
      "[1.2.3.4]:80",
      "host:80",
      ":80",
      "[::1]",
      "1.2.3.4:+8"
    ]
    for (const text of refused) assert.isUndefined(Endpoint.parse(text), text)
  })
})

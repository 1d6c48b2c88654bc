import { assert, describe, it } from "@effect/vitest"
import { Result } from "effect"
import * as Mapping from "../../../src/protocol/gateway/Mapping.ts"
import * as PilotName from "../../../src/protocol/gateway/PilotName.ts"
import * as Subnet from "../../../src/protocol/gateway/Subnet.ts"

describe("PilotName", () => {
  it("takes a name under .pilot, and nothing else", () => {
    assert.strictEqual(PilotName.parse("mcp-host.pilot"), "mcp-host")
    assert.strictEqual(PilotName.parse("MCP-Host.Pilot."), "mcp-host")
    assert.strictEqual(PilotName.parse("2.pilot"), "2")
    assert.strictEqual(PilotName.parse("mcp-host.acme.pilot"), "mcp-host@acme", "of a further rendezvous")
    assert.strictEqual(PilotName.parse(PilotName.format("mcp-host@acme")), "mcp-host@acme")
    for (const host of [
      "pilot",
      ".pilot",
      "a.b.c.pilot",
      "a..pilot",
      "-a.pilot",
      "a-.pilot",
      "example.org",
      "a.pilot.evil",
      "a_b.pilot"
    ]) {
      assert.isUndefined(PilotName.parse(host), host)
    }
  })

  it("reads the port of an authority", () => {
    assert.deepStrictEqual(PilotName.parseAuthority("a.pilot:8080", 80), { peer: "a", port: 8080 })
    assert.deepStrictEqual(PilotName.parseAuthority("a.pilot", 80), { peer: "a", port: 80 })
    for (const text of ["a.pilot:", "a.pilot:99999", "user@a.pilot:80", "[::1]:80", ""]) {
      assert.isUndefined(PilotName.parseAuthority(text, 80), text)
    }
  })
})

describe("Mapping", () => {
  it("reads what the help shows, and a port alone means this host", () => {
    for (const text of ["127.0.0.1:18080=mcp-host:8080", "[::1]:0=0:0000.0000.0002:8080"]) {
      assert.strictEqual(Mapping.format(Result.getOrThrow(Mapping.parse(text))), text)
    }
    assert.deepStrictEqual(Result.getOrThrow(Mapping.parse("80=a:1")).listen, { host: "127.0.0.1", port: 80 })
  })

  it("refuses the rest", () => {
    for (const text of ["", "80", "80=", "80=a", "80=a:0", "80=a:70000", "x:80=a:1", "localhost:80=a:1"]) {
      assert.isTrue(Result.isFailure(Mapping.parse(text)), text)
    }
  })
})

describe("Subnet", () => {
  const take = (text: string, count: number, taken: ReadonlyArray<string> = []) => {
    let subnet = Result.getOrThrow(Subnet.parse(text))
    return Array.from({ length: count }, () =>
      Result.match(
        Subnet.allocate(subnet, (ip) => taken.includes(ip)),
        {
          onFailure: (reason) => reason,
          onSuccess: ([ip, rest]) => {
            subnet = rest
            return ip
          }
        }
      )
    )
  }

  it("gives addresses from .1 up and says when there are no more (node §7)", () => {
    assert.deepStrictEqual(take("10.4.0.0/16", 2), ["10.4.0.1", "10.4.0.2"])
    assert.deepStrictEqual(take("10.4.0.0/16", 1, ["10.4.0.1"]), ["10.4.0.2"])
    assert.deepStrictEqual(take("10.4.3.4/30", 1), ["subnet exhausted"])
    assert.deepStrictEqual(take("10.4.3.0/30", 4), ["10.4.3.1", "10.4.3.2", "10.4.3.3", "subnet exhausted"])
    assert.strictEqual(take("10.4.0.0/16", 256).at(-1), "10.4.1.0")
  })

  it("knows its own", () => {
    const subnet = Result.getOrThrow(Subnet.parse("127.44.7.9/16"))
    assert.strictEqual(Subnet.format(subnet), "127.44.0.0/16")
    assert.isTrue(Subnet.contains(subnet, "127.44.255.255"))
    for (const ip of ["127.45.0.0", "127.44.0", "127.44.0.256", "::1"]) assert.isFalse(Subnet.contains(subnet, ip), ip)
  })

  it("words a wrong network as the reference does (cli §11)", () => {
    for (const text of ["zz", "10.0.0.0", "10.0.0.0/33", "10.0.0/8"]) {
      assert.deepStrictEqual(Subnet.parse(text), Result.fail(`parse subnet: invalid CIDR address: ${text}`))
    }
  })
})

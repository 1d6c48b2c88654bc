import { assert, describe, it } from "@effect/vitest"
import { Result } from "effect"
import * as RendezvousText from "../../../src/actors/layers/RendezvousText.ts"

const PIN = "ab".repeat(32)

describe("RendezvousText", () => {
  it("reads one rendezvous or several, in one word each", () => {
    const parsed = RendezvousText.parse(` acme=r.acme.example:9000#${PIN.toUpperCase()}, 10.0.0.1:9100/10.0.0.2:9101,`)

    assert.deepStrictEqual(Result.getOrThrow(parsed), [
      { registry: "r.acme.example:9000", alias: "acme", beacon: undefined, fingerprint: PIN },
      { registry: "10.0.0.1:9100", alias: undefined, beacon: "10.0.0.2:9101", fingerprint: undefined }
    ])
    assert.deepStrictEqual(Result.getOrThrow(RendezvousText.parse("")), [])
  })

  it("says what is wrong with any other", () => {
    for (const [text, problem] of [
      ["acme", /is not/],
      ["home=a:9000", /no alias/],
      ["Acme=a:9000", /no alias/],
      ["a:0", /is not HOST:PORT/],
      ["a:9000#abcd", /SHA-256/],
      ["a:9000/b", /b is not HOST:PORT/],
      [`a:9000,${"x".repeat(40)}=b:1`, /no alias/]
    ] as const) {
      const parsed = RendezvousText.parse(text)
      assert.match(Result.isFailure(parsed) ? parsed.failure : "accepted", problem, text)
    }
  })

  it("the beacon is behind the registry, and the alias comes from its name", () => {
    const alias = (registry: string) => RendezvousText.aliasOf(registry, 3, (name) => name === "taken")

    assert.strictEqual(RendezvousText.beaconOf({ registry: "[2001:db8::1]:9000" }), "[2001:db8::1]:9001")
    assert.deepStrictEqual(
      ["pilot.acme.example:9000", "acme:1", "198.18.0.2:9000", "taken.example:1", "[::1]:9000"].map(alias),
      ["acme", "acme", "r3", "r3", "r3"]
    )
  })
})

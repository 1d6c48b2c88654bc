import { assert, describe, it } from "@effect/vitest"
import { defaults, GuessLimit, isTarget, PlacedHosts } from "../../src/nat/GuessLimit.ts"

const HOST = "198.51.100.7"
const BEACON = { host: "203.0.113.9", port: 9001 }
const PROBE_BYTES = 110

/** Bytes that may go to hosts that are probed in turn, until none is let any more. */
const sent = (limit: GuessLimit, hosts: ReadonlyArray<string>, nowMs: number): number => {
  let bytes = 0
  for (let probe = 0; probe < 20_000; probe++)
    if (limit.take(hosts[probe % hosts.length]!, PROBE_BYTES, nowMs)) bytes += PROBE_BYTES
  return bytes
}

describe("GuessLimit (security rule 7)", () => {
  it("lets few bytes go to one host, whoever is said to be there, and a try an hour after them", () => {
    const limit = new GuessLimit()

    assert.approximately(sent(limit, [HOST], 0), defaults.perHost.capacity, PROBE_BYTES)
    assert.isAtMost(sent(limit, [HOST], 60_000), 60 * defaults.perHost.perSecond + PROBE_BYTES)
    assert.isTrue(limit.hasRoom(HOST, 1_024 * PROBE_BYTES, 3_600_000))
  })

  it("lets few bytes go in all, however many hosts are named", () => {
    const limit = new GuessLimit()
    const hosts = Array.from({ length: 200 }, (_, index) => `198.51.100.${index}`)

    assert.approximately(sent(limit, hosts, 0), defaults.all.capacity, PROBE_BYTES)
    assert.isFalse(limit.take("192.0.2.1", PROBE_BYTES, 100))
  })

  it("takes all addresses of one network of IPv6 for one host", () => {
    const limit = new GuessLimit()
    const hosts = Array.from({ length: 50 }, (_, index) => `2001:db8:1:1::${index + 1}`)

    assert.approximately(sent(limit, hosts, 0), defaults.perHost.capacity, PROBE_BYTES)
  })

  it("a refusal costs nothing", () => {
    const limit = new GuessLimit()

    assert.isFalse(limit.take(HOST, defaults.perHost.capacity + 1, 0))
    assert.isTrue(limit.take(HOST, defaults.perHost.capacity, 0))
  })

  for (const host of [
    "10.0.0.1",
    "100.64.0.1",
    "172.16.9.9",
    "192.168.1.255",
    "127.0.0.1",
    "169.254.1.1",
    "224.0.0.1",
    "255.255.255.255",
    "0.0.0.0",
    "fe80::1",
    "fc00::1",
    "ff02::1",
    "::1",
    "example.com",
    "198.51.100.99",
    BEACON.host
  ]) {
    it(`never lets anybody probe ${host}`, () => {
      assert.isFalse(isTarget(host, ["198.51.100.99"], BEACON))
    })
  }

  it("lets a host beyond all translators be probed", () => {
    assert.isTrue(isTarget(HOST, ["198.51.100.99"], BEACON))
  })
})

describe("PlacedHosts", () => {
  it("knows for a minute where the beacon placed somebody", () => {
    const placed = new PlacedHosts()
    placed.punched({ host: HOST, port: 4000 }, 0)

    assert.deepStrictEqual(
      [placed.has({ host: HOST, port: 4000 }, 59_999), placed.has({ host: HOST, port: 4001 }, 0)],
      [true, false]
    )
    assert.deepStrictEqual([placed.hasHost(HOST, 59_999), placed.hasHost("198.51.100.8", 0)], [true, false])
    assert.isFalse(placed.hasHost(HOST, 60_000))
  })
})

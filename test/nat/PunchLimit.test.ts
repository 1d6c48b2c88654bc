import { assert, describe, it } from "@effect/vitest"
import { defaults, PunchLimit } from "../../src/nat/PunchLimit.ts"

const beacon = { host: "203.0.113.9", port: 9001 }

/** How many of so many commands are followed, one after the other within a millisecond. */
const followed = (limit: PunchLimit, commands: number, host: (index: number) => string, nowMs: number): number =>
  Array.from({ length: commands }, (_, index) => limit.take({ host: host(index), port: 80 }, beacon, nowMs)).filter(
    Boolean
  ).length

describe("PunchLimit", () => {
  it("follows few commands towards one host, and one a second after them", () => {
    const limit = new PunchLimit()

    assert.strictEqual(
      followed(limit, 1_000, () => "198.51.100.7", 0),
      defaults.perHost.capacity
    )
    assert.strictEqual(
      followed(limit, 1_000, () => "198.51.100.7", 2_000),
      2
    )
  })

  it("follows few in all, however many hosts are named", () => {
    const limit = new PunchLimit()

    assert.strictEqual(
      followed(limit, 10_000, (index) => `198.51.${index >> 8}.${index & 255}`, 0),
      defaults.all.capacity
    )
    assert.strictEqual(
      followed(limit, 10_000, (index) => `192.0.${index >> 8}.${index & 255}`, 1_000),
      defaults.all.perSecond
    )
  })

  for (const host of [
    "255.255.255.255",
    "224.0.0.1",
    "0.0.0.0",
    "127.0.0.1",
    "169.254.1.1",
    "ff02::1",
    "example.com"
  ]) {
    it(`does not send to ${host}, whoever says so`, () => {
      assert.isFalse(new PunchLimit().take({ host, port: 80 }, beacon, 0))
    })
  }

  it("follows a beacon on this host to nodes on this host", () => {
    assert.isTrue(new PunchLimit().take({ host: "127.0.0.1", port: 4000 }, { host: "127.0.0.1", port: 9001 }, 0))
  })
})

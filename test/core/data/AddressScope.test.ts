import { assert, describe, it } from "@effect/vitest"
import * as AddressScope from "../../../src/core/data/AddressScope.ts"
import * as IpAddress from "../../../src/core/data/IpAddress.ts"

const PUBLIC = ["8.8.8.8", "1.1.1.1", "172.15.0.1", "172.32.0.1", "100.63.0.1", "2606:4700::1", "2002:808:808::1"]
const SPECIAL = [
  ...["0.0.0.0", "10.0.0.1", "127.0.0.1", "127.255.255.255", "169.254.169.254", "172.16.0.1", "172.31.255.255"],
  ...["192.168.0.1", "100.64.0.1", "198.18.0.1", "224.0.0.1", "255.255.255.255", "192.0.2.1", "203.0.113.9"],
  ...["::", "::1", "fe80::1", "fc00::1", "fd12::1", "ff02::1", "2001:db8::1", "2001::1", "64:ff9b::7f00:1"],
  ...["::ffff:10.0.0.1", "::ffff:7f00:1", "2002:7f00:1::", "2002:a00:1::", "no address", "10.0.0.1.", ""]
]

describe("AddressScope", () => {
  it("knows what belongs to the public internet (RFC 6890)", () => {
    assert.deepStrictEqual(
      PUBLIC.filter((address) => !AddressScope.isPublic(address)),
      []
    )
    assert.deepStrictEqual(SPECIAL.filter(AddressScope.isPublic), [])
  })

  it("knows what no other host can have, and what is on this side of a translator", () => {
    const nobody = [
      "0.0.0.0",
      "127.0.0.1",
      "169.254.1.1",
      "224.0.0.1",
      "255.255.255.255",
      "::",
      "::1",
      "fe80::1",
      "ff02::1"
    ]
    const inside = ["10.0.0.1", "100.64.0.1", "172.31.0.1", "192.168.0.1", "fd12::1"]

    assert.deepStrictEqual([...nobody, "", "a.example"].filter(AddressScope.isUsable), [])
    assert.deepStrictEqual(
      [...PUBLIC, ...inside, "203.0.113.9"].filter((one) => !AddressScope.isUsable(one)),
      []
    )
    assert.deepStrictEqual(
      [...inside, "127.0.0.1", "fe80::1"].filter((one) => !AddressScope.isInside(one)),
      []
    )
    assert.deepStrictEqual([...PUBLIC, "203.0.113.9", "224.0.0.1"].filter(AddressScope.isInside), [])
  })

  it("reads blocks, and which address lies in one", () => {
    const isWithin = (address: string, block: string) =>
      AddressScope.isWithin(IpAddress.parse(address)!, AddressScope.parseBlock(block)!)

    assert.isTrue(isWithin("10.9.8.7", "10.0.0.0/8"))
    assert.isFalse(isWithin("11.0.0.0", "10.0.0.0/8"))
    assert.isTrue(isWithin("192.168.1.129", "192.168.1.128/25"))
    assert.isFalse(isWithin("192.168.1.127", "192.168.1.128/25"))
    assert.isTrue(isWithin("192.168.1.7", "192.168.1.7"))
    assert.isTrue(isWithin("fd00::1", "fc00::/7"))
    assert.isFalse(isWithin("10.0.0.1", "::/0"))
    assert.isTrue(isWithin("8.8.8.8", "0.0.0.0/0"))
    for (const wrong of ["10.0.0.0/33", "10.0.0/8", "a", "", "::/129", "10.0.0.0/8/8", "10.0.0.0/-1"])
      assert.isUndefined(AddressScope.parseBlock(wrong), wrong)
  })
})

import { assert, describe, it } from "@effect/vitest"
import * as Places from "../../src/nat/Places.ts"
import { PLACES_MAX, type Place } from "../../src/protocol/wire/PathOffer.ts"
import * as Arb from "../support/Arbitraries.ts"

const bound = [{ host: "0.0.0.0", port: 4000 }]
const reflexive = { host: "198.51.100.7", port: 5000 }
const beacon = { host: "203.0.113.9", port: 9001 }
const none = { bound, addresses: [], reflexive: undefined, mapped: undefined, isSequential: false }

const offered = (...hosts: ReadonlyArray<string>): ReadonlyArray<Place> =>
  hosts.map((host) => ({ kind: "host", endpoint: { host, port: 4000 } }))

describe("Places", () => {
  it("offers a promise first, then what the world sees, then the own network, each once", () => {
    const mapped = { host: "198.51.100.7", port: 6000 }
    const own = Places.own({ ...none, addresses: ["127.0.0.1", "10.0.0.2", "10.0.0.2", "fe80::1"], reflexive, mapped })

    assert.deepStrictEqual(
      own.map(({ endpoint, kind }) => `${kind} ${endpoint.host}:${endpoint.port}`),
      ["mapped 198.51.100.7:6000", "reflexive 198.51.100.7:5000", "host 10.0.0.2:4000"]
    )
  })

  it("offers those of both families in turns where it has both, what the whole world reaches first", () => {
    const v4 = ["10.0.0.2", "172.17.0.1", "172.18.0.1", "172.19.0.1", "172.20.0.1"]
    const v6 = ["fe80::1", "fd00::2", "2001:db8::2", "2606:4700::2", "2606:4700::3"]
    const offer = (sockets: ReadonlyArray<string>) =>
      Places.own({
        ...none,
        bound: sockets.map((host, index) => ({ host, port: 4000 + index })),
        addresses: [...v4, ...v6],
        reflexive
      }).map(({ endpoint }) => `${endpoint.host} ${endpoint.port}`)

    assert.deepStrictEqual(offer(["0.0.0.0", "::"]), [
      "198.51.100.7 5000",
      "10.0.0.2 4000",
      "2606:4700::2 4001",
      "172.17.0.1 4000",
      "2606:4700::3 4001",
      "172.18.0.1 4000"
    ])
    assert.deepStrictEqual(offer(["::"]), [
      "198.51.100.7 5000",
      "2606:4700::2 4000",
      "2606:4700::3 4000",
      "fd00::2 4000",
      "2001:db8::2 4000"
    ])
  })

  it("offers a bounded number, however many interfaces there are", () => {
    const addresses = Array.from({ length: 300 }, (_, index) => `10.0.${index >> 8}.${index & 255}`)

    assert.strictEqual(Places.own({ ...none, addresses }).length, PLACES_MAX)
  })

  for (const host of ["255.255.255.255", "224.0.0.1", "0.0.0.0", "127.0.0.1"]) {
    it(`does not tell peers that it is at ${host}, whatever the beacon says`, () => {
      assert.deepStrictEqual(Places.own({ ...none, reflexive: { host, port: 5000 } }), [])
    })
  }

  it("says so when its translator counts its ports up", () => {
    assert.deepStrictEqual(Places.own({ ...none, reflexive, isSequential: true }), [
      { kind: "sequential", endpoint: reflexive }
    ])
  })

  for (const host of [
    "127.0.0.1",
    "0.0.0.0",
    "169.254.1.1",
    "224.0.0.1",
    "255.255.255.255",
    "::1",
    "::",
    "fe80::1",
    "ff02::1",
    "example.com"
  ]) {
    it(`does not try ${host}, where no peer can be`, () => {
      assert.deepStrictEqual(Places.worthTrying(offered(host), [], undefined), [])
    })
  }

  it("tries neither its own places nor the beacon, and no place twice", () => {
    const own = Places.own({ ...none, addresses: ["10.0.0.2"] })
    const places: ReadonlyArray<Place> = [
      ...offered("10.0.0.2", "10.0.0.3", "10.0.0.3"),
      { kind: "reflexive", endpoint: beacon },
      { kind: "reflexive", endpoint: { host: "10.0.0.3", port: 0 } }
    ]

    assert.deepStrictEqual(Places.worthTrying(places, own, beacon), [{ host: "10.0.0.3", port: 4000 }])
  })

  it.prop(
    "a peer's word sends probes to few places and guesses at one host only",
    { offer: Arb.pathOffer },
    ({ offer }) => {
      const guessed = Places.predicted(offer.places)

      assert.isAtMost(Places.worthTrying(offer.places, [], undefined).length, PLACES_MAX)
      assert.isAtMost(guessed.length, 64)
      assert.isAtMost(new Set(guessed.map(({ host }) => host)).size, 1)
      assert.isTrue(guessed.every(({ port }) => port > 0 && port <= 0xffff))
    }
  )
})

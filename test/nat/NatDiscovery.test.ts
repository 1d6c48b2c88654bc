import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import * as NatDiscovery from "../../src/nat/NatDiscovery.ts"
import * as NatReport from "../../src/nat/NatReport.ts"
import type * as NatBox from "../../src/testing/NatBox.ts"
import * as SeededRandom from "../../src/testing/SeededRandom.ts"
import * as ProbedNat from "../support/ProbedNat.ts"

const BEHAVIOURS = ["EndpointIndependent", "AddressDependent", "AddressAndPortDependent"] as const
const RTT_MS = 40

interface Setup extends ProbedNat.Options {
  readonly beacons?: ReadonlyArray<typeof ProbedNat.BEACON>
  /** Part of the datagrams that are lost. */
  readonly loss?: number
}

/** Runs one round to its end. */
const discover = (setup: Setup) => {
  const world = new ProbedNat.ProbedNat(setup)
  const random = SeededRandom.make((setup.seed ?? 1) + 1000)
  const isLost = () => SeededRandom.index(random, 1000) < (setup.loss ?? 0) * 1000
  const options = {
    beacons: setup.beacons ?? [ProbedNat.BEACON],
    local: world.inside.tunnel,
    localHosts: [world.inside.tunnel.host],
    nonce: ProbedNat.nonces()
  }
  let nowMs = 1000
  const discovery = new NatDiscovery.NatDiscovery(options, nowMs)
  const arrivals: Array<ProbedNat.Arrival & { readonly atMs: number }> = []
  for (let dueMs: number | undefined = nowMs; dueMs !== undefined; dueMs = discovery.deadlineMs) {
    for (const sending of discovery.take()) {
      if (isLost()) continue
      for (const arrival of world.send(sending, nowMs)) arrivals.push({ ...arrival, atMs: nowMs + RTT_MS })
    }
    const next = arrivals[0]
    if (next !== undefined && next.atMs <= (discovery.deadlineMs ?? Number.POSITIVE_INFINITY)) {
      arrivals.shift()
      nowMs = next.atMs
      discovery.received(next.socket, next.bytes, next.from, nowMs)
    } else {
      nowMs = discovery.deadlineMs ?? nowMs
      discovery.timeout(nowMs)
    }
  }
  return { report: discovery.report, tookMs: nowMs - 1000, sentCount: world.sentCount }
}

describe("NatDiscovery", () => {
  for (const mapping of BEHAVIOURS) {
    for (const filtering of BEHAVIOURS) {
      it(`finds ${mapping} mapping with ${filtering} filtering (RFC 4787 §4.1, §5)`, () => {
        for (const ports of ["preserving", "random"] as const) {
          const { report, sentCount, tookMs } = discover({ nat: { mapping, filtering, ports } })
          const { filtering: filteringFound, isHairpinning, isTranslated, mapping: mappingFound } = report

          assert.deepStrictEqual(
            { mappingFound, filteringFound, isTranslated, isHairpinning },
            { mappingFound: mapping, filteringFound: filtering, isTranslated: true, isHairpinning: false }
          )
          assert.isAtMost(sentCount, 30)
          assert.isAtMost(tookMs, 1500)
        }
      })
    }
  }

  it("tells the ports of mappings apart (RFC 4787 §4.2)", () => {
    const found = (nat: Partial<NatBox.Config>) => discover({ nat }).report.ports._tag

    assert.strictEqual(found({ mapping: "EndpointIndependent", ports: "preserving" }), "Preserving")
    assert.strictEqual(found({ mapping: "AddressAndPortDependent", ports: "random" }), "Random")
  })

  it("sees that insiders reach each other by their outside endpoints (RFC 4787 §6)", () => {
    for (const filtering of BEHAVIOURS)
      assert.isTrue(discover({ nat: { filtering, isHairpinning: true } }).report.isHairpinning)
  })

  it("a public address without a filter is open, and needs no hairpin", () => {
    const { report } = discover({})

    assert.isFalse(report.isTranslated)
    assert.isUndefined(report.isHairpinning)
    assert.strictEqual(report.filtering, "EndpointIndependent")
    assert.strictEqual(NatReport.kindOf(report), "open")
    assert.deepStrictEqual(report.beacons, [{ endpoint: ProbedNat.BEACON, rttMs: RTT_MS, isOurs: true }])
  })

  it("says what it cannot tell with one host to ask", () => {
    const others = { port: ProbedNat.OTHER_PORT, host: undefined }
    const found = (nat: Partial<NatBox.Config>) => {
      const { filtering, mapping } = discover({ nat, others }).report
      return [mapping, filtering]
    }

    assert.deepStrictEqual(found({}), ["NotPortDependent", "NotPortDependent"])
    assert.deepStrictEqual(found({ mapping: "AddressDependent", filtering: "AddressDependent" }), [
      "NotPortDependent",
      "NotPortDependent"
    ])
    assert.deepStrictEqual(found({ mapping: "AddressAndPortDependent", filtering: "AddressAndPortDependent" }), [
      "AddressAndPortDependent",
      "AddressAndPortDependent"
    ])
  })

  it("classifies the mapping by two beacons that only say where they see whom (rendezvous §8)", () => {
    const others = { port: 0, host: undefined }
    const beacons = [ProbedNat.BEACON, ProbedNat.PLAIN]
    const cone = discover({ nat: {}, others, beacons }).report
    const symmetric = discover({ nat: { mapping: "AddressDependent", ports: "random" }, others, beacons }).report

    assert.deepStrictEqual([cone.mapping, cone.filtering], ["EndpointIndependent", "Unknown"])
    assert.deepStrictEqual([symmetric.mapping, symmetric.ports._tag], ["Dependent", "Random"])
    assert.deepStrictEqual(
      cone.beacons.map(({ isOurs, rttMs }) => [isOurs, rttMs === undefined]),
      [
        [true, false],
        [false, false]
      ]
    )
  })

  it("gives up where nothing answers, in less than three seconds", () => {
    const { report, tookMs } = discover({ nat: {}, isBlocked: () => true })

    assert.deepStrictEqual(
      [report.mapping, report.filtering, NatReport.kindOf(report)],
      ["Unknown", "Unknown", "unknown"]
    )
    assert.isUndefined(report.mapped)
    assert.isAtMost(tookMs, 3000)
  })

  it("asks nobody whom no beacon may name: a group, this host, the beacon itself", () => {
    for (const host of ["255.255.255.255", "224.0.0.1", "127.0.0.1", "0.0.0.0", ProbedNat.BEACON.host, "2001:db8::1"]) {
      const others = { port: 0, host: { host, port: 53 } }
      const asked: Array<string> = []
      discover({ nat: {}, others, isBlocked: (to) => void asked.push(to.host) === undefined && false })

      assert.deepStrictEqual([...new Set(asked)].toSorted(), [ProbedNat.BEACON.host, "198.51.100.7"].toSorted())
    }
  })

  const Seeds = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 1_000_000 }))
  it.prop("loss makes it know less, never something false about the mapping", { seed: Seeds }, ({ seed }) => {
    const mapping = BEHAVIOURS[seed % 3]!
    const { report } = discover({ nat: { mapping, ports: "random" }, seed, loss: 0.3 })
    const mayBe: Record<(typeof BEHAVIOURS)[number], ReadonlyArray<NatReport.Dependence>> = {
      EndpointIndependent: ["EndpointIndependent", "NotPortDependent", "Unknown"],
      AddressDependent: ["AddressDependent", "NotPortDependent", "Dependent", "Unknown"],
      AddressAndPortDependent: ["AddressAndPortDependent", "Dependent", "Unknown"]
    }

    assert.include(mayBe[mapping], report.mapping)
  })

  it("a wrong or old answer changes nothing", () => {
    const options = {
      beacons: [ProbedNat.BEACON],
      local: ProbedNat.INSIDE.tunnel,
      localHosts: [],
      nonce: ProbedNat.nonces()
    }
    const discovery = new NatDiscovery.NatDiscovery(options, 0)
    const [sending] = discovery.take()
    assert.isDefined(sending)

    // The question itself, as if it were an answer, and an answer by the wrong socket.
    assert.isFalse(discovery.received("tunnel", sending.bytes, ProbedNat.BEACON, 10))
    assert.isFalse(discovery.received("second", Uint8Array.of(2, 4, 1, 2, 3, 4, 0, 9), ProbedNat.BEACON, 10))
    assert.isUndefined(discovery.report.mapped)
  })
})

describe("NatReport", () => {
  it("keeps a mapping alive well before it dies, and never busily", () => {
    assert.strictEqual(NatReport.keepaliveMs(undefined), 30_000)
    assert.strictEqual(NatReport.keepaliveMs({ aliveMs: 100_000, goneMs: 120_000 }), 80_000)
    assert.strictEqual(NatReport.keepaliveMs({ aliveMs: 5_000, goneMs: 10_000 }), 10_000)
    assert.strictEqual(NatReport.keepaliveMs({ aliveMs: 480_000, goneMs: undefined }), 240_000)
  })
})

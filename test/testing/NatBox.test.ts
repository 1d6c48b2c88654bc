import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import * as NatBox from "../../src/testing/NatBox.ts"
import * as SeededRandom from "../../src/testing/SeededRandom.ts"

const BEHAVIOURS = ["EndpointIndependent", "AddressDependent", "AddressAndPortDependent"] as const
const INSIDE = { host: "10.0.0.2", port: 4000 }
const PEER = { host: "198.18.0.9", port: 5000 }
/** Another port of the same address, and another address. */
const NEIGHBOUR = { ...PEER, port: 5001 }
const STRANGER = { host: "198.18.0.10", port: 5000 }

const make = (config: Partial<NatBox.Config>) =>
  new NatBox.NatBox({ ...NatBox.kinds.fullCone, ...config }, SeededRandom.make(1))

/** What depends on how much of an endpoint: nothing, its address, all of it. */
const reach = { EndpointIndependent: 2, AddressDependent: 1, AddressAndPortDependent: 0 } as const

describe("NatBox", () => {
  for (const mapping of BEHAVIOURS) {
    it(`${mapping} mapping: the same outside port for as many destinations as RFC 4787 §4.1 says`, () => {
      const box = make({ mapping, ports: "random" })
      const port = box.outbound(INSIDE, PEER, 0)
      const isSame = [NEIGHBOUR, STRANGER].map((to) => box.outbound(INSIDE, to, 0) === port)

      assert.deepStrictEqual(isSame, [reach[mapping] >= 1, reach[mapping] >= 2])
      assert.strictEqual(box.outbound(INSIDE, PEER, 0), port)
    })
  }

  for (const filtering of BEHAVIOURS) {
    it(`${filtering} filtering: lets in whom RFC 4787 §5 says`, () => {
      const box = make({ filtering })
      const port = box.outbound(INSIDE, PEER, 0) ?? 0
      const isLetIn = [PEER, NEIGHBOUR, STRANGER].map((from) => box.inbound(port, from, 0) !== undefined)

      assert.deepStrictEqual(isLetIn, [true, reach[filtering] >= 1, reach[filtering] >= 2])
      assert.strictEqual(box.inbound(port + 1, PEER, 0), undefined)
    })
  }

  it("preserves ports while they are free (RFC 4787 §4.2.1)", () => {
    const box = make({})
    const other = { host: "10.0.0.3", port: INSIDE.port }

    assert.strictEqual(box.outbound(INSIDE, PEER, 0), INSIDE.port)
    assert.notStrictEqual(box.outbound(other, PEER, 0), INSIDE.port)
    assert.deepStrictEqual(box.inbound(INSIDE.port, PEER, 0), INSIDE)
  })

  it("counts ports up where it is told so, past those in use and past the last one", () => {
    const box = make({ mapping: "AddressAndPortDependent", ports: "sequential" })
    const ports = Array.from({ length: 70 }, (_, index) => box.outbound(INSIDE, { ...PEER, port: index + 1 }, 0) ?? 0)
    const steps = ports.slice(1).map((port, index) => port - (ports[index] ?? 0))

    assert.isTrue(steps.every((step) => step === 1 || step === 1024 - 65_535))
    assert.strictEqual(new Set(ports).size, ports.length)
  })

  it("a mapping ends when it was not used for its time (RFC 4787 §4.3), whatever came from outside unless told so", () => {
    const outcomes = [true, false].map((isRefreshedInbound) => {
      const box = make({ timeoutMs: 1000, isRefreshedInbound })
      box.outbound(INSIDE, PEER, 0)
      return [900, 1800].map((nowMs) => box.inbound(INSIDE.port, PEER, nowMs) !== undefined)
    })

    assert.deepStrictEqual(outcomes, [
      [true, true],
      [true, false]
    ])
  })

  it("lets in whom was sent to for as long as an unused mapping lives, however long others keep the mapping", () => {
    const box = make({ filtering: "AddressAndPortDependent", timeoutMs: 1_000 })
    const port = box.outbound(INSIDE, PEER, 0) ?? 0
    box.outbound(INSIDE, STRANGER, 900)

    assert.deepStrictEqual(box.inbound(port, STRANGER, 1_800), INSIDE)
    assert.isUndefined(box.inbound(port, PEER, 1_800))
    box.outbound(INSIDE, PEER, 1_800)
    assert.deepStrictEqual(box.inbound(port, PEER, 2_700), INSIDE)
    assert.deepStrictEqual(box.inbound(port, PEER, 3_600), INSIDE, "what came by it keeps it")
  })

  it("insiders meet only where hairpinning is on (RFC 4787 §6)", () => {
    assert.strictEqual(make({}).hairpin(INSIDE, PEER, 0), undefined)
    assert.strictEqual(make({ isHairpinning: true }).hairpin(INSIDE, PEER, 0), INSIDE.port)
  })

  it.prop(
    "two insiders never share an outside port, however many there are",
    { count: Schema.Int.check(Schema.isBetween({ minimum: 2, maximum: 400 })) },
    ({ count }) => {
      const box = make({ mapping: "AddressAndPortDependent", ports: "random" })
      const ports = Array.from({ length: count }, (_, index) =>
        box.outbound({ host: `10.0.${index >> 8}.${index & 255}`, port: 4000 }, PEER, 0)
      )

      assert.strictEqual(new Set(ports).size, count)
      assert.strictEqual(box.size, count)
    }
  )
})

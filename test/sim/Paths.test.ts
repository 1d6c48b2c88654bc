import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as Pilot from "../../src/api/Pilot.ts"
import type * as NatBox from "../../src/testing/NatBox.ts"
import * as SimNet from "../../src/testing/SimNet.ts"
import { PATIENCE_MS } from "./Patience.ts"
import { echo, payload, serveEcho } from "./Programs.ts"

const PORT = 4000
const BYTES = payload(5000, 2)
const main = serveEcho(PORT)

const PLACES = ["open", "fullCone", "restrictedCone", "portRestrictedCone", "symmetric"] as const
type Place = (typeof PLACES)[number]

const placed = (place: Place): { readonly nat?: NatBox.Kind } => (place === "open" ? {} : { nat: place })

/**
 * A symmetric translator shows each peer another port, which the other end learns from the first datagram that reaches it: unless
 * it filters by port, and then neither end can know it before.
 */
const isDirect = (one: Place, other: Place) =>
  !(one === "symmetric" && (other === "symmetric" || other === "portRestrictedCone")) &&
  !(other === "symmetric" && one === "portRestrictedCone")

describe("paths, in the simulator", { timeout: PATIENCE_MS }, () => {
  for (const [seed, here] of PLACES.entries()) {
    it.effect(`from ${here} to every kind of place`, () =>
      SimNet.run({ seed: 41 + seed }, (net) =>
        Effect.gen(function* () {
          for (const [index, there] of PLACES.entries()) {
            const a = yield* net.node(`from-${index}`, placed(here))
            const b = yield* net.node(`at-${index}`, { main, ...placed(there) })
            yield* net.trust(a, b)
            const exchange = a.run(echo(b.name, PORT, BYTES))
            assert.strictEqual(Buffer.compare(yield* exchange, BYTES), 0)
            yield* exchange
            const { path } = yield* a.run(Pilot.ping(b.name))
            assert.strictEqual(path, isDirect(here, there) ? "direct" : "relay", `${here} to ${there}`)
          }
        })
      )
    )
  }

  it.effect("two behind one translator that lets them not meet outside find each other inside", () =>
    SimNet.run({ seed: 48 }, (net) =>
      Effect.gen(function* () {
        const home = net.nat("symmetric")
        const a = yield* net.node("a", { nat: home })
        const b = yield* net.node("b", { nat: home, main })
        yield* net.trust(a, b)
        const exchange = a.run(echo("b", PORT, BYTES))
        for (let rounds = 0; rounds < 2; rounds++) assert.strictEqual(Buffer.compare(yield* exchange, BYTES), 0)

        assert.strictEqual((yield* a.run(Pilot.ping("b"))).path, "direct")
      })
    )
  )

  it.effect("nodes of one family find each other whatever translates the other; nodes of two meet at the relay", () =>
    SimNet.run({ seed: 47 }, (net) =>
      Effect.gen(function* () {
        const six = yield* net.node("six", { isV6: true, nat: "symmetric", main })
        const sixth = yield* net.node("sixth", { isV6: true, nat: "symmetric", link: { rttMs: 50, loss: 0.01 } })
        const four = yield* net.node("four", { nat: "fullCone" })
        const paths: Array<string> = []
        for (const from of [sixth, four]) {
          yield* net.trust(from, six)
          for (let rounds = 0; rounds < 2; rounds++) {
            assert.strictEqual(Buffer.compare(yield* from.run(echo("six", PORT, BYTES)), BYTES), 0)
            yield* net.sleep("3 seconds")
          }
          paths.push((yield* from.run(Pilot.ping("six"))).path)
        }

        assert.deepStrictEqual(paths, ["direct", "relay"])
      })
    )
  )

  it.effect("a mapping of half a minute is kept open while nothing is said", () =>
    SimNet.run({ seed: 46 }, (net) =>
      Effect.gen(function* () {
        const nat = {
          mapping: "EndpointIndependent",
          filtering: "AddressAndPortDependent",
          ports: "random",
          timeoutMs: 31_000,
          isRefreshedInbound: false,
          isHairpinning: false
        } as const
        const a = yield* net.node("a")
        const b = yield* net.node("b", { main, nat })
        yield* net.trust(a, b)
        yield* a.run(echo("b", PORT, BYTES))
        yield* net.sleep("10 minutes")
        const startedAtMs = net.nowMs()

        assert.strictEqual(Buffer.compare(yield* a.run(echo("b", PORT, BYTES)), BYTES), 0)
        assert.isBelow(net.nowMs() - startedAtMs, 2000)
      })
    )
  )
})

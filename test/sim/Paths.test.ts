import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as Pilot from "../../src/api/Pilot.ts"
import * as NatBox from "../../src/testing/NatBox.ts"
import * as SimNet from "../../src/testing/SimNet.ts"
import { PATIENCE_MS } from "./Patience.ts"
import { echo, payload, serveEcho } from "./Programs.ts"

const PORT = 4000
const BYTES = payload(5000, 2)
const main = serveEcho(PORT)

describe("paths, in the simulator", { timeout: PATIENCE_MS }, () => {
  it.effect.each([false, true])(
    "two behind one translator find each other inside, hairpinning or not: %s",
    (isHairpinning) =>
      SimNet.run({ seed: 48 }, (net) =>
        Effect.gen(function* () {
          const home = net.nat({ ...NatBox.kinds.symmetric, isHairpinning })
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
        const six = yield* net.node("six", { family: "IPv6", nat: "symmetric", main })
        const sixth = yield* net.node("sixth", { family: "IPv6", nat: "symmetric", link: { rttMs: 50, loss: 0.01 } })
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

  it.effect("nodes of both families find each other by IPv6 where no way leads through the translators of IPv4", () =>
    SimNet.run({ seed: 49 }, (net) =>
      Effect.gen(function* () {
        const both = { family: "both", nat: "symmetric" } as const
        const a = yield* net.node("a", both)
        const b = yield* net.node("b", { ...both, main })
        const six = yield* net.node("six", { family: "IPv6", main })
        const four = yield* net.node("four", { nat: "fullCone", main })
        for (const peer of [b, six, four]) yield* net.trust(a, peer)
        for (const peer of ["b", "six", "four"]) {
          for (let rounds = 0; rounds < 2; rounds++) {
            assert.strictEqual(Buffer.compare(yield* a.run(echo(peer, PORT, BYTES)), BYTES), 0)
            yield* net.sleep("3 seconds")
          }
          assert.strictEqual((yield* a.run(Pilot.ping(peer))).path, "direct", peer)
        }
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

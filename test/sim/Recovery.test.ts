import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as Pilot from "../../src/api/Pilot.ts"
import * as SimNet from "../../src/testing/SimNet.ts"
import type { SimNode } from "../../src/testing/SimNode.ts"
import { PATIENCE_MS } from "./Patience.ts"
import { echo, payload, serveEcho } from "./Programs.ts"

const PORT = 4000
const BYTES = payload(20_000, 3)
const main = serveEcho(PORT)

/** How long an exchange takes, in virtual milliseconds; all bytes must come back. */
const exchangeMs = (net: SimNet.SimNet, from: SimNode, to: string) =>
  Effect.gen(function* () {
    const startedAtMs = net.nowMs()
    const echoed = yield* from.run(echo(to, PORT, BYTES))
    assert.strictEqual(Buffer.compare(echoed, BYTES), 0)
    return net.nowMs() - startedAtMs
  })

describe("recovery, in the simulator", { timeout: PATIENCE_MS }, () => {
  it.effect("a direct path that dies is left for the relay, and taken again when it is back", () =>
    SimNet.run({ seed: 5 }, (net) =>
      Effect.gen(function* () {
        const a = yield* net.node("a")
        const b = yield* net.node("b", { main })
        yield* net.trust(a, b)
        yield* exchangeMs(net, a, "b")
        const before = yield* a.run(Pilot.ping("b"))
        yield* net.partition([a], [b])
        const cutMs = yield* exchangeMs(net, a, "b")
        const during = yield* a.run(Pilot.ping("b"))
        yield* net.heal()
        yield* net.sleep("10 seconds")
        yield* exchangeMs(net, a, "b")
        yield* net.sleep("10 seconds")
        yield* exchangeMs(net, a, "b")
        const after = yield* a.run(Pilot.ping("b"))

        assert.deepStrictEqual([before.path, during.path, after.path], ["direct", "relay", "direct"])
        assert.isBelow(cutMs, 5000)
      })
    )
  )

  it.effect(
    "nodes that only the relay joins go on within seconds when their beacon was restarted and knows nobody",
    () =>
      SimNet.run({ seed: 6 }, (net) =>
        Effect.gen(function* () {
          const a = yield* net.node("a", { nat: "symmetric", main })
          const b = yield* net.node("b", { nat: "symmetric", main })
          yield* net.trust(a, b)
          for (const [from, to] of [
            [a, "b"],
            [b, "a"]
          ] as const) {
            yield* exchangeMs(net, from, to)
            assert.strictEqual((yield* from.run(Pilot.ping(to))).path, "relay")
            yield* net.crashRendezvous
            yield* net.sleep("1 second")
            yield* net.restartRendezvous

            assert.isBelow(yield* exchangeMs(net, from, to), 3000)
            // Clear of the keepalive that would have told the beacon anyway.
            yield* net.sleep("7 seconds")
          }
        })
      )
  )

  it.effect("after every power cut a node is who it was, and trusts whom it trusted", () =>
    SimNet.run({ seed: 11 }, (net) =>
      Effect.gen(function* () {
        const a = yield* net.node("a")
        const b = yield* net.node("b", { main, nat: "symmetric" })
        yield* net.trust(a, b)
        const { address, fingerprint } = yield* b.run(Pilot.info)
        for (let cuts = 0; cuts < 10; cuts++) {
          yield* net.crash(b)
          yield* net.sleep("3 seconds")
          yield* net.restart(b)
          const again = yield* b.run(Pilot.info)
          assert.deepStrictEqual({ ...again, uptimeSeconds: 0 }, { ...again, address, fingerprint, uptimeSeconds: 0 })
          yield* exchangeMs(net, a, "b")
        }
      })
    )
  )

  it.effect("who gives up a dial need not wait for the rest of its time-out", () =>
    SimNet.run({ seed: 12 }, (net) =>
      Effect.gen(function* () {
        const a = yield* net.node("a")
        const b = yield* net.node("b", { main })
        yield* net.trust(a, b)
        yield* exchangeMs(net, a, "b")
        yield* net.crash(b)
        const startedAtMs = net.nowMs()
        const dialled = yield* a.run(Effect.timeoutOption(Effect.scoped(Pilot.dial("b", PORT)), "1 second"))

        assert.deepStrictEqual([dialled._tag, net.nowMs() - startedAtMs], ["None", 1000])
      })
    )
  )

  it.effect("insiders of one translator meet, with hairpinning or without", () =>
    SimNet.run({ seed: 13 }, (net) =>
      Effect.gen(function* () {
        for (const [name, isHairpinning] of [
          ["home", false],
          ["office", true]
        ] as const) {
          const nat = net.nat({
            mapping: "EndpointIndependent",
            filtering: "AddressAndPortDependent",
            ports: "preserving",
            timeoutMs: 30_000,
            isRefreshedInbound: false,
            isHairpinning
          })
          const first = yield* net.node(`${name}-first`, { nat })
          const second = yield* net.node(`${name}-second`, { nat, main })
          yield* net.trust(first, second)

          assert.isBelow(yield* exchangeMs(net, first, `${name}-second`), 5000)
        }
      })
    )
  )
})

import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { Node } from "../../src/actors/node/Node.ts"
import * as Pilot from "../../src/api/Pilot.ts"
import * as SimNet from "../../src/testing/SimNet.ts"
import type { SimNode } from "../../src/testing/SimNode.ts"
import { PATIENCE_MS } from "./Patience.ts"
import { echo, payload, readBytes, serveEcho } from "./Programs.ts"

const PORT = 4000
const main = serveEcho(PORT)
const SMALL = payload(5_000, 3)
const LARGE = payload(600_000, 4)

/** The same at 20 KB a second, so that it outlasts whatever happens meanwhile. */
const slowEcho = Effect.fnUntraced(function* (target: string, port: number, bytes: Uint8Array) {
  const connection = yield* Pilot.dial(target, port)
  const writing = Effect.forEach(
    Array.from({ length: bytes.length / 2_000 }, (_, index) => bytes.subarray(2_000 * index, 2_000 * (index + 1))),
    (chunk) => Effect.andThen(Effect.sleep("100 millis"), connection.write(chunk)),
    { discard: true }
  )
  yield* Effect.forkScoped(Effect.ignore(writing))
  return yield* readBytes(connection, bytes.length)
}, Effect.scoped)

const routeOf = (node: SimNode) =>
  node.run(Effect.flatMap(Node, ({ status }) => Effect.map(status, ({ beaconRoute }) => beaconRoute?.by)))
const mappedOf = (node: SimNode) =>
  node.run(Effect.flatMap(Node, ({ status }) => Effect.map(status, ({ mapped }) => mapped)))

describe("a WebSocket to the beacon, in the simulator", { timeout: PATIENCE_MS }, () => {
  it.effect("nodes without UDP register, reach others and are reached", () =>
    SimNet.run({ seed: 301 }, (net) =>
      Effect.gen(function* () {
        const hotel = yield* net.node("hotel", { isUdpBlocked: true, main })
        const office = yield* net.node("office", { isUdpBlocked: true, main })
        const home = yield* net.node("home", { nat: "symmetric", main })
        yield* net.trust(hotel, home)
        yield* net.trust(hotel, office)
        for (const [from, to] of [
          [hotel, home],
          [home, hotel],
          [hotel, office]
        ] as const)
          assert.strictEqual(Buffer.compare(yield* from.run(echo(to.name, PORT, SMALL)), SMALL), 0)

        assert.deepStrictEqual(yield* Effect.forEach([hotel, office, home], routeOf), ["websocket", "websocket", "udp"])
        assert.isUndefined(yield* mappedOf(hotel), "it has no place that UDP would reach")
      })
    )
  )

  it.effect("a node without UDP is there when it has started: its first byte takes no longer than others'", () =>
    SimNet.run({ seed: 303 }, (net) =>
      Effect.gen(function* () {
        const home = yield* net.node("home", { main })
        const hotel = yield* net.node("hotel", { isUdpBlocked: true, main })
        yield* net.trust(hotel, home)
        for (const [from, to] of [
          [hotel, home],
          [home, hotel]
        ] as const) {
          yield* net.kill(hotel)
          const startedAtMs = net.nowMs()
          yield* net.restart(hotel)
          const dialledAtMs = net.nowMs()
          assert.isBelow(dialledAtMs - startedAtMs, 2_000)
          yield* from.run(echo(to.name, PORT, SMALL.subarray(0, 1)))
          assert.isBelow(net.nowMs() - dialledAtMs, 500)
        }
      })
    )
  )

  it.effect("a stream goes on when UDP is blocked, and when it is back: no byte is lost", () =>
    SimNet.run({ seed: 302 }, (net) =>
      Effect.gen(function* () {
        const here = yield* net.node("here", { nat: "symmetric", link: { rttMs: 40, loss: 0.01 } })
        const there = yield* net.node("there", { nat: "symmetric", main })
        yield* net.trust(here, there)
        yield* here.run(echo("there", PORT, SMALL))
        const transfer = yield* Effect.forkChild(here.run(slowEcho("there", PORT, LARGE)))
        const reaches = (by: string) =>
          Effect.repeat(Effect.andThen(net.sleep("250 millis"), routeOf(here)), { until: (route) => route === by })
        yield* net.sleep("2 seconds")
        yield* net.blockUdp(here)
        yield* reaches("websocket")
        yield* net.sleep("3 seconds")
        yield* net.blockUdp(here, false)
        yield* reaches("udp")
        assert.isTrue(transfer.pollUnsafe() === undefined, "the transfer goes on")
        yield* net.sleep("2 seconds")
        assert.isDefined(yield* mappedOf(here), "it is registered where UDP reaches it again")

        assert.strictEqual(Buffer.compare(yield* Fiber.join(transfer), LARGE), 0)
      })
    )
  )
})

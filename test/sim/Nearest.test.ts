import { assert, describe, it } from "@effect/vitest"
import { Effect, Stream } from "effect"
import * as Nearest from "../../src/api/Nearest.ts"
import * as Peer from "../../src/api/Peer.ts"
import * as Pilot from "../../src/api/Pilot.ts"
import * as SimNet from "../../src/testing/SimNet.ts"
import { PATIENCE_MS } from "./Patience.ts"
import { readBytes } from "./Programs.ts"

const PORT = 4000

/** Says its name to everybody. */
const says = (name: string) =>
  Pilot.listen(PORT).pipe(
    Stream.runForEach((connection) =>
      Effect.ignore(Effect.andThen(connection.write(new TextEncoder().encode(name)), connection.close))
    )
  )

describe("Nearest, in the simulator", { timeout: PATIENCE_MS }, () => {
  it.effect("dials the fastest of several, another when that is gone, and the first again when it is back", () =>
    SimNet.run({ seed: 341 }, (net) =>
      Effect.gen(function* () {
        const client = yield* net.node("client")
        const places = { us: 160, eu: 30, asia: 260 }
        const nodes = yield* Effect.forEach(Object.entries(places), ([name, rttMs]) =>
          net.node(name, { main: says(name), link: { rttMs } })
        )
        for (const node of nodes) yield* net.trust(client, node)
        const regions = Peer.anyOf("nowhere", ...Object.keys(places))
        const answer = client.run(
          Effect.scoped(
            Effect.flatMap(Nearest.dial(regions, PORT, { timeoutMs: 5_000 }), (connection) =>
              Effect.map(readBytes(connection, 10), (bytes) => new TextDecoder().decode(bytes))
            )
          )
        )
        const ordered = Effect.map(client.run(Nearest.order(regions)), (peers) => peers.map(({ hostname }) => hostname))

        assert.strictEqual(yield* answer, "eu")
        assert.deepStrictEqual(yield* ordered, ["eu", "us", "asia"])
        yield* net.crash(nodes[1]!)
        assert.strictEqual(yield* answer, "us")
        assert.deepStrictEqual(yield* ordered, ["us", "asia", "eu"])
        yield* net.restart(nodes[1]!)
        yield* net.sleep("31 seconds")
        assert.strictEqual(yield* answer, "eu")

        const nobody = yield* Effect.flip(client.run(Nearest.order(Peer.anyOf("nowhere", "elsewhere"))))
        assert.deepInclude(nobody, { _tag: "DialError", reason: "NotFound" })
      })
    )
  )
})

import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { Node } from "../../src/actors/node/Node.ts"
import * as SimNet from "../../src/testing/SimNet.ts"
import type { SimNode } from "../../src/testing/SimNode.ts"
import { PATIENCE_MS } from "./Patience.ts"
import { echo, payload, serveEcho } from "./Programs.ts"

const PORT = 4000
const main = serveEcho(PORT)
const BYTES = payload(20_000, 5)

const addressOf = (node: SimNode) => node.run(Effect.flatMap(Node, ({ address }) => address))
const talks = (from: SimNode, to: SimNode) =>
  Effect.map(from.run(echo(to.name, PORT, BYTES)), (received) =>
    assert.strictEqual(Buffer.compare(received, BYTES), 0, `${from.name} to ${to.name}`)
  )

describe("without a rendezvous, in the simulator", { timeout: PATIENCE_MS }, () => {
  it.effect(
    "peers that know each other go on, find each other after both were restarted, and register when it is back",
    () =>
      SimNet.run({ seed: 321 }, (net) =>
        Effect.gen(function* () {
          const anna = yield* net.node("anna", { main })
          const bert = yield* net.node("bert", { nat: "fullCone", main })
          yield* net.trust(anna, bert)
          yield* talks(anna, bert)
          // A name leads where it has led before; one that was never used needs the registry.
          yield* talks(bert, anna)
          yield* net.sleep("40 seconds")
          const addresses = [yield* addressOf(anna), yield* addressOf(bert)]
          yield* net.crashRendezvous
          yield* talks(bert, anna)

          yield* net.crash(anna)
          yield* net.stop(bert)
          yield* net.restart(anna)
          yield* net.restart(bert)
          assert.deepStrictEqual([yield* addressOf(anna), yield* addressOf(bert)], addresses)
          const startedAtMs = net.nowMs()
          yield* talks(bert, anna)
          yield* talks(anna, bert)
          assert.isBelow(net.nowMs() - startedAtMs, 10_000)

          yield* net.restartRendezvous
          yield* net.sleep("40 seconds")
          const carl = yield* net.node("carl")
          yield* net.trust(carl, anna)
          yield* talks(carl, anna)
        })
      )
  )

  it.effect("a node that has never been registered says that it needs one", () =>
    SimNet.run({ seed: 322 }, (net) =>
      Effect.gen(function* () {
        yield* net.crashRendezvous
        const failure = yield* Effect.flip(net.node("dora"))

        assert.deepInclude(failure, { reason: "RegistryUnavailable" })
        assert.include(failure.message + ("hint" in failure ? failure.hint : ""), "pilotctl rendezvous start")
      })
    )
  )
})

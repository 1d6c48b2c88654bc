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

  it.effect(
    "nodes on one local network find each other there, wherever they were before, and a stranger is only shown",
    () =>
      SimNet.run({ seed: 323 }, (net) =>
        Effect.gen(function* () {
          const [there, home] = [net.nat("symmetric"), net.nat("symmetric")]
          const anna = yield* net.node("anna", { nat: home, main })
          const bert = yield* net.node("bert", { nat: there, main })
          const carl = yield* net.node("carl", { nat: home, main })
          yield* net.trust(anna, bert)
          yield* talks(anna, bert)
          yield* talks(bert, anna)
          // Bert comes to visit, and the rendezvous dies: nobody but the network knows where he is.
          yield* net.crashRendezvous
          yield* net.crash(bert)
          yield* net.move(bert, home)
          yield* net.restart(bert)
          yield* net.sleep("61 seconds")
          yield* talks(anna, bert)
          const { neighbours = [] } = yield* anna.run(Effect.flatMap(Node, ({ status }) => status))

          assert.deepStrictEqual(
            neighbours.map(({ isKnown, node }) => [node, isKnown]).toSorted(),
            [
              [(yield* addressOf(bert)).node, true],
              [(yield* addressOf(carl)).node, false]
            ].toSorted()
          )
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

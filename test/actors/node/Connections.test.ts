import { assert, describe, it } from "@effect/vitest"
import { Effect, Result } from "effect"
import { defaultLimits, PortTable } from "../../../src/protocol/stream/PortTable.ts"
import { Port } from "../../../src/protocol/wire/Address.ts"
import * as NodeNet from "../../support/NodeNet.ts"

/** More together than messages fit into a mailbox. */
const [PORTS, PER_PORT] = [[Port(1000), Port(1001)], 600]
/** As after sixteen thousand dials within a TIME_WAIT: the one port is used again. */
class OnePort extends PortTable {
  override allocate(): Result.Result<Port> {
    return Result.succeed(Port(50_000))
  }
}
/** TIME_WAIT and what goes before it. */
const OVER_MS = 40_000

describe("Connections", () => {
  it.effect("a stream in TIME_WAIT is forgotten in time, though a dial has taken its ports", () =>
    NodeNet.run(
      Effect.gen(function* () {
        const net = yield* NodeNet.make({ link: { delayMs: 1 } })
        const a = yield* net.node("192.0.2.1", { ports: new OnePort(defaultLimits, 0) })
        const b = yield* net.node("192.0.2.2")
        yield* NodeNet.pinEachOther(a, b)
        const listener = yield* b.node.listen(Port(1000))
        for (let dials = 0; dials < 3; dials++) {
          const dialled = yield* a.node.dial(b.address, Port(1000))
          for (const connection of [dialled, yield* listener.accept]) yield* connection.close
          yield* Effect.sleep(100)
        }

        yield* Effect.sleep(OVER_MS)
        for (const { events, node } of [a, b]) {
          assert.lengthOf((yield* node.status).connections, 0)
          assert.lengthOf(
            events.filter(({ _tag }) => _tag === "ConnectionClosed"),
            3
          )
        }
      })
    )
  )

  for (const [name, encrypt] of [
    ["a peer", true],
    ["a peer without a tunnel", false]
  ] as const)
    it.effect(`all streams of ${name} are forgotten when they end at one time, however many they are`, () =>
      NodeNet.run(
        Effect.gen(function* () {
          const net = yield* NodeNet.make({ link: { delayMs: 1 } })
          const [a, b] = [yield* net.node("192.0.2.1", { encrypt }), yield* net.node("192.0.2.2", { encrypt })]
          yield* NodeNet.pinEachOther(a, b)
          for (const port of PORTS) {
            const listener = yield* b.node.listen(port)
            yield* Effect.forkScoped(Effect.forever(listener.accept, { disableYield: true }))
            yield* Effect.replicateEffect(a.node.dial(b.address, port), PER_PORT, { concurrency: 32, discard: true })
          }
          const { connections } = yield* b.node.status
          for (const { id } of connections) yield* b.node.closeConnection(id)

          yield* Effect.sleep(OVER_MS)
          assert.strictEqual(connections.length, PORTS.length * PER_PORT)
          for (const { node } of [a, b]) assert.lengthOf((yield* node.status).connections, 0)
        })
      )
    )
})

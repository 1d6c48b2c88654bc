import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Layer, Queue, Stream } from "effect"
import { RpcClient, RpcServer } from "effect/rpc"
import * as Pilot from "../../src/api/Pilot.ts"
import * as SimNet from "../../src/testing/SimNet.ts"
import type * as SimNode from "../../src/testing/SimNode.ts"
import { handlers, Inventory, Log } from "../support/Inventory.ts"
import { PATIENCE_MS } from "./Patience.ts"

/** `shop` trusts `store` and `spy`, and lets `store` in. */
const stage = Effect.fnUntraced(function* (net: SimNet.SimNet) {
  const shop = yield* net.node("shop", { nat: "portRestrictedCone" })
  const store = yield* net.node("store", { link: { rttMs: 60, loss: 0.02 } })
  yield* net.trust(shop, store)
  const log = yield* Queue.unbounded<string>()
  yield* serve(shop, log)
  return { shop, store, log, client: yield* store.run(connect) }
})

const server = RpcServer.layer(Inventory).pipe(
  Layer.provide(handlers),
  Layer.provide(Pilot.rpcServer({ port: 4000, allow: ["store"] }))
)

const serve = (node: SimNode.SimNode, log: Queue.Queue<string>) =>
  Effect.forkScoped(Effect.ignore(node.run(Effect.provideService(Layer.launch(server), Log, log))))

const connect = RpcClient.make(Inventory).pipe(Effect.provide(Pilot.rpcClient("shop", { port: 4000, retry: true })))

describe("Pilot.rpcServer and Pilot.rpcClient, in the simulator", { timeout: PATIENCE_MS }, () => {
  it.effect("answers, typed errors, streams, the caller and spans cross the tunnel", () =>
    SimNet.run({ seed: 6701 }, (net) =>
      Effect.gen(function* () {
        const { client, log, store } = yield* stage(net)

        assert.strictEqual(yield* store.run(client.stock({ sku: "A-17" })), 4)
        const failure = yield* Effect.flip(store.run(client.stock({ sku: "none" })))
        assert.deepInclude(failure, { _tag: "OutOfStock", sku: "none" })
        const ticks = yield* store.run(client.watch({ sku: "A-17" }).pipe(Stream.take(3), Stream.runCollect))
        assert.deepStrictEqual([...ticks], [4, 5, 6])
        assert.strictEqual(yield* net.run(Queue.take(log)), "watch ended")
        const asking = Effect.gen(function* () {
          const span = yield* Effect.currentSpan
          return { own: span.traceId, there: yield* client.whoami() }
        }).pipe(Effect.withSpan("asking"))
        const { own, there } = yield* store.run(Effect.orDie(asking))
        assert.deepStrictEqual(there, { hostname: "store", traceId: own })
      })
    )
  )

  it.effect("interruption at one end is interruption at the other", () =>
    SimNet.run({ seed: 6702 }, (net) =>
      Effect.gen(function* () {
        const { client, log, store } = yield* stage(net)
        const call = yield* Effect.forkChild(store.run(client.hang()))
        assert.strictEqual(yield* net.run(Queue.take(log)), "hang began")

        yield* Fiber.interrupt(call)

        assert.strictEqual(yield* net.run(Queue.take(log)), "hang interrupted")
        assert.isBelow(net.nowMs(), 60_000)
      })
    )
  )

  it.effect("a stream ends with the reader of its socket, whatever scope the socket was made in", () =>
    SimNet.run({ seed: 6705 }, (net) =>
      Effect.gen(function* () {
        const [shop, store] = [yield* net.node("shop"), yield* net.node("store")]
        yield* net.trust(shop, store)
        const ended = yield* Queue.unbounded<number>()
        const readToEnd = (connection: Pilot.Connection) =>
          Effect.ensuring(Effect.ignore(Stream.runDrain(connection.readable)), Queue.offer(ended, 1))
        yield* Effect.forkScoped(
          Effect.ignore(shop.run(Stream.runForEach(Pilot.listen(4001), (each) => Effect.forkChild(readToEnd(each)))))
        )
        yield* net.sleep("1 second")

        const used = Effect.gen(function* () {
          const socket = yield* Pilot.socket("shop", 4001)
          for (let round = 0; round < 3; round++) {
            yield* Effect.scoped(
              Effect.andThen(
                socket.reader,
                Effect.flatMap(socket.writer, (to) => to.write("x"))
              )
            )
            yield* Effect.sleep("1 second")
          }
          return yield* Queue.size(ended)
        })

        assert.strictEqual(yield* store.run(Effect.scoped(used)), 3)
      })
    )
  )

  it.effect("a server killed during a call fails it and ends a stream; the same client reaches the next one", () =>
    SimNet.run({ seed: 6703 }, (net) =>
      Effect.gen(function* () {
        const { client, log, shop, store } = yield* stage(net)
        const call = yield* Effect.forkChild(Effect.flip(store.run(client.hang())))
        const stream = yield* Effect.forkChild(Effect.flip(store.run(Stream.runDrain(client.watch({ sku: "A" })))))
        assert.strictEqual(yield* net.run(Queue.take(log)), "hang began")

        yield* net.kill(shop)
        const failures = [yield* Fiber.join(call), yield* Fiber.join(stream)]
        yield* net.restart(shop)
        yield* serve(shop, log)

        assert.deepStrictEqual(
          failures.map(({ _tag }) => _tag),
          ["RpcClientError", "RpcClientError"]
        )
        assert.strictEqual(yield* store.run(client.stock({ sku: "A-17" })), 4)
      })
    )
  )

  it.effect(
    "a client that is cut off for good has its handlers interrupted; nobody who is not named gets an answer",
    () =>
      SimNet.run({ seed: 6704 }, (net) =>
        Effect.gen(function* () {
          const { client, log, shop, store } = yield* stage(net)
          const spy = yield* net.node("spy")
          yield* net.trust(shop, spy)
          const spying = Effect.flatMap(
            RpcClient.make(Inventory).pipe(Effect.provide(Pilot.rpcClient("shop", { port: 4000 }))),
            (client) => client.stock({ sku: "A" })
          )
          assert.strictEqual((yield* Effect.flip(spy.run(Effect.scoped(spying))))._tag, "RpcClientError")
          yield* Effect.forkChild(Effect.exit(store.run(client.hang())))
          assert.strictEqual(yield* net.run(Queue.take(log)), "hang began")

          yield* net.kill(store)

          assert.strictEqual(yield* net.run(Queue.take(log)), "hang interrupted")
        })
      )
  )
})

/** The programs that the API is measured by, nearly as its users would write them: they compile, and they run. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Schema, Stream } from "effect"
import { Rpc, RpcClient, RpcGroup, RpcServer } from "effect/rpc"
import * as Actor from "../../src/api/Actor.ts"
import * as Events from "../../src/api/Events.ts"
import * as Mcp from "../../src/api/Mcp.ts"
import * as Pilot from "../../src/api/Pilot.ts"
import * as Tasks from "../../src/api/Tasks.ts"
import * as SimNet from "../../src/testing/SimNet.ts"
import { PATIENCE_MS } from "./Patience.ts"

const Inventory = RpcGroup.make(
  Rpc.make("watch", { payload: { sku: Schema.String }, success: Schema.Int, stream: true })
)

const warehouse = RpcServer.layer(Inventory).pipe(
  Layer.provide(Inventory.toLayer({ watch: () => Stream.range(1, 20) })),
  Layer.provide(Pilot.rpcServer({ port: 4000, allow: ["agent"] }))
)

const call = Effect.gen(function* () {
  const client = yield* RpcClient.make(Inventory).pipe(Effect.provide(Pilot.rpcClient("server", { port: 4000 })))
  return yield* client.watch({ sku: "A-17" }).pipe(Stream.take(10), Stream.runCollect)
})

const ask = Effect.scoped(
  Effect.gen(function* () {
    const connection = yield* Pilot.dial("server", 80)
    yield* connection.write("request")
    yield* connection.end
    return yield* connection.readable.pipe(Stream.decodeText(), Stream.mkString)
  })
)

const Counter = Actor.make(Actor.protocol("counter", { Get: Actor.ask({ reply: Schema.Int }) }), {
  start: Effect.succeed({ Get: () => Effect.succeed(7) })
})

const Research = Tasks.make("research", {
  input: Schema.Struct({ topic: Schema.NonEmptyString }),
  progress: Schema.Struct({ done: Schema.Int, of: Schema.Int }),
  output: Schema.Struct({ summary: Schema.String, papers: Schema.Int })
})

/** Compiled only: it wants MCP servers. */
const researcher = Tasks.serve(
  Research,
  Effect.fn("research")(function* ({ topic }, task) {
    const db = yield* Mcp.stdio("npx", ["-y", "mcp-server-sqlite", "papers.db"])
    const rows = yield* db.call("query", { sql: "…", params: [topic] })
    yield* task.progress({ done: 1, of: 2 })
    const web = yield* Mcp.connect("scout/fetch")
    const page = yield* web.call("fetch", { url: "…" })
    yield* Events.publish("research.completed", JSON.stringify({ topic, papers: rows.text.length }))
    return { summary: page.text, papers: rows.text.length }
  }, Effect.scoped),
  { concurrency: 4 }
)

describe("programs of users", { timeout: PATIENCE_MS }, () => {
  it("the research agent compiles", () => assert.isTrue(Layer.isLayer(researcher)))

  it.effect("typed calls, a raw stream, an actor on another machine", () =>
    SimNet.run({ seed: 6701 }, (net) =>
      Effect.gen(function* () {
        const agent = yield* net.node("agent", { nat: "symmetric" })
        const server = yield* net.node("server", { link: { rttMs: 30, loss: 0.02 } })
        yield* net.trust(agent, server)
        const upper = Pilot.listen(80).pipe(
          Stream.runForEach((connection) =>
            Effect.gen(function* () {
              const text = yield* connection.readable.pipe(Stream.decodeText(), Stream.mkString)
              yield* connection.write(text.toUpperCase())
              yield* connection.end
            })
          )
        )
        yield* Effect.forkScoped(Effect.ignore(server.run(upper)))
        yield* Effect.forkScoped(Effect.ignore(server.run(Layer.launch(warehouse))))
        const registering = Effect.gen(function* () {
          const counter = yield* Actor.spawn(Counter)
          yield* Pilot.register("counter", counter, { allow: "trusted" })
        })
        yield* server.run(registering)
        yield* net.sleep("1 second")

        assert.deepStrictEqual([...(yield* agent.run(call))], [1, 2, 3, 4, 5, 6, 7, 8, 9, 10])
        assert.strictEqual(yield* agent.run(ask), "REQUEST")
        const remote = yield* agent.run(Pilot.actor("server", "counter", Counter.Protocol))
        assert.strictEqual(yield* agent.run(remote.ask(Counter.Get())), 7)
        yield* net.sleep("1 second")
      })
    )
  )
})

/**
 * What a typed call to a peer adds: one rpc after the other between two nodes of this process and between two daemons, next to
 * the same rpc over a Unix socket; and what a thousand idle agents hold. Both ends of every call are programs of this process.
 */
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import { NodeSocket, NodeSocketServer } from "@effect/platform-node"
import { Context, Effect, FileSystem, Layer, Schema, type Scope } from "effect"
import { Rpc, RpcClient, RpcGroup, RpcSerialization, RpcServer } from "effect/rpc"
import { Actor, Pilot } from "effect-pilot"
import type { Figure } from "../Figure.ts"
import * as Network from "../Network.ts"
import * as Statistics from "../Statistics.ts"
import type { Group } from "./Group.ts"

const measure = Effect.gen(function* () {
  const network = yield* Network.make(SERVER)
  const socket = yield* Effect.scoped(overSocket)
  const daemons = yield* Effect.scoped(
    Effect.gen(function* () {
      yield* Effect.all([network.server.daemon, network.client.daemon])
      const [server, client] = [{ home: network.server.path }, { home: network.client.path }]
      return yield* between(Pilot.layerDaemon(server), Pilot.layerDaemon(client))
    })
  )
  const nodes = yield* Effect.scoped(between(Pilot.layer(network.server.options), Pilot.layer(network.client.options)))
  const agents = yield* Effect.scoped(idleAgents(Pilot.layer(network.server.options)))
  const row = (name: string, ours: Statistics.Latency, of: (latency: Statistics.Latency) => number): Figure => ({
    name,
    unit: "ms",
    ours: of(ours),
    ceiling: { value: of(socket), of: "rpc over a Unix socket" }
  })
  return [
    row("an rpc between two nodes, p50", nodes, ({ p50Ms }) => p50Ms),
    row("an rpc between two nodes, p99", nodes, ({ p99Ms }) => p99Ms),
    row("an rpc between programs of two daemons, p50", daemons, ({ p50Ms }) => p50Ms),
    row("an rpc between programs of two daemons, p99", daemons, ({ p99Ms }) => p99Ms),
    { name: `an idle agent: a registered actor, ${AGENTS} of them`, unit: "KB", ours: agents / 1024 }
  ]
})

const Echo = RpcGroup.make(Rpc.make("echo", { payload: { text: Schema.String }, success: Schema.String }))
const handlers = Echo.toLayer({ echo: ({ text }) => Effect.succeed(text) })

/** The latency of one call after the other. */
const calls = Effect.gen(function* () {
  const client = yield* RpcClient.make(Echo)
  const samples: Array<number> = []
  for (let round = 0; round < WARM_UP + ROUNDS; round++) {
    const startMs = performance.now()
    yield* client.echo({ text: TEXT })
    if (round >= WARM_UP) samples.push(performance.now() - startMs)
  }
  return Statistics.latency(samples)
})

const overSocket = Effect.gen(function* () {
  const files = yield* FileSystem.FileSystem
  const path = `${yield* files.makeTempDirectoryScoped({ prefix: "effect-pilot-bench-" })}/rpc.sock`
  yield* Layer.build(
    RpcServer.layer(Echo).pipe(
      Layer.provide([handlers, RpcServer.layerProtocolSocketServer]),
      Layer.provide([RpcSerialization.layerNdjson, NodeSocketServer.layer({ path })])
    )
  )
  const protocol = RpcClient.layerProtocolSocket().pipe(
    Layer.provide([RpcSerialization.layerNdjson, NodeSocket.layerNet({ path })])
  )
  return yield* Effect.provideContext(calls, yield* Layer.build(protocol))
})

const between = Effect.fnUntraced(function* (
  serverNode: Layer.Layer<Pilot.Services, unknown>,
  clientNode: Layer.Layer<Pilot.Services, unknown>
) {
  const [server, client] = [yield* Layer.build(serverNode), yield* Layer.build(clientNode)]
  yield* Layer.build(
    RpcServer.layer(Echo).pipe(
      Layer.provide([handlers, Pilot.rpcServer({ port: PORT, allow: "trusted" })]),
      Layer.provide(Layer.succeedContext(server))
    )
  )
  return yield* calls.pipe(
    Effect.provide(Pilot.rpcClient(SERVER, { port: PORT })),
    Effect.provideContext(Context.merge(yield* Effect.context<Scope.Scope>(), client))
  )
}, Effect.orDie)

/** Bytes of heap for each actor with a name that peers may use. */
const idleAgents = Effect.fnUntraced(function* (node: Layer.Layer<Pilot.Services, unknown>) {
  const services = Context.merge(yield* Effect.context<Scope.Scope>(), yield* Layer.build(node))
  const Agent = Actor.make(Actor.protocol("agent", { Ask: Actor.ask({ reply: Schema.Int }) }), {
    start: Effect.sync(() => {
      let asked = 0
      return { Ask: () => Effect.sync(() => ++asked) }
    })
  })
  const spawn = (index: number) =>
    Effect.flatMap(Actor.spawn(Agent), (ref) => Pilot.register(`agent-${index}`, ref, { allow: "trusted" }))
  setFlagsFromString("--expose-gc")
  const collect: () => void = runInNewContext("gc")
  const held = Effect.sync(() => {
    collect()
    return process.memoryUsage().heapUsed
  })
  yield* Effect.provideContext(spawn(0), services)
  const before = yield* held
  yield* Effect.provideContext(
    Effect.forEach(
      Array.from({ length: AGENTS }, (_, index) => index + 1),
      spawn,
      { discard: true }
    ),
    services
  )
  return ((yield* held) - before) / AGENTS
}, Effect.orDie)

/** Typed calls. */
export const group: Group = {
  name: "rpc",
  about: "a typed call to a peer next to the same over a Unix socket; a thousand idle agents",
  seconds: 40,
  run: measure
}

const SERVER = "bench-server"
const PORT = 4000
const WARM_UP = 500
const ROUNDS = 3000
const AGENTS = 1000
const TEXT = "x".repeat(64)

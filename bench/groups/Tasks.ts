/**
 * Durable tasks: how many a second go from a program of one daemon to a program of another and are done, handled plainly and by
 * workflows over either engine, next to bare rows in the same engine; how soon those that waited are taken after `kill -9`; and
 * what agents hold that wait for tasks. The programs at both ends are this process.
 */
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import { Context, Effect, FileSystem, Layer, Schedule, Schema, type Scope } from "effect"
import { Activity } from "effect/workflow"
import { Pilot, Tasks } from "effect-pilot"
import * as Pilotctl from "../../examples/demo/Pilotctl.ts"
import type { Figure } from "../Figure.ts"
import * as Network from "../Network.ts"
import * as BareRows from "../tasks/BareRows.ts"
import * as Engines from "../tasks/Engines.ts"
import type { Group } from "./Group.ts"

/** Tasks that wait for the recovery; the other rows take a share of it. */
export const Waiting = Context.Reference<number>("bench/tasks/Waiting", { defaultValue: () => 10_000 })

const measure = Effect.gen(function* () {
  const waiting = yield* Waiting
  const flow = Math.max(CONCURRENCY, Math.floor(waiting / 5))
  const played = Math.max(CONCURRENCY, Math.floor(waiting / 25))
  const files = yield* FileSystem.FileSystem
  const network = yield* Network.make(SERVER)
  yield* Effect.all([network.server.daemon, network.client.daemon])
  const server = yield* Layer.build(Pilot.layerDaemon({ home: network.server.path }))
  const client = yield* Layer.build(Pilot.layerDaemon({ home: network.client.path }))
  const sqlite = Engines.sqlite(yield* files.makeTempDirectoryScoped({ prefix: "effect-pilot-bench-" }))
  const postgres = yield* Engines.postgres

  const plain = yield* Effect.scoped(
    Effect.andThen(
      Layer.build(
        Layer.provide(Tasks.serve(Plain, handler, { concurrency: CONCURRENCY }), Layer.succeedContext(server))
      ),
      Effect.provideContext(perSecond(Plain, flow), client)
    )
  )
  const rows: Array<Figure> = []
  for (const { flows, name } of [sqlite, postgres]) {
    const { bare, done } = yield* Effect.scoped(
      Effect.gen(function* () {
        const engine = yield* Layer.build(flows)
        const bare = yield* Effect.provideContext(BareRows.perSecond(flow), engine)
        const serving = Tasks.serveWorkflow(Flow, { concurrency: CONCURRENCY })
        yield* Layer.build(Layer.provide(serving, Layer.succeedContext(Context.merge(server, engine))))
        return { bare, done: yield* Effect.provideContext(perSecond(Flow.task, played), client) }
      })
    )
    const ceiling = { value: bare, of: `bare rows, ${name}` }
    if (rows.length === 0) rows.push({ name: "tasks submitted to done, SQLite", unit: "/s", ours: plain, ceiling })
    rows.push({ name: `tasks done by a workflow, ${name}`, unit: "/s", ours: done, ceiling })
  }
  const taken = yield* recovery(network, waiting, server, client)
  return [
    ...rows,
    { name: `first of ${waiting} waiting tasks taken after kill -9`, unit: "s", ours: taken.firstSeconds },
    { name: `last of ${waiting} waiting tasks taken after kill -9`, unit: "s", ours: taken.lastSeconds },
    { name: `an idle agent that serves tasks, ${AGENTS} of them`, unit: "KB", ours: yield* idleAgents(network) }
  ]
}).pipe(Effect.orDie)

const schemas = { input: Schema.Int, output: Schema.Int }
const Plain = Tasks.make("bench", schemas)
const handler = (number: number) => Effect.succeed(2 * number)
const Flow = Tasks.workflow(
  Tasks.make("bench-flow", schemas),
  Effect.fnUntraced(function* (number) {
    return yield* Activity.make({ name: "double", success: Schema.Int, execute: Effect.succeed(2 * number) })
  })
)

/** From the first submission to the last result, so many under way at once. */
const perSecond = Effect.fnUntraced(function* (task: typeof Plain, count: number) {
  const call = (number: number) => Tasks.call(task, number, { to: SERVER })
  yield* call(0)
  const startMs = performance.now()
  const numbers = Array.from({ length: count }, (_, index) => index)
  yield* Effect.forEach(numbers, call, { concurrency: CONCURRENCY, discard: true })
  return (1_000 * count) / (performance.now() - startMs)
})

/** Nobody takes them, their daemon is killed, and started again: seconds from its start until the first and the last is taken. */
const recovery = Effect.fnUntraced(function* (
  { server: { path, startAgain } }: Network.Network,
  count: number,
  server: Context.Context<Pilot.Services>,
  client: Context.Context<Pilot.Services>
) {
  const Later = Tasks.make("bench-later", schemas)
  const submit = (number: number) => Tasks.submit(Later, number, { to: SERVER })
  const numbers = Array.from({ length: count }, (_, index) => index)
  const handles = yield* Effect.provideContext(Effect.forEach(numbers, submit, { concurrency: 64 }), client)
  const isThere = Effect.map(handles.at(-1)?.status ?? Effect.succeed("NEW"), (status) => status !== "OFFERED")
  yield* Effect.repeat(Effect.provideContext(isThere, client), {
    until: (is) => is,
    schedule: Schedule.spaced("50 millis")
  })
  const { pid } = yield* Effect.flatMap(Pilotctl.run(path, "daemon", "status"), decodePid)
  yield* Effect.sync(() => process.kill(pid, "SIGKILL"))
  const startMs = performance.now()
  yield* startAgain
  const takenSeconds: Array<number> = []
  const take = Effect.gen(function* () {
    const tasks = yield* Tasks.Tasks
    while (takenSeconds.length < count) {
      const record = yield* tasks.claim([Later.kind], { worker: "bench", leaseMs: LEASE_MS, waitMs: 1_000 })
      if (record !== undefined) takenSeconds.push((performance.now() - startMs) / 1_000)
    }
  })
  yield* Effect.provideContext(
    Effect.all(
      Array.from({ length: CONCURRENCY }, () => take),
      { concurrency: "unbounded" }
    ),
    server
  )
  return { firstSeconds: takenSeconds[0] ?? Number.NaN, lastSeconds: takenSeconds.at(-1) ?? Number.NaN }
})

/** Bytes of heap for each kind that is served and waited for, by programs of one process with a node of its own. */
const idleAgents = Effect.fnUntraced(function* ({ rival }: Network.Network) {
  const node = yield* Layer.build(Pilot.layer(rival.options))
  const services = Context.merge(yield* Effect.context<Scope.Scope>(), node)
  const agent = (index: number) => Layer.build(Tasks.serve(Tasks.make(`agent-${index}`, schemas), handler))
  setFlagsFromString("--expose-gc")
  const collect: () => void = runInNewContext("gc")
  // Once they all wait.
  const held = Effect.map(Effect.sleep("2 seconds"), () => {
    collect()
    return process.memoryUsage().heapUsed
  })
  yield* Effect.provideContext(agent(0), services)
  const before = yield* held
  const agents = Array.from({ length: AGENTS }, (_, index) => index + 1)
  yield* Effect.provideContext(Effect.forEach(agents, agent, { discard: true }), services)
  return ((yield* held) - before) / AGENTS / 1024
}, Effect.scoped)

const decodePid = Schema.decodeUnknownEffect(Schema.Struct({ pid: Schema.Number }))

/** Durable tasks. */
export const group: Group = {
  name: "tasks",
  about: "durable tasks next to bare rows of the same engine, those that wait after kill -9, and idle agents",
  seconds: 120,
  run: measure
}

const SERVER = "bench-server"
const CONCURRENCY = 32
const AGENTS = 1_000
const LEASE_MS = 600_000

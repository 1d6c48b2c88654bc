/**
 * Calls through the bridge while every process of it keeps a profile: which processes they are, when how many calls were
 * made, and what the kernel says of each process meanwhile.
 *
 * Run as a child by `McpCost.ts`, which reads the profiles when all of them have ended.
 */
import { fileURLToPath } from "node:url"
import { NodeRuntime, NodeServices } from "@effect/platform-node"
import { Effect, References, Schema } from "effect"
import * as Pilotctl from "../../examples/demo/Pilotctl.ts"
import * as Network from "../Network.ts"
import * as Bridges from "./Bridges.ts"
import * as EchoServer from "./EchoServer.ts"
import { LineClient } from "./LineClient.ts"
import * as Processes from "./Processes.ts"

/** The program. */
export const PROGRAM = fileURLToPath(import.meta.url)

/** Some time of calls. `fromUs` and `toUs` are of the monotonic clock; `processes` is per process, of that time. */
const Window = Schema.Struct({
  name: Schema.String,
  fromUs: Schema.Finite,
  toUs: Schema.Finite,
  calls: Schema.Finite,
  processes: Schema.Record(Schema.String, Processes.Spent)
})

/** What the program tells its parent. */
export const Report = Schema.Struct({
  pids: Schema.Record(Schema.String, Schema.Int),
  windows: Schema.Array(Window)
})
/** What the program tells its parent. */
export type Report = typeof Report.Type

const measure = Effect.gen(function* () {
  const network = yield* Network.make("bench-server")
  yield* Effect.all([network.server.daemon, network.client.daemon])
  yield* Effect.addFinalizer(() => Effect.sync(() => Pilotctl.runSync(network.server.path, "mcp", "stop")))
  const mount = yield* Bridges.ours(network, "echo", EchoServer.PROGRAM)
  const client = new LineClient(mount)
  yield* Effect.addFinalizer(() => Effect.promise(() => client.close()))
  yield* Effect.promise(() => client.open())
  const pids = { shim: client.pid, ...(yield* Processes.ofBridge(network)) }
  return yield* Effect.promise(() => calls(client, pids))
}).pipe(Effect.scoped)

const calls = async (client: LineClient, pids: Readonly<Record<string, number>>): Promise<Report> => {
  const window = async (name: string, inFlight: number, forMs: number): Promise<typeof Window.Type> => {
    const before = Processes.spentOf(pids)
    const fromUs = nowUs()
    const rate = await client.rate(inFlight, forMs)
    const toUs = nowUs()
    const processes = Processes.since(before, Processes.spentOf(pids))
    return { name, fromUs, toUs, calls: (rate * (toUs - fromUs)) / 1e6, processes }
  }
  const first = await window("first second", 1, FIRST_MS)
  // Before the compilers of six processes have seen enough, everything takes several times as long.
  await client.rate(64, WARM_UP_MS)
  await client.rate(1, WARM_UP_MS)
  const one = await window("1 in flight", 1, WINDOW_MS)
  await client.rate(16, WARM_UP_MS)
  return { pids, windows: [first, one, await window("16 in flight", 16, WINDOW_MS)] }
}

const nowUs = (): number => Number(process.hrtime.bigint()) / 1000

const sent = (report: Report) =>
  Effect.callback<void>((resume) => void process.send?.(report, () => resume(Effect.void)))

const FIRST_MS = 1_000
const WARM_UP_MS = 3_000
const WINDOW_MS = 4_000

if (process.argv[1] === PROGRAM) {
  const program = Effect.andThen(
    Effect.flatMap(measure, sent),
    Effect.sync(() => process.disconnect?.())
  )
  NodeRuntime.runMain(
    program.pipe(Effect.provide(NodeServices.layer), Effect.provideService(References.MinimumLogLevel, "Warn"))
  )
}

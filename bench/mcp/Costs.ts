/**
 * Calls through the bridge, and through as many programs that only pass bytes on: which processes they are, when how many
 * calls were made, how long they took, and what the kernel says of each process meanwhile.
 *
 * Run as a child by `McpCost.ts`, once as it is, and once while `perf` watches every process of the bridge.
 */
import { fileURLToPath } from "node:url"
import { NodeRuntime, NodeServices } from "@effect/platform-node"
import { Effect, References, Schema } from "effect"
import * as Pilotctl from "../../examples/demo/Pilotctl.ts"
import * as Network from "../Network.ts"
import * as Statistics from "../Statistics.ts"
import * as BareChain from "./BareChain.ts"
import * as Bridges from "./Bridges.ts"
import * as EchoServer from "./EchoServer.ts"
import { type Command, LineClient } from "./LineClient.ts"
import * as PerfSamples from "./PerfSamples.ts"
import * as Processes from "./Processes.ts"

/** The program. */
export const PROGRAM = fileURLToPath(import.meta.url)

/**
 * Some time of calls. `fromUs` and `toUs` are of the monotonic clock; `processes` is per process, of that time; `p50Ms` is
 * known of calls that are made one after the other.
 */
const Window = Schema.Struct({
  name: Schema.String,
  fromUs: Schema.Finite,
  toUs: Schema.Finite,
  calls: Schema.Finite,
  p50Ms: Schema.optionalKey(Schema.Finite),
  processes: Schema.Record(Schema.String, Processes.Spent)
})

/** What the program tells its parent; `bare` has the same names, and is empty when the bridge is watched. */
export const Report = Schema.Struct({
  pids: Schema.Record(Schema.String, Schema.Int),
  windows: Schema.Array(Window),
  bare: Schema.Array(Window)
})
/** What the program tells its parent. */
export type Report = typeof Report.Type

/** Where the samples of a process are, in the folder that the program is given as its argument to watch the bridge. */
export const samplesFile = (folder: string, pid: number): string => `${folder}/${pid}.perf`

const measure = (folder: string | undefined) =>
  Effect.gen(function* () {
    // Whoever names interpreted functions also writes a log, where it is started.
    if (folder !== undefined) process.chdir(folder)
    const network = yield* Network.make("bench-server")
    yield* Effect.all([network.server.daemon, network.client.daemon])
    yield* Effect.addFinalizer(() => Effect.sync(() => Pilotctl.runSync(network.server.path, "mcp", "stop")))
    const mount = yield* Bridges.ours(network, "echo", EchoServer.PROGRAM)
    const client = yield* opened(mount)
    const pids = { shim: client.pid, ...(yield* Processes.ofBridge(network)) }
    const stops = folder && (yield* Effect.promise(() => watched(folder, Object.values(pids))))
    const windows = yield* Effect.promise(() => calls(client, pids))
    if (stops) yield* Effect.promise(() => Promise.all(stops.map((stop) => stop())))
    return { pids, windows, bare: stops ? [] : yield* Effect.scoped(bare(network.client.path)) }
  }).pipe(Effect.scoped)

const watched = (folder: string, pids: ReadonlyArray<number>) =>
  Promise.all(pids.map((pid) => PerfSamples.record(pid, samplesFile(folder, pid))))

const bare = Effect.fnUntraced(function* (home: string) {
  const chain = yield* BareChain.start(home, EchoServer.PROGRAM)
  const client = yield* opened(chain.mount)
  return yield* Effect.promise(() => calls(client, { shim: client.pid, ...chain.pids }))
})

const opened = (command: Command) =>
  Effect.tap(
    Effect.acquireRelease(
      Effect.sync(() => new LineClient(command)),
      (client) => Effect.promise(() => client.close())
    ),
    (client) => Effect.promise(() => client.open())
  )

type Pids = Readonly<Record<string, number>>

/** What the windows are called, and how their calls are made. */
const calls = async (client: LineClient, pids: Pids): Promise<Report["windows"]> => {
  const first = await window("first second", pids, () => oneByOne(client, FIRST_MS, 0))
  // Before the compilers of six processes have seen enough, everything takes several times as long.
  await client.rate(64, WARM_UP_MS)
  await client.rate(1, WARM_UP_MS)
  const one = await window("1 in flight", pids, () => oneByOne(client, WINDOW_MS, 0))
  const rare = await window("10 a second", pids, () => oneByOne(client, WINDOW_MS, PAUSE_MS))
  await client.rate(16, WARM_UP_MS)
  const many = await window("16 in flight", pids, async () => ({
    calls: ((await client.rate(16, WINDOW_MS)) * WINDOW_MS) / 1000
  }))
  return [one, many, rare, first]
}

const window = async (
  name: string,
  pids: Pids,
  run: () => Promise<Pick<typeof Window.Type, "calls" | "p50Ms">>
): Promise<typeof Window.Type> => {
  const before = Processes.spentOf(pids)
  const fromUs = nowUs()
  const made = await run()
  return { name, fromUs, toUs: nowUs(), ...made, processes: Processes.since(before, Processes.spentOf(pids)) }
}

/** One call after the other, with a pause after each. */
const oneByOne = async (client: LineClient, forMs: number, pauseMs: number) => {
  const timesMs: Array<number> = []
  for (const startMs = performance.now(); performance.now() - startMs < forMs; ) {
    timesMs.push(...(await client.latencies(1)))
    if (pauseMs > 0) await new Promise((resolve) => setTimeout(resolve, pauseMs))
  }
  return { calls: timesMs.length, p50Ms: Statistics.median(timesMs) }
}

const nowUs = (): number => Number(process.hrtime.bigint()) / 1000

const sent = (report: Report) =>
  Effect.callback<void>((resume) => void process.send?.(report, () => resume(Effect.void)))

const FIRST_MS = 1_000
const WARM_UP_MS = 2_000
const WINDOW_MS = 3_000
const PAUSE_MS = 100

if (process.argv[1] === PROGRAM) {
  const program = Effect.andThen(
    Effect.flatMap(measure(process.argv[2]), sent),
    Effect.sync(() => process.disconnect?.())
  )
  NodeRuntime.runMain(
    program.pipe(Effect.provide(NodeServices.layer), Effect.provideService(References.MinimumLogLevel, "Warn"))
  )
}

/**
 * A tool call through the bridge: client, shim, two nodes, keeper and server, each a process of its own. Next to it the
 * same client with the same server and nothing between, alternating, and what others put between them.
 */
import { Effect, Schema } from "effect"
import * as Pilotctl from "../../examples/demo/Pilotctl.ts"
import type { Figure } from "../Figure.ts"
import * as Bridges from "../mcp/Bridges.ts"
import * as EchoServer from "../mcp/EchoServer.ts"
import { type Command, LineClient } from "../mcp/LineClient.ts"
import * as Processes from "../mcp/Processes.ts"
import { SdkClient } from "../mcp/SdkClient.ts"
import * as SdkServer from "../mcp/SdkServer.ts"
import * as Network from "../Network.ts"
import * as Statistics from "../Statistics.ts"
import type { Group } from "./Group.ts"
import { residentBytes } from "./Memory.ts"

const measure = Effect.gen(function* () {
  const network = yield* Network.make("bench-server")
  yield* Effect.all([network.server.daemon, network.client.daemon])
  yield* Effect.addFinalizer(() => Effect.sync(() => Pilotctl.runSync(network.server.path, "mcp", "stop")))
  const mount = yield* Bridges.ours(network, "echo", EchoServer.PROGRAM)
  const direct = Bridges.direct(EchoServer.PROGRAM, network.client.path)
  const first = yield* firstLists(mount, direct)
  // Before the load, whose garbage would hide what a session needs.
  const memory = yield* resident(network, mount, direct)
  const lines = yield* calls(network, mount, direct)
  const sdkMount = yield* Bridges.ours(network, "sdk", SdkServer.PROGRAM)
  const sdk = yield* official(sdkMount, Bridges.direct(SdkServer.PROGRAM, network.client.path))
  return [...lines, ...sdk, ...first, ...memory]
})

/** What raw lines tell: latency, rates, throughput, and what each process spends. */
const calls = Effect.fnUntraced(function* (network: Network.Network, mount: Command, direct: Command) {
  const pids = yield* Processes.ofBridge(network)
  const bridged = yield* opened(mount)
  const plain = yield* opened(direct)
  const alone = yield* promise(() => compare(bridged, plain))
  const cpu = yield* promise(() => spent({ shim: bridged.pid, ...pids }, bridged))
  const peers = yield* Effect.scoped(
    Effect.flatMap(Bridges.others(EchoServer.PROGRAM, network.client.path), (commands) =>
      Effect.all(
        Object.values(commands).map((command) =>
          Effect.scoped(Effect.flatMap(opened(command), (client) => promise(() => compare(client, plain))))
        )
      ).pipe(Effect.map((all) => Object.keys(commands).map((name, index) => [name, all[index]] as const)))
    )
  )
  const beside = (value: (measured: Compared) => number) =>
    Object.fromEntries(peers.flatMap(([name, measured]) => (measured === undefined ? [] : [[name, value(measured)]])))
  return [...figuresOf(alone, beside), ...cpu]
}, Effect.scoped)

type Beside = (value: (measured: Compared) => number) => Record<string, number>

const figuresOf = (alone: Compared, beside: Beside): ReadonlyArray<Figure> => [
  ...(["p50Ms", "p99Ms"] as const).map((share) => ({
    name: `added latency of \`tools/call\`, ${share.slice(0, 3)}`,
    unit: "ms",
    ours: alone.bridged[share] - alone.direct[share],
    ceiling: { value: alone.direct[share], of: "all of it, without a bridge" },
    peers: beside(({ bridged, direct }) => bridged[share] - direct[share]),
    ...(share === "p50Ms" ? { bar: { kind: "atMost", value: 0.25 } as const } : {})
  })),
  ...IN_FLIGHT.map((count, index) => ({
    name: `calls, ${count} in flight`,
    unit: "/s",
    ours: alone.rates[index]?.bridged ?? Number.NaN,
    ceiling: { value: alone.rates[index]?.direct ?? Number.NaN, of: "without a bridge" },
    peers: beside(({ rates }) => rates[index]?.bridged ?? Number.NaN),
    ...(count === 16 ? { bar: { kind: "atLeast", value: 15_000 } as const } : {})
  })),
  {
    name: "results of 5 MB",
    unit: "MB/s",
    ours: alone.throughput.bridged / 1e6,
    ceiling: { value: alone.throughput.direct / 1e6, of: "without a bridge" },
    peers: beside(({ throughput }) => throughput.bridged / 1e6)
  }
]

interface Compared {
  readonly bridged: Statistics.Latency
  readonly direct: Statistics.Latency
  readonly rates: ReadonlyArray<Pair>
  readonly throughput: Pair
}

interface Pair {
  readonly bridged: number
  readonly direct: number
}

/** Alternating, so that both see the same machine. */
const compare = async (bridge: LineClient, plain: LineClient): Promise<Compared> => {
  for (const client of [bridge, plain]) {
    await client.latencies(WARM_UP)
    await client.rate(64, WARM_UP_MS)
  }
  const times = { bridged: [] as number[], direct: [] as number[] }
  for (let round = 0; round < ROUNDS; round++) {
    times.bridged.push(...(await bridge.latencies(CALLS)))
    times.direct.push(...(await plain.latencies(CALLS)))
  }
  const rates: Array<Pair> = []
  for (const count of IN_FLIGHT) {
    rates.push({ bridged: await bridge.rate(count, RATE_MS), direct: await plain.rate(count, RATE_MS) })
  }
  const throughput = {
    bridged: await bridge.throughput(RESULT_BYTES, RESULTS),
    direct: await plain.throughput(RESULT_BYTES, RESULTS)
  }
  return { bridged: Statistics.latency(times.bridged), direct: Statistics.latency(times.direct), rates, throughput }
}

/** The same with the official SDK at both ends, and the SDK's own way over the network beside it. */
const official = Effect.fnUntraced(function* (mount: Command, direct: Command) {
  const http = yield* Bridges.http
  const open = (place: Command | string) =>
    Effect.acquireRelease(
      promise(async () => {
        const client = new SdkClient()
        await client.open(place)
        await client.latencies(WARM_UP)
        await client.rate(16, WARM_UP_MS)
        return client
      }),
      (client) => Effect.promise(() => client.close())
    )
  const clients = { bridged: yield* open(mount), direct: yield* open(direct), http: yield* open(http) }
  const p50Ms = (client: SdkClient) =>
    Effect.map(
      promise(() => client.latencies(ROUNDS * CALLS)),
      (timesMs) => Statistics.latency(timesMs).p50Ms
    )
  const rate = (client: SdkClient) => promise(() => client.rate(16, RATE_MS))
  const directMs = yield* p50Ms(clients.direct)
  return [
    {
      name: "added latency, official SDK at both ends, p50",
      unit: "ms",
      ours: (yield* p50Ms(clients.bridged)) - directMs,
      ceiling: { value: directMs, of: "all of it, without a bridge" },
      peers: { "the SDK over streamable HTTP": (yield* p50Ms(clients.http)) - directMs }
    },
    {
      name: "calls, official SDK at both ends, 16 in flight",
      unit: "/s",
      ours: yield* rate(clients.bridged),
      ceiling: { value: yield* rate(clients.direct), of: "without a bridge" },
      peers: { "the SDK over streamable HTTP": yield* rate(clients.http) }
    }
  ] satisfies ReadonlyArray<Figure>
}, Effect.scoped)

/** From the start of the client's command to its list of tools. The first one also opens the tunnel. */
const firstLists = Effect.fnUntraced(function* (mount: Command, direct: Command) {
  const cold = yield* firstListMs(mount)
  const warm = yield* Effect.replicateEffect(firstListMs(mount), STARTS)
  const plain = yield* Effect.replicateEffect(firstListMs(direct), STARTS)
  const ceiling = { value: Statistics.median(plain), of: "the server started directly" }
  return [
    { name: "first list of tools, nodes and keeper just started", unit: "ms", ours: cold, ceiling },
    { name: "first list of tools, tunnel open, p50", unit: "ms", ours: Statistics.median(warm), ceiling }
  ] satisfies ReadonlyArray<Figure>
})

const firstListMs = (command: Command) =>
  Effect.suspend(() => {
    const startMs = performance.now()
    return Effect.scoped(Effect.map(opened(command), () => performance.now() - startMs))
  })

/** Resident memory of a shim, and what each further session adds to the keeper. */
const resident = Effect.fnUntraced(function* (network: Network.Network, mount: Command, direct: Command) {
  const { keeper } = yield* Processes.ofBridge(network)
  const plain = yield* opened(direct)
  const before = residentBytes(keeper)
  const shims = yield* Effect.replicateEffect(opened(mount), SESSIONS)
  const perSession = (residentBytes(keeper) - before) / SESSIONS
  const ceiling = { value: residentBytes(plain.pid) / 2 ** 20, of: "the server, a bare program of Node" }
  return [
    { name: "resident memory of a shim", unit: "MB", ours: residentBytes(shims[0]?.pid ?? 0) / 2 ** 20, ceiling },
    { name: "resident memory of the keeper", unit: "MB", ours: residentBytes(keeper) / 2 ** 20, ceiling },
    { name: "keeper, for each further session", unit: "MB", ours: Math.max(0, perSession) / 2 ** 20 }
  ] satisfies ReadonlyArray<Figure>
}, Effect.scoped)

/** Microseconds of processor per call. Linux only: `NaN` elsewhere. */
const spent = async (pids: Readonly<Record<string, number>>, client: LineClient): Promise<ReadonlyArray<Figure>> => {
  const perCall = async (inFlight: number): Promise<(name: string) => number> => {
    const before = Processes.spentOf(pids)
    const answers = (await client.rate(inFlight, RATE_MS)) * (RATE_MS / 1000)
    const during = Processes.since(before, Processes.spentOf(pids))
    return (name) => (during[name]?.runningUs ?? Number.NaN) / answers
  }
  const [one, sixteen] = [await perCall(1), await perCall(16)]
  return Object.keys(pids).map((name) => ({
    name: `processor per call, 16 in flight: ${name}`,
    unit: "µs",
    ours: sixteen(name),
    peers: { "1 in flight": one(name) }
  }))
}

const opened = (command: Command) =>
  Effect.acquireRelease(
    promise(async () => {
      const client = new LineClient(command)
      await client.open()
      return client
    }),
    (client) => Effect.promise(() => client.close())
  )

/** What a session or a process said instead. */
class McpFailed extends Schema.TaggedError<McpFailed>()("McpFailed", { detail: Schema.String }) {
  override get message(): string {
    return this.detail
  }
}

const promise = <A>(run: () => Promise<A>): Effect.Effect<A, McpFailed> =>
  Effect.tryPromise({ try: run, catch: (cause) => new McpFailed({ detail: String(cause) }) })

/** A call through shim, two nodes and keeper. */
export const group: Group = {
  name: "mcp",
  about: "`tools/call` through shim, two nodes and keeper, next to the same server without them",
  seconds: 200,
  run: measure
}

const IN_FLIGHT = [1, 16, 64]
/** Calls before the compilers of six processes have seen enough of them: an agent runs for days. */
const WARM_UP = 5_000
const WARM_UP_MS = 2_000
const ROUNDS = 10
const CALLS = 200
const RATE_MS = 3_000
const RESULT_BYTES = 5_000_000
const RESULTS = 10
const STARTS = 5
/** As many as a keeper gives one peer. */
const SESSIONS = 4

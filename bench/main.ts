/**
 * `npm run bench`: how fast it is, each figure next to what the machine allows, measured in the same run. Nothing here
 * asserts a time. Writes `bench/results/latest.json`.
 */
import { availableParallelism } from "node:os"
import { fileURLToPath } from "node:url"
import { NodeRuntime, NodeServices } from "@effect/platform-node"
import { Console, Effect, FileSystem } from "effect"
import * as Ceiling from "./Ceiling.ts"
import * as Network from "./Network.ts"
import { SERVER } from "./Peers.ts"
import * as Programs from "./Programs.ts"
import type * as Statistics from "./Statistics.ts"
import * as Streams from "./Streams.ts"

/** One line of the table. */
interface Figure {
  readonly name: string
  readonly unit: "ms" | "MB/s"
  readonly ours: number
  readonly ceiling: number
  /** What the ceiling is. */
  readonly against: string
}

const bench = Effect.gen(function* () {
  yield* Console.log("setting up: a rendezvous, two nodes, trust between them …")
  const network = yield* Network.make(SERVER)
  const ceilings = yield* measureCeilings
  yield* Console.log("through two daemons …")
  const { daemons, start, toolCall } = yield* Effect.scoped(
    Effect.gen(function* () {
      yield* Effect.all([network.server.daemon, network.client.daemon])
      const daemons = yield* Streams.throughDaemons(network)
      const toolCall = yield* Programs.toolCall(network, SERVER)
      return { daemons, toolCall, start: Programs.start(network) }
    })
  )
  yield* Console.log("nodes in the two processes …")
  const inProcess = yield* Streams.inProcess(network)
  const after = yield* sealed
  yield* report([
    ...throughput("one stream, in-process nodes", inProcess.bytesPerSecond, (ceilings.sealed + after) / 2),
    ...throughput("one stream, through two daemons", daemons.bytesPerSecond, (ceilings.sealed + after) / 2),
    ...latencies("round trip of 64 bytes, in-process nodes", inProcess.roundTrip, ceilings.udp, "raw UDP echo"),
    ...latencies("round trip of 64 bytes, through two daemons", daemons.roundTrip, ceilings.udp, "raw UDP echo"),
    ...median("name to first byte, tunnel up, in-process", inProcess.dial, ceilings.tcp, TCP),
    ...median("name to first byte, tunnel up, daemons", daemons.dial, ceilings.tcp, TCP),
    ...median("name to first byte, tunnel down, in-process", inProcess.coldDial, ceilings.tcp, TCP),
    ...median("pilotctl info, start to exit", start.ours, start.ceiling, "node -e 0"),
    ...median("MCP tools/call echo through the bridge", toolCall.ours, toolCall.ceiling, "same server over stdio")
  ])
}).pipe(Effect.scoped)

const sealed = Effect.promise(() => Ceiling.sealedBytesPerSecond(DATAGRAM_BYTES, CEILING_MS))

const measureCeilings = Effect.gen(function* () {
  yield* Console.log("what the machine allows …")
  return {
    sealed: yield* sealed,
    udp: yield* Effect.promise(() => Ceiling.udpRoundTrip(ROUNDS)),
    tcp: yield* Effect.promise(() => Ceiling.tcpFirstByte(DIALS))
  }
})

const throughput = (name: string, bytesPerSecond: number, ceiling: number): ReadonlyArray<Figure> => [
  { name, unit: "MB/s", ours: bytesPerSecond / 1e6, ceiling: ceiling / 1e6, against: SEALED }
]

const median = (
  name: string,
  ours: Statistics.Latency,
  ceiling: Statistics.Latency,
  against: string
): ReadonlyArray<Figure> => [{ name: `${name}, p50`, unit: "ms", ours: ours.p50Ms, ceiling: ceiling.p50Ms, against }]

const latencies = (
  name: string,
  ours: Statistics.Latency,
  ceiling: Statistics.Latency,
  against: string
): ReadonlyArray<Figure> => [
  ...median(name, ours, ceiling, against),
  { name: `${name}, p99`, unit: "ms", ours: ours.p99Ms, ceiling: ceiling.p99Ms, against }
]

const report = Effect.fnUntraced(function* (figures: ReadonlyArray<Figure>) {
  yield* Console.log(`\n${table(figures)}`)
  const machine = { node: process.version, platform: process.platform, cores: availableParallelism() }
  const fileSystem = yield* FileSystem.FileSystem
  yield* fileSystem.makeDirectory(RESULTS, { recursive: true })
  yield* fileSystem.writeFileString(
    `${RESULTS}/latest.json`,
    `${JSON.stringify({ at: new Date().toISOString(), machine, figures }, undefined, 2)}\n`
  )
  yield* Console.log(`\n${machine.cores} cores, Node ${process.version}; written to bench/results/latest.json`)
})

/** A table that is also Markdown, so that it can be pasted into `docs/benchmarks.md`. */
const table = (figures: ReadonlyArray<Figure>): string => {
  const rows = figures.map(({ against, ceiling, name, ours, unit }) => [
    name,
    `${rounded(ours)} ${unit}`,
    `${rounded(ceiling)} ${unit} (${against})`,
    unit === "ms" ? `${rounded(ours / ceiling)} ×` : `${Math.round((100 * ours) / ceiling)} %`
  ])
  const all = [["figure", "ours", "ceiling", "ratio"], ...rows]
  const widths = [0, 1, 2, 3].map((column) => Math.max(...all.map((row) => row[column]?.length ?? 0)))
  const line = (cells: ReadonlyArray<string>) =>
    `| ${cells.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(" | ")} |`
  return [line(all[0] ?? []), `|${widths.map((width) => "-".repeat(width + 2)).join("|")}|`, ...rows.map(line)].join(
    "\n"
  )
}

const rounded = (value: number): string => (value >= 100 ? value.toFixed(0) : value.toPrecision(3))

/** The whole UDP payload, sealed (architecture, decision 7). */
const DATAGRAM_BYTES = 1200
const SEALED = `sealed ${DATAGRAM_BYTES}-byte datagrams`
const TCP = "TCP connect and echo"
const CEILING_MS = 2_000
const ROUNDS = 5_000
const DIALS = 300
const RESULTS = fileURLToPath(new URL("results", import.meta.url))

NodeRuntime.runMain(bench.pipe(Effect.provide(NodeServices.layer)))

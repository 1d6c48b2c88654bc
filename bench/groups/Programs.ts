/** What a user of the command line waits for: its start, and a tool call over the bridge. */
import { spawnSync } from "node:child_process"
import { createRequire } from "node:module"
import { Effect } from "effect"
import * as McpClient from "../../examples/demo/McpClient.ts"
import * as Pilotctl from "../../examples/demo/Pilotctl.ts"
import * as Network from "../Network.ts"
import * as Statistics from "../Statistics.ts"
import type { Group } from "./Group.ts"

const measure = Effect.gen(function* () {
  const network = yield* Network.make(SERVER)
  yield* Effect.all([network.server.daemon, network.client.daemon])
  const tool = yield* toolCall(network, SERVER)
  const info = start(network)
  return [
    {
      name: "`pilotctl info`, start to exit, p50",
      unit: "ms",
      ours: info.ours.p50Ms,
      ceiling: { value: info.ceiling.p50Ms, of: "`node -e 0`" },
      bar: { kind: "atMost", value: 100 } as const
    },
    {
      name: "MCP `tools/call echo` through the bridge, p50",
      unit: "ms",
      ours: tool.ours.p50Ms,
      ceiling: { value: tool.ceiling.p50Ms, of: "same server over stdio" }
    }
  ]
})

/** What starts and ends, and what is bridged. */
export const group: Group = {
  name: "programs",
  about: "`pilotctl info` and an MCP tool call through the bridge",
  seconds: 20,
  run: measure
}

interface Compared {
  readonly ours: Statistics.Latency
  readonly ceiling: Statistics.Latency
}

/** `pilotctl info` from start to exit, next to a bare Node that does nothing. Alternating, so that both see the same machine. */
const start = (network: Network.Network): Compared => {
  const environment = Pilotctl.environment(network.client.path)
  const ours: Array<number> = []
  const ceiling: Array<number> = []
  for (let run = 0; run < STARTS; run++) {
    ours.push(startMsOf([Pilotctl.PROGRAM, "info"], environment))
    ceiling.push(startMsOf(["-e", "0"], environment))
  }
  return { ours: Statistics.latency(ours), ceiling: Statistics.latency(ceiling) }
}

const startMsOf = (args: ReadonlyArray<string>, environment: Record<string, string>): number => {
  const startMs = performance.now()
  const { status } = spawnSync(process.execPath, args, { env: environment, stdio: "ignore" })
  // A command that failed may have been quick because of it.
  return status === 0 ? performance.now() - startMs : Number.NaN
}

/** `tools/call echo` of an MCP server on the other node, next to the same server over stdio. */
const toolCall = Effect.fnUntraced(function* (network: Network.Network, serverName: string) {
  const { client, server } = network
  const program = createRequire(import.meta.url).resolve("@modelcontextprotocol/server-everything/dist/index.js")
  yield* Effect.acquireRelease(
    Pilotctl.run(
      server.path,
      ...["mcp", "expose", "everything", "--allow", "bench-client"],
      ...["--", process.execPath, program, "stdio"]
    ),
    () => Effect.sync(() => Pilotctl.runSync(server.path, "mcp", "stop"))
  )
  const bridged = yield* McpClient.connect({
    command: process.execPath,
    args: [Pilotctl.PROGRAM, "mcp", "connect", `${serverName}/everything`],
    env: Pilotctl.environment(client.path)
  })
  const direct = yield* McpClient.connect({
    command: process.execPath,
    args: [program, "stdio"],
    env: Pilotctl.environment(client.path)
  })
  yield* Effect.replicateEffect(Effect.andThen(call(bridged), call(direct)), CALLS_WARM_UP)
  return {
    ours: Statistics.latency(yield* Effect.replicateEffect(call(bridged), CALLS)),
    ceiling: Statistics.latency(yield* Effect.replicateEffect(call(direct), CALLS))
  } satisfies Compared
}, Effect.scoped)

const call = (session: McpClient.Session): Effect.Effect<number, McpClient.McpFailed> =>
  Effect.suspend(() => {
    const startMs = performance.now()
    return Effect.map(session.call("echo", { message: "benchmark" }), () => performance.now() - startMs)
  })

const SERVER = "bench-server"
const STARTS = 15
const CALLS = 500
const CALLS_WARM_UP = 100

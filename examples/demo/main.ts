/**
 * The main job, watched: an agent calls, by name, the tools of an MCP server on another node.
 *
 * Real processes throughout: a rendezvous, two nodes with a state directory each, a keeper with its MCP server, and an
 * unmodified MCP client that starts our bridge as it would start any stdio server. Everything is stopped and removed at
 * the end, also after Ctrl-C.
 */
import { createRequire } from "node:module"
import { NodeRuntime, NodeServices } from "@effect/platform-node"
import { Effect } from "effect"
import { Pilot } from "effect-pilot"
import * as McpClient from "./McpClient.ts"
import * as Pilotctl from "./Pilotctl.ts"
import * as Stage from "./Stage.ts"
import { fact, said, step } from "./Stage.ts"

const demo = Effect.gen(function* () {
  yield* step("a rendezvous starts: the registry that knows names, the beacon that relays")
  const stage = yield* Stage.make("effect-pilot-demo-")
  const { beacon, fingerprint, registry } = stage.card
  yield* fact("registry", `${registry} (TLS, pinned to ${fingerprint.slice(0, 16)}…)`)
  yield* fact("beacon", beacon)

  yield* step("two nodes start, each a process with a state directory of its own")
  const host = yield* Stage.node(stage, "mcp-host")
  const agent = yield* Stage.node(stage, "agent")
  yield* describe(host)
  yield* describe(agent)

  yield* step("they establish trust: the agent asks, the host's owner approves")
  yield* establishTrust(host, agent)

  yield* step("mcp-host exposes a real MCP server from npm, to that agent and nobody else")
  const server = createRequire(import.meta.url).resolve("@modelcontextprotocol/server-everything/dist/index.js")
  yield* Stage.stopping(host, "mcp", "stop")
  yield* Pilotctl.run(host, "mcp", "expose", "everything", "--allow", "agent", "--", process.execPath, server, "stdio")
  yield* fact("service", "mcp-host/everything → @modelcontextprotocol/server-everything over stdio")

  yield* step("the agent measures the way")
  yield* measure(agent)

  yield* step("an unmodified MCP client starts `pilotctl mcp connect mcp-host/everything` as its stdio server")
  yield* callTools(agent)

  yield* step("done: stopping everything that was started")
}).pipe(Effect.scoped)

/** Through the library, as an agent's program would ask its daemon. */
const describe = (home: string) =>
  Effect.flatMap(Stage.inside(home, Pilot.info), ({ address, fingerprint, hostname }) =>
    fact(hostname, `address ${address}, key ${fingerprint}`)
  )

const establishTrust = Effect.fnUntraced(function* (host: string, agent: string) {
  yield* Pilotctl.run(agent, "trust", "add", "mcp-host", "I would like to use your tools")
  yield* said("agent", "pilotctl trust add mcp-host 'I would like to use your tools'")
  const { fingerprint, node } = yield* Stage.inside(agent, Pilot.info)
  yield* Pilotctl.awaitPending(host, node)
  yield* Pilotctl.run(host, "approve", String(node), "--fingerprint", fingerprint)
  yield* said("mcp-host", `pilotctl approve ${node} --fingerprint ${fingerprint}`)
  yield* Pilotctl.awaitTrusted(agent)
  yield* fact("trust", "mutual, bound to both keys")
})

const measure = (home: string) =>
  Stage.inside(
    home,
    Effect.gen(function* () {
      // Trust came by the relay; the direct path it makes known takes over within a few round trips.
      for (let pings = 0; pings < PINGS_MAX; pings++) {
        const { path, rttMs } = yield* Pilot.ping("mcp-host")
        yield* fact("path", `${path}, encrypted, round trip ${rttMs.toFixed(2)} ms`)
        if (path === "direct") return
        yield* Effect.sleep("50 millis")
      }
    })
  )

const callTools = Effect.fnUntraced(function* (home: string) {
  const client = yield* McpClient.connect({
    command: process.execPath,
    args: [Pilotctl.PROGRAM, "mcp", "connect", "mcp-host/everything"],
    env: Pilotctl.environment(home)
  })
  const tools = yield* client.tools
  yield* fact("tools/list", `${tools.length} tools: ${tools.slice(0, 6).join(", ")}, …`)
  const echoed = yield* client.call("echo", { message: "hello from the agent" })
  yield* fact("tools/call echo", echoed)
  const report = (progress: number, total: number | undefined) =>
    Effect.runSync(fact("  progress", `${progress} of ${total ?? "?"}`))
  const result = yield* client.call("trigger-long-running-operation", { duration: 2, steps: 4 }, report)
  yield* fact("tools/call trigger-long-running-operation", result)
})

const PINGS_MAX = 5

NodeRuntime.runMain(demo.pipe(Effect.provide(NodeServices.layer)))

/**
 * The main job, watched: an agent calls, by name, the tools of an MCP server on another node.
 *
 * Real processes throughout: a rendezvous, two nodes with a state directory each, a keeper with its MCP server, and an
 * unmodified MCP client that starts our bridge as it would start any stdio server. Everything is stopped and removed at
 * the end, also after Ctrl-C.
 */
import { createRequire } from "node:module"
import { NodeRuntime, NodeServices } from "@effect/platform-node"
import { Console, Effect, FileSystem } from "effect"
import { Pilot } from "effect-pilot"
import * as McpClient from "./McpClient.ts"
import * as Pilotctl from "./Pilotctl.ts"

const demo = Effect.gen(function* () {
  const fileSystem = yield* FileSystem.FileSystem
  const directory = yield* fileSystem.makeTempDirectoryScoped({ prefix: "effect-pilot-demo-" })
  const [rendezvous, host, agent] = [`${directory}/rendezvous`, `${directory}/mcp-host`, `${directory}/agent`]

  yield* step("a rendezvous starts: the registry that knows names, the beacon that relays")
  const card = yield* startRendezvous(rendezvous)
  yield* fact("registry", `${card.registry} (TLS, pinned to ${card.fingerprint.slice(0, 16)}…)`)
  yield* fact("beacon", card.beacon)

  yield* step("two nodes start, each a process with a state directory of its own")
  yield* startNode(host, "mcp-host", card)
  yield* startNode(agent, "agent", card)
  yield* describe(host)
  yield* describe(agent)

  yield* step("they establish trust: the agent asks, the host's owner approves")
  yield* establishTrust(host, agent)

  yield* step("mcp-host exposes a real MCP server from npm, to that agent and nobody else")
  const server = createRequire(import.meta.url).resolve("@modelcontextprotocol/server-everything/dist/index.js")
  yield* stopping(host, "mcp", "stop")
  yield* Pilotctl.run(host, "mcp", "expose", "everything", "--allow", "agent", "--", process.execPath, server, "stdio")
  yield* fact("service", "mcp-host/everything → @modelcontextprotocol/server-everything over stdio")

  yield* step("the agent measures the way")
  yield* measure(agent)

  yield* step("an unmodified MCP client starts `pilotctl mcp connect mcp-host/everything` as its stdio server")
  yield* callTools(agent)

  yield* step("done: stopping everything that was started")
}).pipe(Effect.scoped)

/** What will stop something is in place before it starts, because Ctrl-C may come while it does. */
const stopping = (home: string, ...args: ReadonlyArray<string>) =>
  Effect.addFinalizer(() => Effect.sync(() => Pilotctl.runSync(home, ...args)))

const startRendezvous = (home: string) =>
  Effect.andThen(
    stopping(home, "rendezvous", "stop"),
    Pilotctl.startRendezvous(home, "--registry-addr", "127.0.0.1:0", "--beacon-addr", "127.0.0.1:0")
  )

const startNode = (home: string, hostname: string, card: Pilotctl.Card) =>
  Effect.andThen(
    stopping(home, "daemon", "stop"),
    Pilotctl.run(
      home,
      ...["daemon", "start", "--hostname", hostname, "--listen", "127.0.0.1:0"],
      ...["--registry", card.registry, "--registry-fingerprint", card.fingerprint, "--beacon", card.beacon]
    )
  )

/** Through the library, as an agent's program would ask its daemon. */
const describe = (home: string) =>
  Effect.flatMap(Pilot.info, ({ address, fingerprint, hostname }) =>
    fact(hostname, `address ${address}, key ${fingerprint}`)
  ).pipe(Effect.provide(Pilot.layerDaemon({ home })))

const establishTrust = Effect.fnUntraced(function* (host: string, agent: string) {
  yield* Pilotctl.run(agent, "trust", "add", "mcp-host", "I would like to use your tools")
  yield* said("agent", "pilotctl trust add mcp-host 'I would like to use your tools'")
  const { fingerprint, node } = yield* Pilot.info.pipe(Effect.provide(Pilot.layerDaemon({ home: agent })))
  yield* Pilotctl.awaitPending(host, node)
  yield* Pilotctl.run(host, "approve", String(node), "--fingerprint", fingerprint)
  yield* said("mcp-host", `pilotctl approve ${node} --fingerprint ${fingerprint}`)
  yield* Pilotctl.awaitTrusted(agent)
  yield* fact("trust", "mutual, bound to both keys")
})

const measure = (home: string) =>
  Effect.gen(function* () {
    // Trust came by the relay; the direct path it makes known takes over within a few round trips.
    for (let pings = 0; pings < PINGS_MAX; pings++) {
      const { path, rttMs } = yield* Pilot.ping("mcp-host")
      yield* fact("path", `${path}, encrypted, round trip ${rttMs.toFixed(2)} ms`)
      if (path === "direct") return
      yield* Effect.sleep("50 millis")
    }
  }).pipe(Effect.provide(Pilot.layerDaemon({ home })))

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

const step = (text: string) => Console.log(`\n• ${text}`)
const fact = (name: string, text: string) => Console.log(`    ${name}: ${text}`)
const said = (who: string, text: string) => Console.log(`    ${who}$ ${text}`)

NodeRuntime.runMain(demo.pipe(Effect.provide(NodeServices.layer)))

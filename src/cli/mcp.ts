/** MCP servers across the network: exposing them here, using those of other nodes (mcp §6). */
import process from "node:process"
import { Effect } from "effect"
import * as CliError from "./CliError.ts"
import { type Command, output, silent } from "./Command.ts"
import * as McpRules from "./McpRules.ts"
import { approvals } from "./mcpApprovalRows.ts"
import { DETACH_AFTER, DOOR_FLAGS, EGRESS_FLAGS, front, MOUNT_FLAGS, OTLP, PINS } from "./mountRows.ts"
import * as Values from "./Values.ts"

const expose: Command = {
  name: "mcp expose",
  usage: "<name>",
  summary: "Lets named peers use an MCP server: one started here per client, … -- COMMAND ARGUMENTS, or one at a --url",
  returns: "name, title, command, cwd, env, url, headers, allowed, port, created_at, rules, problems",
  flags: [
    {
      name: "allow",
      value: "text",
      placeholder: "peer",
      summary: "a peer that may use it; nobody else may",
      repeats: true
    },
    { name: "url", value: "text", summary: "a streamable HTTP server that runs already: http://HOST:PORT/mcp" },
    {
      name: "header-env",
      value: "text",
      placeholder: "name=variable",
      summary: "a header for the server at --url, its value taken from that variable now and kept with the service",
      repeats: true
    },
    ...McpRules.FLAGS,
    { name: "title", value: "text", summary: "what peers that may use it are told it is called" },
    {
      name: "shared",
      value: "boolean",
      summary: "one process for all clients; only for servers of revision 2026-07-28"
    },
    { name: "port", value: "port", summary: "also serve plain JSON lines on a virtual port of its own" },
    { name: "cwd", value: "path", summary: "working directory of the server (default: here)" },
    { name: "env", value: "text", placeholder: "name=value", summary: "a variable for the server", repeats: true },
    { name: "foreground", value: "boolean", summary: "run the keeper here instead of in the background" }
  ],
  run: Effect.fnUntraced(function* (input) {
    const name = yield* Effect.fromResult(Values.positional(expose, input, 0))
    if (!NAME.test(name))
      return yield* CliError.invalidArgument(`invalid service name ${JSON.stringify(name)}`, NAME_HINT)
    const McpExpose = yield* Effect.promise(() => import("./McpExpose.ts"))
    return yield* McpExpose.run(name, input)
  })
}

const unexpose: Command = {
  name: "mcp unexpose",
  usage: "<name>",
  summary: "Ends a service: its sessions are closed and their servers stopped",
  returns: "name",
  flags: [],
  run: Effect.fnUntraced(function* (input) {
    const name = yield* Effect.fromResult(Values.positional(unexpose, input, 0))
    const McpExpose = yield* Effect.promise(() => import("./McpExpose.ts"))
    return yield* McpExpose.unexpose(name)
  })
}

const services: Command = {
  name: "mcp services",
  usage: "",
  summary: "The MCP services of this node, their commands, and who may use them",
  returns: "services [name, title, command, cwd, env, url, headers, allowed, port, created_at, rules]",
  flags: [],
  run: () =>
    Effect.gen(function* () {
      const { KeeperClient, McpText } = yield* keeper
      const state = yield* KeeperClient.status
      return output({ services: (state?.services ?? []).map(McpText.serviceRow) }, McpText.services(state))
    })
}

const status: Command = {
  name: "mcp status",
  usage: "[peer/name]",
  summary: "The keeper, its services and sessions; or whether a peer's service works, found out by using it",
  returns:
    "running, pid, connected, problems, services [… health], sessions [service, node_id, in_flight, idle, pid, stderr], calls; " +
    "of a peer's: target, verdict (healthy, no-tools, failing), failed_at, reason, code, tools, known_tools, server, reach_ms, …",
  flags: [],
  run: Effect.fnUntraced(function* (input) {
    const McpStatus = yield* Effect.promise(() => import("./McpStatus.ts"))
    const [target] = input.positionals
    return yield* target === undefined ? McpStatus.keeper : McpStatus.probe(target)
  })
}

const metrics: Command = {
  name: "mcp metrics",
  usage: "",
  summary: "The calls that services of this node answered, counted by service, peer and tool, as Prometheus text",
  returns:
    "calls [service, peer, method, tool, in_flight, outcomes, bytes_in, bytes_out, duration_seconds, buckets [le, count]]",
  flags: [],
  run: () =>
    Effect.gen(function* () {
      const McpStatus = yield* Effect.promise(() => import("./McpStatus.ts"))
      return yield* McpStatus.metrics
    })
}

const stop: Command = {
  name: "mcp stop",
  usage: "",
  summary: "Stops the keeper and its servers; the services stay for the next start",
  returns: "stopped",
  flags: [],
  run: () =>
    Effect.gen(function* () {
      const { KeeperClient } = yield* keeper
      const stopped = yield* KeeperClient.stop
      return output({ stopped }, stopped ? "keeper stopped" : "keeper is not running")
    })
}

const audit: Command = {
  name: "mcp audit",
  usage: "",
  summary: "The calls that services of this node answered or refused, newest last",
  returns: "path, calls, with --verify: lines, lost, whole, broken_at, head",
  flags: [
    { name: "tail", value: "number", summary: "how many (default: 20)" },
    { name: "egress", value: "boolean", summary: "the calls that mounts of this node made or denied, instead" },
    { name: "verify", value: "boolean", summary: "follow the chain of hashes from the first line; broken: exit code 1" }
  ],
  run: Effect.fnUntraced(function* (input) {
    const tail = yield* Effect.fromResult(Values.count(input, "tail", 20))
    const McpAudit = yield* Effect.promise(() => import("./McpAudit.ts"))
    const isEgress = Values.boolean(input, "egress") === true
    return yield* McpAudit.run(Math.max(1, tail), Values.boolean(input, "verify") === true, isEgress)
  })
}

const pinsRow = (action: "list" | "diff" | "approve" | "forget", summary: string): Command => ({
  name: action === "list" ? "mcp pins" : `mcp pins ${action}`,
  usage: action === "list" ? "" : "<peer/name> [tool]",
  summary,
  returns: "pins [peer, public_key, service, tool, sha256, definition, changed_sha256, changed_definition]",
  flags: [],
  run: Effect.fnUntraced(function* (input) {
    const [target, tool] = input.positionals
    if (target === undefined && action !== "list") {
      return yield* CliError.invalidArgument("PEER/NAME is missing", "pilotctl mcp pins")
    }
    const McpPins = yield* Effect.promise(() => import("./McpPins.ts"))
    return yield* McpPins.run(action, target, tool)
  })
})

const mountRow = (name: string, summary: string): Command => ({
  name,
  usage: "<peer/name> [peer/name]…",
  summary,
  returns: "nothing: standard output is the protocol",
  flags: [
    ...MOUNT_FLAGS,
    {
      name: "modern-client",
      value: "boolean",
      summary: "the client speaks revision 2026-07-28 only: translate for it if the server does not"
    },
    OTLP,
    {
      name: "metrics",
      value: "address",
      placeholder: "host:port",
      summary: "serve counts of the calls as Prometheus text at this place of this machine, under /metrics"
    },
    DETACH_AFTER,
    ...EGRESS_FLAGS,
    ...DOOR_FLAGS
  ],
  run: Effect.fnUntraced(function* (input) {
    const text = yield* Effect.fromResult(Values.positional(mount, input, 0))
    const McpConnect = yield* Effect.promise(() => import("./McpConnect.ts"))
    const http = Values.text(input, "http")
    const pins = Values.text(input, "pins")
    if (http === undefined) {
      return yield* McpConnect.run(input.positionals.join(","), pins ?? "warn", input)
    }
    const target = yield* McpConnect.targetOf(text)
    const McpMountHttp = yield* Effect.promise(() => import("./McpMountHttp.ts"))
    return yield* McpMountHttp.run(target, http, pins ?? "warn", input)
  })
})

const mount = mountRow(
  "mcp mount",
  "A stdio MCP server whose tools run on another node; put it into the configuration of any MCP client"
)

const connect = mountRow("mcp connect", "Another name of mcp mount")

const install: Command = {
  name: "mcp install",
  usage: "<peer/name|front>",
  summary:
    "The entry that makes an MCP client use a peer's server, or with front all of them, printed or written into its configuration",
  returns: "client, path, name, entry, written",
  flags: [
    {
      name: "client",
      value: "text",
      placeholder: "claude|claude-code|cursor|gemini|vscode|windsurf",
      summary: "whose configuration",
      isRequired: true
    },
    { name: "name", value: "text", summary: "what the client calls the server (default: peer-name)" },
    { name: "write", value: "boolean", summary: "write it, and show what changed" }
  ],
  run: Effect.fnUntraced(function* (input) {
    const target = yield* Effect.fromResult(Values.positional(install, input, 0))
    const McpInstall = yield* Effect.promise(() => import("./McpInstall.ts"))
    const client = Values.text(input, "client")
    if (client === undefined) {
      return yield* CliError.invalidArgument("--client is missing", `one of ${McpInstall.NAMES.join(", ")}`)
    }
    return yield* McpInstall.run({
      target,
      client,
      name: Values.text(input, "name"),
      write: Values.boolean(input, "write") === true,
      platform: process.platform,
      directory: process.cwd()
    })
  })
}

const tools: Command = {
  name: "mcp tools",
  usage: "[peer/name]",
  summary: "The tools of a peer's MCP server, or without one those of every service that this node may use",
  returns:
    "server, revision, tools [name, title, description, hidden_characters, input_schema]; of all services: tools [name, title, description, hints, input_schema], with --search also service and pin",
  flags: [
    {
      name: "search",
      value: "text",
      placeholder: "words",
      summary: "tools of all services that fit the words, best first"
    },
    PINS,
    { name: "limit", value: "number", summary: "with --search: how many (default: 10)" }
  ],
  run: Effect.fnUntraced(function* (input) {
    const [text] = input.positionals
    const words = Values.text(input, "search")
    if (text !== undefined && words !== undefined) {
      return yield* CliError.invalidArgument("--search looks through all services", "leave PEER/NAME out")
    }
    if (text === undefined) {
      const limit = yield* Effect.fromResult(Values.count(input, "limit", 10))
      const McpAll = yield* Effect.promise(() => import("./McpAll.ts"))
      return yield* McpAll.tools(words, limit)
    }
    const McpUse = yield* Effect.promise(() => import("./McpUse.ts"))
    return yield* McpUse.tools(text, Values.text(input, "pins") ?? "warn")
  })
}

const call: Command = {
  name: "mcp call",
  usage: "<peer/name> <tool> | <alias__tool>",
  summary:
    "Runs one tool of a peer's MCP server, or one by the name that mcp tools gives it; its progress is shown on standard error",
  returns: "content, structured, text",
  flags: [
    { name: "args", value: "text", placeholder: "json", summary: "the arguments, a JSON object (default: {})" },
    PINS
  ],
  run: Effect.fnUntraced(function* (input) {
    const text = yield* Effect.fromResult(Values.positional(call, input, 0))
    const args = Values.text(input, "args") ?? "{}"
    if (input.positionals.length === 1 && !text.includes("/")) {
      const McpAll = yield* Effect.promise(() => import("./McpAll.ts"))
      if (McpAll.isName(text)) return yield* McpAll.call(text, args, input)
    }
    const tool = yield* Effect.fromResult(Values.positional(call, input, 1))
    const McpUse = yield* Effect.promise(() => import("./McpUse.ts"))
    return yield* McpUse.call(text, tool, args, input)
  })
}

const keeperRun: Command = {
  name: "_keeper-run",
  usage: "",
  summary: "The keeper process, as expose starts it",
  returns: "nothing",
  flags: [],
  isInternal: true,
  run: () =>
    Effect.gen(function* () {
      const KeeperRun = yield* Effect.promise(() => import("./KeeperRun.ts"))
      yield* KeeperRun.run({ ready: Effect.void })
      return silent()
    })
}

/** The rows of this group. */
export const commands: ReadonlyArray<Command> = [
  expose,
  unexpose,
  services,
  status,
  metrics,
  audit,
  ...approvals,
  stop,
  pinsRow("list", "The tools of peers' servers as they were first seen, and which have changed"),
  pinsRow("diff", "What changed in the definitions of tools, hidden characters by their numbers"),
  pinsRow("approve", "Takes the definitions as they are now"),
  pinsRow("forget", "Forgets definitions: the next ones seen are taken"),
  mount,
  connect,
  front,
  install,
  tools,
  call,
  keeperRun
]

const keeper = Effect.promise(async () => ({
  KeeperClient: await import("./KeeperClient.ts"),
  McpText: await import("./McpText.ts")
}))

const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/
const NAME_HINT = "letters, digits, dot, dash and underscore, at most 64, beginning with a letter or digit"

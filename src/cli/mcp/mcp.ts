/** MCP servers across the network: exposing them here, using those of other nodes (mcp §6). */
import process from "node:process"
import { Effect } from "effect"
import * as CliError from "../CliError.ts"
import { type Command, type Flag, type Input, output, silent } from "../Command.ts"
import * as Values from "../Values.ts"
import * as McpRules from "./McpRules.ts"
import { approvals } from "./mcpApprovalRows.ts"
import { CAPABILITY, connect, EGRESS_FLAGS, front, mount, PINS, TARGETS } from "./mountRows.ts"

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
    { name: "url", value: "text", summary: "an HTTP server that runs already: http://HOST:PORT/mcp, or /sse" },
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
  usage: TARGETS,
  summary: "The keeper and mounts of this node; or whether a peer's service works, found out by using it",
  returns:
    "running, pid, connected, problems, services [… health], sessions [service, node_id, in_flight, idle, pid, stderr], calls, " +
    "mounts [pid, serves, instances, sessions [target, verdict, breaker, probe …]]; of a peer's: target, verdict (healthy, " +
    "no-tools, failing), failed_at, reason, code, tools, known_tools, server, reach_ms, …, keeper, mounts; of several: healthy, …",
  flags: [
    CAPABILITY,
    { name: "probe", value: "boolean", summary: "of this node: look at its servers, and at those of its mounts, first" }
  ],
  run: Effect.fnUntraced(function* (input) {
    if (input.positionals.length === 0 && !input.flags.has(CAPABILITY.name)) {
      const McpStatus = yield* Effect.promise(() => import("./McpStatus.ts"))
      return yield* McpStatus.own(Values.boolean(input, "probe") === true)
    }
    const McpProbe = yield* Effect.promise(() => import("./McpProbe.ts"))
    return yield* McpProbe.run(yield* targetsOf(input.positionals, input))
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

const install: Command = {
  name: "mcp install",
  usage: "[peer/name|front]…",
  summary:
    "The entry that makes an MCP client use a peer's server, or with front all of them, printed or written into its configuration",
  returns: "client, path, name, entry, written",
  flags: [
    CAPABILITY,
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
    const McpInstall = yield* Effect.promise(() => import("./McpInstall.ts"))
    const client = Values.text(input, "client")
    if (client === undefined) {
      return yield* CliError.invalidArgument("--client is missing", `one of ${McpInstall.NAMES.join(", ")}`)
    }
    return yield* McpInstall.run({
      targets: input.positionals,
      capability: Values.texts(input, CAPABILITY.name).join(" "),
      client,
      name: Values.text(input, "name"),
      write: Values.boolean(input, "write") === true,
      platform: process.platform,
      directory: process.cwd()
    })
  })
}

const PATIENCE: Flag = { name: "timeout", value: "duration", summary: "how long to wait for its trust (default 30s)" }

const tools: Command = {
  name: "mcp tools",
  usage: TARGETS,
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
    CAPABILITY,
    PINS,
    { name: "limit", value: "number", summary: "with --search: how many (default: 10)" },
    PATIENCE
  ],
  run: Effect.fnUntraced(function* (input) {
    const isOfAll = input.positionals.length === 0 && !input.flags.has(CAPABILITY.name)
    const words = Values.text(input, "search")
    if (!isOfAll && words !== undefined) {
      return yield* CliError.invalidArgument("--search looks through all services", "leave PEER/NAME out")
    }
    if (isOfAll) {
      const limit = yield* Effect.fromResult(Values.count(input, "limit", 10))
      const McpAll = yield* Effect.promise(() => import("./McpAll.ts"))
      return yield* McpAll.tools(words, limit)
    }
    const McpUse = yield* Effect.promise(() => import("./McpUse.ts"))
    const targets = yield* trustedTargetsOf(input.positionals, input)
    return yield* McpUse.tools(targets, Values.text(input, "pins") ?? "warn")
  })
}

const call: Command = {
  name: "mcp call",
  usage: "[peer/name]… <tool|alias__tool>",
  summary:
    "Runs one tool of a peer's MCP server, or one by the name that mcp tools gives it; its progress is shown on standard error",
  returns: "content, structured, text",
  flags: [
    { name: "args", value: "text", placeholder: "json", summary: "the arguments, a JSON object (default: {})" },
    CAPABILITY,
    PINS,
    PATIENCE,
    ...EGRESS_FLAGS
  ],
  run: Effect.fnUntraced(function* (input) {
    const words = input.positionals.slice(0, -1)
    const tool = yield* Effect.fromResult(Values.positional(call, input, words.length))
    const args = Values.text(input, "args") ?? "{}"
    const isOfOne = words.length > 0 || input.flags.has(CAPABILITY.name)
    if (!isOfOne) {
      const McpAll = yield* Effect.promise(() => import("./McpAll.ts"))
      if (McpAll.isName(tool)) return yield* McpAll.call(tool, args, input)
      return yield* Effect.fail(Values.missing(call))
    }
    const McpUse = yield* Effect.promise(() => import("./McpUse.ts"))
    return yield* McpUse.call(yield* trustedTargetsOf(words, input), tool, args, input)
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

/** The rows of this group, none of which is the reference's. */
export const commands: ReadonlyArray<Command> = [
  { ...expose, isStrict: "rest" },
  ...[
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
  ].map((row): Command => ({ ...row, isStrict: true }))
]

/** The same, asked for trust where that is missing. */
const trustedTargetsOf = Effect.fnUntraced(function* (words: ReadonlyArray<string>, input: Input) {
  const targets = yield* targetsOf(words, input)
  const timeout = yield* Effect.fromResult(Values.duration(input, PATIENCE.name, "30 seconds"))
  const McpTrust = yield* Effect.promise(() => import("./McpTrust.ts"))
  yield* McpTrust.ensure(input, targets, timeout)
  return targets
})

const targetsOf = (words: ReadonlyArray<string>, input: Input) =>
  Effect.flatMap(
    Effect.promise(() => import("./McpTargets.ts")),
    (McpTargets) => McpTargets.of(words, input)
  )

const keeper = Effect.promise(async () => ({
  KeeperClient: await import("./KeeperClient.ts"),
  McpText: await import("./McpText.ts")
}))

const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/
const NAME_HINT = "letters, digits, dot, dash and underscore, at most 64, beginning with a letter or digit"

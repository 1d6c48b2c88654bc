/** The rows of `pilotctl mcp mount` and `mcp front`, and the flags of everything that uses a peer's service (mcp §6.1, §6.11). */
import { Effect } from "effect"
import * as CliError from "../CliError.ts"
import type { Command, Flag, Input } from "../Command.ts"
import * as Values from "../Values.ts"

/** How a service is named; with `--capability` it is not. */
export const TARGETS = "[peer/name]…"

/** In place of a name. */
export const CAPABILITY: Flag = {
  name: "capability",
  value: "text",
  placeholder: "words",
  summary:
    "instead of PEER/NAME: the best service that you may use for these words, of every peer that has the same, now or later",
  repeats: true
}

/** What becomes of tools that changed. */
export const PINS: Flag = {
  name: "pins",
  value: "text",
  placeholder: "warn|hold|block",
  summary: "a tool that changed: say so (default), hide it until approved, or block the service"
}

/** Flags of everything that serves an MCP client. */
export const MOUNT_FLAGS: Command["flags"] = [
  {
    name: "http",
    value: "address",
    placeholder: "host:port",
    summary: "serve streamable HTTP at this place instead"
  },
  PINS
]

/** What may leave this node. */
export const EGRESS_FLAGS: ReadonlyArray<Flag> = [
  {
    name: "tools",
    value: "text",
    placeholder: "pattern",
    summary: "use only these tools of the peer, whatever it offers: 'read_*', 'read_file(path=data/*)'",
    repeats: true
  },
  { name: "deny-tools", value: "text", placeholder: "pattern", summary: "never use these", repeats: true },
  { name: "audit", value: "boolean", summary: "record the calls here too, as --tools and --deny-tools do anyway" },
  { name: "audit-arguments", value: "boolean", summary: "the same with their arguments, not only the hashes" }
]

/** Where calls are told to. */
export const OTLP: Flag = {
  name: "otlp",
  value: "text",
  placeholder: "url",
  summary: "send calls as spans to this OpenTelemetry collector (default: OTEL_EXPORTER_OTLP_ENDPOINT)"
}

/** Where calls are counted. */
export const METRICS: Flag = {
  name: "metrics",
  value: "address",
  placeholder: "host:port",
  summary: "serve counts of the calls as Prometheus text at this place of this machine, under /metrics"
}

/** For hosts that give up before long tools are done; of one service only. */
export const DETACH_AFTER: Flag = {
  name: "detach-after",
  value: "duration",
  summary: "answer a tool that works longer with a handle or a task, and go on (0: never; default: what the owner says)"
}

/** Who may come in by `--http`. */
export const DOOR_FLAGS: Command["flags"] = [
  { name: "legacy-sse", value: "boolean", summary: "with --http: also serve HTTP+SSE of revision 2024-11-05, at /sse" },
  { name: "no-token", value: "boolean", summary: "with --http: let every program of this machine in" },
  { name: "allow-host", value: "text", placeholder: "host:port", summary: "another value of Host", repeats: true },
  { name: "allow-origin", value: "text", placeholder: "origin", summary: "a page that may use it", repeats: true },
  { name: "allow-remote", value: "boolean", summary: "with --http: listen where other machines reach it" }
]

/** What is wrong with flags of a mount that nothing else looks at. */
const checked = (input: Input): Effect.Effect<void, CliError.CliError> => {
  const idle = input.flags.has("http") ? undefined : DOOR_FLAGS.find(({ name }) => input.flags.has(name))
  if (idle !== undefined) {
    return CliError.invalidArgument(`--${idle.name} does nothing without --http`, "--http 127.0.0.1:7070")
  }
  const otlp = Values.text(input, OTLP.name)
  return otlp === undefined || (URL.canParse(otlp) && /^https?:$/.test(new URL(otlp).protocol))
    ? Effect.void
    : CliError.invalidArgument(`invalid --otlp ${JSON.stringify(otlp)}`, "http://HOST:4318")
}

const mountRow = (name: string, summary: string): Command => ({
  name,
  usage: TARGETS,
  summary,
  returns: "nothing: standard output is the protocol",
  flags: [
    CAPABILITY,
    ...MOUNT_FLAGS,
    {
      name: "modern-client",
      value: "boolean",
      summary: "the client speaks revision 2026-07-28 only: translate for it if the server does not"
    },
    OTLP,
    METRICS,
    DETACH_AFTER,
    ...EGRESS_FLAGS,
    ...DOOR_FLAGS
  ],
  run: Effect.fnUntraced(function* (input) {
    yield* checked(input)
    const McpTargets = yield* Effect.promise(() => import("./McpTargets.ts"))
    const targets = yield* McpTargets.of(input.positionals, input, McpTargets.MOUNT_PATIENCE_MS)
    const http = Values.text(input, "http")
    const pins = Values.text(input, "pins") ?? "warn"
    // A client does not wait: the mount serves at once, and works as soon as the peer has agreed.
    const McpTrust = yield* Effect.promise(() => import("./McpTrust.ts"))
    yield* Effect.forkScoped(Effect.ignore(McpTrust.ensure(input, targets, undefined)))
    if (http === undefined) {
      const McpMountStdio = yield* Effect.promise(() => import("./McpMountStdio.ts"))
      return yield* McpMountStdio.run(targets, pins, input)
    }
    const McpMountHttp = yield* Effect.promise(() => import("./McpMountHttp.ts"))
    return yield* McpMountHttp.run(targets, http, pins, input)
  })
})

/** One service, of one or several peers. */
export const mount = mountRow(
  "mcp mount",
  "A stdio MCP server whose tools run on another node; put it into the configuration of any MCP client"
)

/** The same under another name. */
export const connect = mountRow("mcp connect", "Another name of mcp mount")

/** One mount for everything. */
export const front: Command = {
  name: "mcp front",
  usage: "",
  summary: "One MCP server for every service that this node may use; put it into the configuration of any MCP client",
  returns: "nothing: standard output is the protocol",
  flags: [
    {
      name: "mode",
      value: "text",
      placeholder: "reveal|call|all",
      summary: "many tools: search adds what it finds (default), a tool calls any, or list all"
    },
    { name: "budget-tools", value: "number", summary: "up to so many tools are listed in every mode (default: 40)" },
    { name: "budget-bytes", value: "number", summary: "and definitions of so many bytes (default: 40000)" },
    {
      name: "alias",
      value: "text",
      placeholder: "peer/name=alias",
      summary: "what tools of that service begin with",
      repeats: true
    },
    { name: "service", value: "text", placeholder: "peer/name", summary: "only this service", repeats: true },
    {
      name: "sampling",
      value: "text",
      placeholder: "peer/name",
      summary: "this service may use the client's model",
      repeats: true
    },
    ...MOUNT_FLAGS,
    OTLP,
    METRICS,
    ...EGRESS_FLAGS,
    { ...DETACH_AFTER, summary: "refused here: handles belong to mcp mount of one service" },
    ...DOOR_FLAGS
  ],
  run: Effect.fnUntraced(function* (input) {
    yield* checked(input)
    const McpFront = yield* Effect.promise(() => import("./McpFront.ts"))
    return yield* McpFront.run(input)
  })
}

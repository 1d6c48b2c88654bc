/** MCP servers across the network: exposing them here, using those of other nodes (mcp §6). */
import { Effect } from "effect"
import * as CliError from "./CliError.ts"
import { type Command, output, silent } from "./Command.ts"
import * as Values from "./Values.ts"

const expose: Command = {
  name: "mcp expose",
  usage: "<name>",
  summary: "Lets named peers use an MCP server that runs here, started per client: … -- COMMAND ARGUMENTS",
  returns: "name, command, cwd, env, allowed, port, created_at, problems",
  flags: [
    {
      name: "allow",
      value: "text",
      placeholder: "peer",
      summary: "a peer that may use it; nobody else may",
      repeats: true
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
  returns: "services [name, command, cwd, env, allowed, port, created_at]",
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
  usage: "",
  summary: "The keeper, its sessions, and the last words of each server",
  returns: "running, pid, connected, problems, services, sessions [service, node_id, in_flight, idle, pid, stderr]",
  flags: [],
  run: () =>
    Effect.gen(function* () {
      const { KeeperClient, McpText } = yield* keeper
      const state = yield* KeeperClient.status
      return output(
        {
          running: state !== undefined,
          pid: state?.pid,
          connected: state?.isConnected ?? false,
          problems: state?.problems ?? [],
          services: (state?.services ?? []).map(McpText.serviceRow),
          sessions: (state?.sessions ?? []).map(McpText.sessionRow)
        },
        McpText.status(state)
      )
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

const connect: Command = {
  name: "mcp connect",
  usage: "<peer/name>",
  summary: "A stdio MCP server whose tools run on another node; put it into the configuration of any MCP client",
  returns: "nothing: standard output is the protocol",
  flags: [],
  run: Effect.fnUntraced(function* (input) {
    const text = yield* Effect.fromResult(Values.positional(connect, input, 0))
    const McpConnect = yield* Effect.promise(() => import("./McpConnect.ts"))
    return yield* McpConnect.run(text)
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
export const commands: ReadonlyArray<Command> = [expose, unexpose, services, status, stop, connect, keeperRun]

const keeper = Effect.promise(async () => ({
  KeeperClient: await import("./KeeperClient.ts"),
  McpText: await import("./McpText.ts")
}))

const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/
const NAME_HINT = "letters, digits, dot, dash and underscore, at most 64, beginning with a letter or digit"

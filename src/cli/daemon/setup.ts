/** Commands that work without a daemon: the configuration file (cli §2). */
import { Effect } from "effect"
import * as SocketPath from "../../actors/ipc/SocketPath.ts"
import * as Json from "../../core/data/Json.ts"
import * as CliError from "../CliError.ts"
import { CliHost } from "../CliHost.ts"
import { type Command, type Environment, type Output, output } from "../Command.ts"
import * as ConfigFile from "../ConfigFile.ts"
import * as DaemonClient from "../DaemonClient.ts"
import * as Values from "../Values.ts"

const init: Command = {
  name: "init",
  usage: "",
  summary: "Writes registry, beacon, socket and name into the configuration file",
  returns: "config_path, registry, beacon, hostname, socket",
  flags: [
    { name: "registry", value: "address", summary: "registry address (default 127.0.0.1:9000)" },
    { name: "beacon", value: "address", summary: "beacon address (default 127.0.0.1:9001)" },
    { name: "hostname", value: "text", placeholder: "name", summary: "name of this node" },
    { name: "socket", value: "path", summary: "socket of the daemon" }
  ],
  run: Effect.fnUntraced(function* (input): Effect.fn.Return<Output, CliError.CliError, Environment> {
    const { config } = yield* ConfigFile.directory
    const stored = yield* ConfigFile.read(config)
    const own = { ...(yield* DaemonClient.socketOptions), configured: undefined }
    // Only what is said, or was never said, changes: a second `init --hostname x` keeps the registry of the first.
    const keep = (key: string, orElse: string) => Values.text(input, key) ?? (Json.string(stored, key) || orElse)
    const changes = {
      registry: keep("registry", DEFAULT_REGISTRY),
      beacon: keep("beacon", DEFAULT_BEACON),
      socket: keep("socket", SocketPath.listening(own)),
      hostname: keep("hostname", "")
    }
    const written = { ...changes, hostname: changes.hostname === "" ? undefined : changes.hostname }
    yield* ConfigFile.update(written)
    return output({ ...changes, config_path: config })
  })
}

const config: Command = {
  name: "config",
  usage: "",
  summary: "Shows the configuration file, or stores one value in it",
  returns: "the stored keys, config_path, log_file, pid_file; with --set: key, value",
  flags: [{ name: "set", value: "text", placeholder: "key=value", summary: "stores a value" }],
  run: Effect.fnUntraced(function* (input): Effect.fn.Return<Output, CliError.CliError, Environment> {
    const assignment = Values.text(input, "set")
    if (assignment !== undefined) {
      const equals = assignment.indexOf("=")
      if (equals < 1) return yield* CliError.invalidArgument("usage: pilotctl config --set key=value")
      const [key, value] = [assignment.slice(0, equals), assignment.slice(equals + 1)]
      yield* ConfigFile.update({ [key]: value })
      return output({ key, value })
    }
    const { variables } = yield* CliHost
    const places = yield* ConfigFile.directory
    const { PILOT_REGISTRY } = variables
    return output({
      registry: PILOT_REGISTRY === undefined || PILOT_REGISTRY === "" ? DEFAULT_REGISTRY : PILOT_REGISTRY,
      socket: SocketPath.listening(yield* DaemonClient.socketOptions),
      ...(yield* ConfigFile.read(places.config)),
      config_path: places.config,
      log_file: places.log,
      pid_file: places.pid
    })
  })
}

/** The rows of this group. */
export const commands: ReadonlyArray<Command> = [init, config]

const DEFAULT_REGISTRY = "127.0.0.1:9000"
const DEFAULT_BEACON = "127.0.0.1:9001"

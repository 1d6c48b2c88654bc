/** The configuration of a daemon from its sources (cli §1.3): flags, environment, `--config FILE`, `config.json`. */
import { Effect, FileSystem, Result } from "effect"
import * as SocketPath from "../../actors/ipc/SocketPath.ts"
import * as NodeConfig from "../../actors/layers/NodeConfig.ts"
import * as Json from "../../core/data/Json.ts"
import * as CliError from "../CliError.ts"
import { CliHost } from "../CliHost.ts"
import type { Environment, Input } from "../Command.ts"
import * as ConfigFile from "../ConfigFile.ts"
import * as DaemonClient from "../DaemonClient.ts"
import * as RendezvousCard from "../rendezvous/RendezvousCard.ts"
import * as Values from "../Values.ts"

/** Reads and merges them; a problem names the flag, the value and where it came from. */
export const load = Effect.fnUntraced(function* (
  input: Input
): Effect.fn.Return<NodeConfig.NodeConfig, CliError.CliError, Environment> {
  const { variables } = yield* CliHost
  const places = yield* ConfigFile.directory
  const given = yield* givenFile(Values.text(input, "config"))
  const stored = { name: places.config, values: yield* ConfigFile.read(places.config) }
  const rendezvous = yield* RendezvousCard.read
  const resolved = NodeConfig.resolve([commandLine(input), NodeConfig.environment(variables), ...given, stored], {
    home: places.home,
    socket: SocketPath.listening({ ...(yield* DaemonClient.socketOptions), configured: undefined }),
    rendezvous
  })
  if (Result.isSuccess(resolved)) return resolved.success
  const { flag, value, source, detail } = resolved.failure
  const name = source === COMMAND_LINE ? `--${flag}` : flag
  return yield* CliError.invalidArgument(
    `invalid ${name} ${JSON.stringify(value)} (${source}): ${detail}`,
    "see: pilotctl help daemon start"
  )
})

const commandLine = (input: Input): NodeConfig.Source => {
  const values: Record<string, string> = {}
  for (const [name, given] of input.flags) values[name] = given.at(-1) ?? ""
  // The first registry is home, all others are joined besides.
  const [home, ...further] = input.flags.get("registry") ?? []
  if (home !== undefined) values["registry"] = home
  const joined = [...further, ...(input.flags.get("rendezvous") ?? [])]
  if (joined.length > 0) values["rendezvous"] = joined.join(",")
  if (Values.boolean(input, "no-encrypt") === true) values["encrypt"] = "false"
  return { name: COMMAND_LINE, values }
}

/** A file that was named must be there and be an object, unlike `config.json`. */
const givenFile = Effect.fnUntraced(function* (path: string | undefined) {
  if (path === undefined) return []
  const files = yield* FileSystem.FileSystem
  const text = yield* Effect.mapError(files.readFileString(path), (error) =>
    CliError.make("not_found", `cannot read ${path}: ${error.message}`)
  )
  const values = Json.parseObject(text)
  if (values === undefined) return yield* CliError.invalidArgument(`${path} is not a JSON object`)
  return [{ name: path, values }]
})

const COMMAND_LINE = "command line"

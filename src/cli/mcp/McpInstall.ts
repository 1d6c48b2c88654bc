/**
 * `pilotctl mcp install`: the entry that makes an MCP client start a mount, printed or written into the client's own
 * configuration. What else stands in that file stays as it is.
 */
import { Effect, FileSystem, Path, Result } from "effect"
import * as Target from "../../actors/mcp/Target.ts"
import * as Json from "../../core/data/Json.ts"
import * as AtomicFile from "../../core/storage/AtomicFile.ts"
import * as CliError from "../CliError.ts"
import { CliHost } from "../CliHost.ts"
import { type Environment, type Output, output } from "../Command.ts"

/** Where a client keeps its servers, and under which member. Paths are below the home directory, or the working one. */
interface Client {
  readonly member: string
  readonly path: Readonly<Record<"linux" | "darwin", string>>
  readonly isInProject?: true
  /** Members that the client wants in each entry. */
  readonly extra?: Json.JsonObject
}

const everywhere = (path: string) => ({ linux: path, darwin: path })

const CLIENTS: Readonly<Record<string, Client>> = {
  claude: {
    member: "mcpServers",
    path: {
      linux: ".config/Claude/claude_desktop_config.json",
      darwin: "Library/Application Support/Claude/claude_desktop_config.json"
    }
  },
  "claude-code": { member: "mcpServers", path: everywhere(".mcp.json"), isInProject: true, extra: { type: "stdio" } },
  cursor: { member: "mcpServers", path: everywhere(".cursor/mcp.json") },
  gemini: { member: "mcpServers", path: everywhere(".gemini/settings.json") },
  vscode: { member: "servers", path: everywhere(".vscode/mcp.json"), isInProject: true, extra: { type: "stdio" } },
  windsurf: { member: "mcpServers", path: everywhere(".codeium/windsurf/mcp_config.json") }
}

/** In place of a service: the front of all of them. */
const FRONT = "front"

/** The names for `--client`. */
export const NAMES: ReadonlyArray<string> = Object.keys(CLIENTS)

/**
 * Shows the entry for `PEER/SERVICE`, of several peers or by what it can do, or for `front`, which is all services; writes it if
 * asked to. `name` is what the client calls the server.
 */
export const run = Effect.fnUntraced(function* (options: {
  readonly targets: ReadonlyArray<string>
  /** Instead of names; empty if there is none. Looked for whenever the client starts the mount. */
  readonly capability: string
  readonly client: string
  readonly name: string | undefined
  readonly write: boolean
  readonly platform: NodeJS.Platform
  readonly directory: string
}): Effect.fn.Return<Output, CliError.CliError, Environment> {
  const asked = yield* Effect.fromResult(wanted(options.targets, options.capability))
  const client = Object.hasOwn(CLIENTS, options.client) ? CLIENTS[options.client] : undefined
  if (client === undefined) {
    return yield* CliError.invalidArgument(
      `unknown client ${JSON.stringify(options.client)}`,
      `one of ${NAMES.join(", ")}`
    )
  }
  const host = yield* CliHost
  const name = options.name ?? asked.name.replaceAll(/[^A-Za-z0-9_-]/gu, "-")
  const entry = { ...client.extra, ...entryOf(host, asked.words) }
  const { join } = yield* Path.Path
  const path = join(
    client.isInProject === true ? options.directory : host.homeDirectory,
    client.path[options.platform === "darwin" ? "darwin" : "linux"]
  )
  const shown = JSON.stringify({ [client.member]: { [name]: entry } }, null, 2)
  const data = { client: options.client, path, name, entry, written: false }
  if (!options.write) return output(data, `${shown}\n\nThis goes into ${path}; --write puts it there.`)

  const before = yield* read(path)
  const merged = yield* Effect.fromResult(merge(before, client.member, name, entry, path))
  if (merged.text === before) return output({ ...data, written: true }, `${path} has this entry already.`)
  const files = yield* FileSystem.FileSystem
  const { dirname } = yield* Path.Path
  yield* Effect.andThen(
    files.makeDirectory(dirname(path), { recursive: true }),
    AtomicFile.write(path, merged.text, { mode: AtomicFile.OWNER_ONLY })
  ).pipe(Effect.mapError((error) => CliError.make("internal", `cannot write ${path}: ${error.message}`)))
  return output(
    { ...data, written: true, replaced: merged.replaced },
    [
      `--- ${path}`,
      ...(merged.replaced === undefined ? [] : prefixed("-", JSON.stringify({ [name]: merged.replaced }, null, 2))),
      ...prefixed("+", JSON.stringify({ [name]: entry }, null, 2)),
      `Written. Restart ${options.client} to use ${asked.label}.`
    ].join("\n")
  )
})

/** What the client starts, with a name for it, and what it is to people. */
const wanted = (
  targets: ReadonlyArray<string>,
  capability: string
): Result.Result<Record<"name" | "label", string> & { readonly words: ReadonlyArray<string> }, CliError.CliError> => {
  if (capability !== "" && targets.length === 0) {
    return Result.succeed({ name: capability, label: capability, words: ["mount", "--capability", capability] })
  }
  if (capability !== "") return Result.fail(CliError.invalidArgument("--capability stands in place of PEER/NAME"))
  const text = targets.join(",")
  if (text === FRONT) return Result.succeed({ name: "pilot", label: FRONT, words: [FRONT] })
  const parsed = Target.parseInstances(text)
  if (parsed === undefined) {
    return Result.fail(
      CliError.invalidArgument(
        `${JSON.stringify(text)} is neither PEER/NAME nor ${FRONT}`,
        "pilotctl mcp install PEER/NAME --client CLIENT"
      )
    )
  }
  const names = parsed.map((target) => Target.format([target]))
  return Result.succeed({
    name: `${parsed[0].peer}-${parsed[0].service}`,
    label: names.join(", "),
    words: ["mount", ...names]
  })
}

/** Absolute paths, because clients start programs with little of a shell's environment (architecture, decision 1). */
const entryOf = (
  { nodeOptions, nodePath, programPath, variables }: CliHost["Service"],
  words: ReadonlyArray<string>
): Json.JsonObject => {
  const env = Object.fromEntries(
    ["PILOT_HOME", "PILOT_SOCKET"].flatMap((key) => {
      const value = variables[key]
      return value === undefined || value === "" ? [] : [[key, value]]
    })
  )
  return {
    command: nodePath,
    args: [...nodeOptions, programPath, "mcp", ...words],
    ...(Object.keys(env).length === 0 ? {} : { env })
  }
}

/** Absent is empty. */
const read = Effect.fnUntraced(function* (path: string) {
  const files = yield* FileSystem.FileSystem
  return yield* files.readFileString(path).pipe(
    Effect.catchReason("PlatformError", "NotFound", () => Effect.succeed("")),
    Effect.mapError((error) => CliError.make("internal", `cannot read ${path}: ${error.message}`))
  )
})

/** A file with comments would lose them, so it is left to its owner. */
const merge = (
  before: string,
  member: string,
  name: string,
  entry: Json.JsonObject,
  path: string
): Result.Result<{ readonly text: string; readonly replaced: Json.Json | undefined }, CliError.CliError> => {
  const whole = before.trim() === "" ? {} : Json.parseObject(before)
  const servers = whole === undefined ? undefined : (Json.member(whole, member) ?? {})
  if (whole === undefined || !Json.isObject(servers)) {
    return Result.fail(
      CliError.make(
        "invalid_state",
        `${path} is not plain JSON with an object ${member}`,
        "without --write the entry is printed"
      )
    )
  }
  const text = `${JSON.stringify({ ...whole, [member]: { ...servers, [name]: entry } }, null, 2)}\n`
  const replaced = Json.member(servers, name)
  const isSame = JSON.stringify(replaced) === JSON.stringify(entry)
  return Result.succeed({ text: isSame ? before : text, replaced })
}

const prefixed = (sign: string, text: string): ReadonlyArray<string> =>
  text.split("\n").map((line) => `${sign} ${line}`)

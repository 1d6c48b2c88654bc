/** `pilotctl mcp expose`: which command becomes a service, and which peers may use it. */
import process from "node:process"
import { Clock, Effect, FileSystem, Path, Result } from "effect"
import type * as KeeperControl from "../../actors/mcp/KeeperControl.ts"
import * as ServiceTable from "../../actors/mcp/keeper/ServiceTable.ts"
import * as Json from "../../core/data/Json.ts"
import { TITLE_CHARACTERS_MAX } from "../../protocol/relay/ServiceListing.ts"
import * as CliError from "../CliError.ts"
import type { CliHost } from "../CliHost.ts"
import { type Environment, type Input, type Output, output, silent } from "../Command.ts"
import * as DaemonClient from "../DaemonClient.ts"
import * as Terminal from "../Terminal.ts"
import * as Values from "../Values.ts"
import * as KeeperClient from "./KeeperClient.ts"
import * as KeeperRun from "./KeeperRun.ts"
import * as McpExposeUrl from "./McpExposeUrl.ts"
import * as McpRules from "./McpRules.ts"
import * as McpText from "./McpText.ts"

/** Exposes a command, or allows more peers to use a service that is exposed already. */
export const run = Effect.fnUntraced(function* (
  name: string,
  input: Input
): Effect.fn.Return<Output, CliError.CliError, Environment> {
  const existing = (yield* KeeperClient.status)?.services.find((service) => service.name === name)
  if (existing !== undefined && "program" in existing) {
    return yield* CliError.make(
      "already_exists",
      `${name} is exposed by ${existing.program}, which holds its rules`,
      "change them there, or take another name"
    )
  }
  const allowed = yield* Effect.forEach(Values.texts(input, "allow"), (peer) => allow(input, peer))
  const service = yield* serviceOf(
    name,
    input,
    existing,
    allowed.map(({ peer }) => peer)
  )
  const text = McpText.exposed(service, allowed)
  if (Values.boolean(input, "foreground") === true) {
    yield* KeeperRun.run({ initial: service, ready: Terminal.note(input, text) })
    return silent()
  }
  const state = yield* KeeperClient.ask({ op: "expose", service })
  return output(
    { ...McpText.serviceRow(service), problems: state.problems },
    [text, ...state.problems.map((problem) => `note: ${problem}`)].join("\n")
  )
})

/** The key that stands behind the name or address now is the one allowed, whatever the name leads to later. */
const allow = Effect.fnUntraced(function* (input: Input, text: string) {
  const found = yield* Effect.scoped(
    Effect.flatMap(DaemonClient.connect, (client) =>
      Effect.mapError(client.extension("peer", { target: text }), (error) => DaemonClient.unresolved(text, error))
    )
  )
  const publicKey = Json.string(found, "public_key")
  if (publicKey === "") return yield* CliError.make("not_found", `the key of ${JSON.stringify(text)} is not known`)
  const isTrusted = Json.boolean(found, "trusted")
  const node = Json.unsigned(found, "node_id", 32)
  if (!isTrusted) yield* Terminal.note(input, `${text} is not trusted yet: pilotctl trust add ${text}`)
  const name = Json.string(found, "hostname") || Json.string(found, "address")
  const allowed: McpText.Allowed = {
    peer: { node, publicKey, name },
    fingerprint: Json.string(found, "fingerprint"),
    isTrusted
  }
  return allowed
})

const serviceOf = Effect.fnUntraced(function* (
  name: string,
  input: Input,
  existing: ServiceTable.StoredService | undefined,
  allowed: ReadonlyArray<ServiceTable.AllowedPeer>
): Effect.fn.Return<ServiceTable.StoredService, CliError.CliError, CliHost | FileSystem.FileSystem | Path.Path> {
  const [command, ...args] = input.rest ?? []
  const merged = new Map([...(existing?.allowed ?? []), ...allowed].map((peer) => [peer.node, peer]))
  const url = Values.text(input, "url")
  const title = yield* titleOf(input)
  if (command === undefined && url === undefined) {
    const isChanged = allowed.length > 0 || title !== undefined || McpRules.isGiven(input)
    if (existing === undefined || !isChanged) return yield* NO_COMMAND
    // A service without rules gets them only when some are asked for.
    const rules = McpRules.isGiven(input) ? yield* McpRules.of(input, existing.rules) : existing.rules
    return { ...existing, ...title, allowed: [...merged.values()], ...(rules === undefined ? {} : { rules }) }
  }
  const portText = Values.text(input, "port")
  const port = portText === undefined ? undefined : yield* portOf(portText)
  yield* nothingIdle(input, command === undefined)
  const createdAtSeconds = Math.floor((yield* Clock.currentTimeMillis) / 1000)
  const common = { name, allowed, createdAtSeconds, ...(port === undefined ? {} : { port }) }
  const service: ServiceTable.StoredService =
    command === undefined
      ? { ...common, ...(yield* McpExposeUrl.target(url ?? "", input)) }
      : {
          ...common,
          ...(url === undefined ? {} : yield* McpExposeUrl.NOT_BOTH),
          command,
          args,
          cwd: yield* directoryOf(Values.text(input, "cwd")),
          ...(Values.boolean(input, "shared") === true ? { shared: true } : {}),
          env: yield* Effect.fromResult(environmentOf(Values.texts(input, "env")))
        }
  // Another command line or URL is a new service: who was allowed to use the old one was not asked about this one.
  const isSame = existing !== undefined && ServiceTable.source(service) === ServiceTable.source(existing)
  const rules = yield* McpRules.of(input, isSame ? existing.rules : undefined)
  const kept = isSame && existing.title !== undefined ? { title: existing.title } : {}
  return { ...service, ...kept, ...title, rules, ...(isSame ? { allowed: [...merged.values()] } : {}) }
})

const portOf = (text: string): Effect.Effect<number, CliError.CliError> => {
  const port = Values.port(text)
  return Result.isSuccess(port) && port.success > 0
    ? Effect.succeed(port.success)
    : CliError.invalidArgument(`invalid --port ${JSON.stringify(text)}`, "a virtual port, 1 to 65535")
}

/** Flags that say something about what there is not. */
const nothingIdle = (input: Input, isUrl: boolean): Effect.Effect<void, CliError.CliError> => {
  const idle = (isUrl ? OF_COMMANDS : OF_URLS).find((name) => input.flags.has(name))
  if (idle === undefined) return Effect.void
  return isUrl
    ? CliError.invalidArgument(`--${idle} belongs to a command, not to --url`, "the server at a URL runs already")
    : CliError.invalidArgument(`--${idle} belongs to --url, not to a command`, "--env NAME=VALUE is for commands")
}

/** As the keeper finds it, whose own directory is another one. */
const directoryOf = Effect.fnUntraced(function* (text: string | undefined) {
  if (text === undefined) return process.cwd()
  const files = yield* FileSystem.FileSystem
  const directory = (yield* Path.Path).resolve(text)
  const isThere = yield* Effect.match(files.stat(directory), {
    onFailure: () => false,
    onSuccess: ({ type }) => type === "Directory"
  })
  return isThere
    ? directory
    : yield* CliError.invalidArgument(`invalid --cwd ${JSON.stringify(text)}: no such directory`, "--cwd DIRECTORY")
})

const titleOf = (input: Input): Effect.Effect<{ readonly title: string } | undefined, CliError.CliError> => {
  const title = Values.text(input, "title")
  if (title === undefined) return Effect.succeed(undefined)
  return title.length > TITLE_CHARACTERS_MAX
    ? CliError.invalidArgument(`--title is longer than ${TITLE_CHARACTERS_MAX} characters`, "a few words")
    : Effect.succeed({ title })
}

const environmentOf = (
  assignments: ReadonlyArray<string>
): Result.Result<Readonly<Record<string, string>>, CliError.CliError> => {
  const wrong = assignments.find((assignment) => !/^[A-Za-z_][A-Za-z0-9_]*=/.test(assignment))
  if (wrong !== undefined)
    return Result.fail(
      CliError.invalidArgument(
        `invalid --env "${wrong}": NAME=VALUE is wanted`,
        "--env LANG=C; one flag for each variable"
      )
    )
  return Result.succeed(
    Object.fromEntries(
      assignments.map((assignment) => {
        const equals = assignment.indexOf("=")
        return [assignment.slice(0, equals), assignment.slice(equals + 1)]
      })
    )
  )
}

/** The state after a service is gone. */
export const unexpose = Effect.fnUntraced(function* (
  name: string
): Effect.fn.Return<Output, CliError.CliError, Environment> {
  const state = yield* KeeperClient.status
  if (state === undefined) {
    return yield* CliError.make("not_found", `no service ${JSON.stringify(name)} is exposed`, "pilotctl mcp services")
  }
  const request: KeeperControl.Request = { op: "unexpose", name }
  yield* KeeperClient.ask(request)
  return output({ name }, `${name} is no longer exposed`)
})

const OF_COMMANDS: ReadonlyArray<string> = ["env", "cwd", "shared"]
const OF_URLS: ReadonlyArray<string> = ["header-env"]
const NO_COMMAND = CliError.invalidArgument(
  "the command to run or the URL is missing",
  "pilotctl mcp expose NAME --allow PEER -- COMMAND ARGUMENTS…, or --url http://HOST:PORT/mcp"
)

/** The configuration of a rendezvous from its sources: flags, `--config FILE`, environment. */
import { Effect, FileSystem, Result, Schema, SchemaIssue } from "effect"
import { RendezvousConfig } from "../../actors/layers/RendezvousConfig.ts"
import * as Json from "../../core/data/Json.ts"
import * as CliError from "../CliError.ts"
import { CliHost } from "../CliHost.ts"
import type { Environment, Input } from "../Command.ts"
import * as ConfigFile from "../ConfigFile.ts"
import * as Values from "../Values.ts"

/** What the process needs to run. */
export interface Loaded {
  readonly config: RendezvousConfig
  readonly logLevel: LogLevel
  readonly logFormat: LogFormat
}

/** How much is logged. */
export type LogLevel = (typeof LOG_LEVELS)[number]
/** As lines of text or of JSON. */
export type LogFormat = (typeof LOG_FORMATS)[number]

/** Merges and checks them; a problem names the flag, the value and where it came from. */
export const load = Effect.fnUntraced(function* (
  input: Input
): Effect.fn.Return<Loaded, CliError.CliError, Environment> {
  const { variables } = yield* CliHost
  const { rendezvousStore } = yield* ConfigFile.directory
  const { PILOT_ADMIN_TOKEN: token = "" } = variables
  const path = Values.text(input, "config")
  const flags = Object.fromEntries([...input.flags].map(([name, values]) => [name, values.at(-1) ?? ""]))
  const said: Said = new Map([
    ...values("state directory", "", { store: rendezvousStore }),
    ...(token === "" ? [] : values("environment", "", { adminToken: token })),
    ...(path === undefined ? [] : values(path, "", yield* givenFile(path))),
    ...values("command line", "--", flags)
  ])
  return {
    config: yield* config(said),
    logLevel: yield* oneOf(said, "logLevel", LOG_LEVELS, "info", "expected debug, info, warn or error"),
    logFormat: yield* oneOf(said, "logFormat", LOG_FORMATS, "text", "expected text or json")
  }
})

const config = (said: Said): Effect.Effect<RendezvousConfig, CliError.CliError> => {
  const encoded = Object.fromEntries([...said].map(([member, { text }]) => [member, text]))
  const decoded = Schema.decodeUnknownResult(RendezvousConfig)(encoded)
  if (Result.isSuccess(decoded)) return Effect.succeed(decoded.success)
  const [issue] = SchemaIssue.makeFormatterStandardSchemaV1()(decoded.failure.issue).issues
  return refused(said.get(String(issue?.path?.[0])), issue?.message ?? decoded.failure.message)
}

const oneOf = <A extends string>(
  said: Said,
  member: string,
  known: ReadonlyArray<A>,
  orElse: A,
  expected: string
): Effect.Effect<A, CliError.CliError> => {
  const value = said.get(member)
  const found = value === undefined ? orElse : known.find((one) => one === value.text)
  return found === undefined ? refused(value, expected) : Effect.succeed(found)
}

const refused = (value: Value | undefined, expected: string) =>
  CliError.invalidArgument(
    value === undefined
      ? `invalid configuration: ${expected}`
      : `invalid ${value.name}${value.isSecret ? "" : ` ${JSON.stringify(value.text)}`} (${value.source}): ${expected}`,
    "see: pilotctl help rendezvous start"
  )

const givenFile = Effect.fnUntraced(function* (path: string) {
  const files = yield* FileSystem.FileSystem
  const text = yield* Effect.mapError(files.readFileString(path), (error) =>
    CliError.make("not_found", `cannot read ${path}: ${error.message}`)
  )
  const found = Json.parseObject(text)
  return found ?? (yield* CliError.invalidArgument(`${path} is not a JSON object`, '{"registry_addr": ":9000"}'))
})

/** What was said, by the members of `RendezvousConfig`. */
type Said = ReadonlyMap<string, Value>

/** One value, and how whoever wrote it calls it. */
interface Value {
  readonly text: string
  readonly name: string
  readonly source: string
  readonly isSecret: boolean
}

/** `registry-addr` and `registry_addr` are both `registryAddr`; every value as text. */
const values = (source: string, prefix: "--" | "", given: Json.JsonObject): ReadonlyArray<[string, Value]> =>
  Object.entries(given).flatMap(([key, value]) => {
    if (value === undefined || value === null) return []
    const member = key.replaceAll(/[-_]([a-z])/g, (_, letter: string) => letter.toUpperCase())
    return [[member, { text: String(value), name: `${prefix}${key}`, source, isSecret: member === "adminToken" }]]
  })

const LOG_LEVELS = ["debug", "info", "warn", "error"] as const
const LOG_FORMATS = ["text", "json"] as const

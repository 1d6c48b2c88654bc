/** The configuration of a rendezvous from its sources: flags, `--config FILE`, environment. */
import { Effect, FileSystem, type Result, Schema } from "effect"
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
export type LogLevel = typeof LogLevel.Type
/** As lines of text or of JSON. */
export type LogFormat = typeof LogFormat.Type

const LogLevel = Schema.Literals(["debug", "info", "warn", "error"])
const LogFormat = Schema.Literals(["text", "json"])

/** Merges and checks them; a problem names what it is about. */
export const load = Effect.fnUntraced(function* (
  input: Input
): Effect.fn.Return<Loaded, CliError.CliError, Environment> {
  const { variables } = yield* CliHost
  const { rendezvousStore } = yield* ConfigFile.directory
  const { PILOT_ADMIN_TOKEN } = variables
  const said = {
    store: rendezvousStore,
    ...(PILOT_ADMIN_TOKEN === undefined || PILOT_ADMIN_TOKEN === "" ? {} : { adminToken: PILOT_ADMIN_TOKEN }),
    ...camelCased(yield* givenFile(Values.text(input, "config"))),
    ...camelCased(Object.fromEntries([...input.flags].map(([name, values]) => [name, values.at(-1) ?? ""])))
  }
  const { logLevel = "info", logFormat = "text" }: Readonly<Record<string, string>> = said
  return {
    config: yield* checked(Schema.decodeResult(RendezvousConfig)(said)),
    logLevel: yield* checked(Schema.decodeUnknownResult(LogLevel)(logLevel)),
    logFormat: yield* checked(Schema.decodeUnknownResult(LogFormat)(logFormat))
  }
})

const checked = <A>(result: Result.Result<A, Schema.SchemaError>): Effect.Effect<A, CliError.CliError> =>
  Effect.mapError(Effect.fromResult(result), (error) =>
    CliError.invalidArgument(
      `invalid configuration: ${error.message.replaceAll(/\s*\n\s*/g, " ")}`,
      "see: pilotctl help rendezvous start"
    )
  )

const givenFile = Effect.fnUntraced(function* (path: string | undefined) {
  if (path === undefined) return {}
  const files = yield* FileSystem.FileSystem
  const text = yield* Effect.mapError(files.readFileString(path), (error) =>
    CliError.make("not_found", `cannot read ${path}: ${error.message}`)
  )
  const values = Json.parseObject(text)
  return values ?? (yield* CliError.invalidArgument(`${path} is not a JSON object`))
})

/** `registry-addr` and `registry_addr` are both `registryAddr`; every value as text. */
const camelCased = (values: Json.JsonObject): Record<string, string> =>
  Object.fromEntries(
    Object.entries(values).flatMap(([key, value]) =>
      value === undefined || value === null
        ? []
        : [[key.replaceAll(/[-_]([a-z])/g, (_, letter: string) => letter.toUpperCase()), String(value)]]
    )
  )

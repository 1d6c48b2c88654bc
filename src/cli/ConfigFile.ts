/**
 * `config.json` in the state directory (cli §1.3): a JSON object, two-space indent, 0600, replaced as a whole. Unknown
 * keys are kept; a missing or broken file counts as empty.
 */
import { Effect, FileSystem, type Path } from "effect"
import * as StateDirectory from "../actors/layers/StateDirectory.ts"
import * as GoJson from "../core/data/GoJson.ts"
import * as Json from "../core/data/Json.ts"
import * as AtomicFile from "../core/storage/AtomicFile.ts"
import * as PrivateDirectory from "../core/storage/PrivateDirectory.ts"
import * as CliError from "./CliError.ts"
import { CliHost } from "./CliHost.ts"

/** The state directory of whoever runs the command. */
export const directory: Effect.Effect<StateDirectory.StateDirectory, never, CliHost> = Effect.map(
  CliHost,
  StateDirectory.resolve
)

/** What the file says; empty when there is none. */
export const read = Effect.fnUntraced(function* (
  path: string
): Effect.fn.Return<Json.JsonObject, never, FileSystem.FileSystem> {
  const files = yield* FileSystem.FileSystem
  const text = yield* Effect.orElseSucceed(files.readFileString(path), () => "")
  return Json.parseObject(text) ?? {}
})

/** Changes some keys and keeps the others. */
export const update = Effect.fnUntraced(function* (
  changes: Json.JsonObject
): Effect.fn.Return<Json.JsonObject, CliError.CliError, CliHost | FileSystem.FileSystem | Path.Path> {
  const { config, home } = yield* directory
  const merged = { ...(yield* read(config)), ...changes }
  yield* makeHome(home)
  yield* Effect.mapError(
    AtomicFile.write(config, `${GoJson.encodeIndented(merged)}\n`, { mode: AtomicFile.OWNER_ONLY }),
    (error) => unwritable(config, error.message)
  )
  return merged
})

/** The state directory, 0700. */
export const makeHome = (home: string): Effect.Effect<void, CliError.CliError, FileSystem.FileSystem | Path.Path> =>
  Effect.mapError(PrivateDirectory.make(home), (error) => unwritable(home, error.message))

const unwritable = (path: string, detail: string): CliError.CliError =>
  CliError.make("internal", `cannot write ${path}: ${detail}`, "choose another state directory with PILOT_HOME")

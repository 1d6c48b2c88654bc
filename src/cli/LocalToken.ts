/** Tokens of local doors, in files of the state directory with mode 0600: never in a URL of ours, never in a log. */
import { Effect, FileSystem, Option, Schema } from "effect"
import { Crypto } from "../core/crypto/Crypto.ts"
import * as Bytes from "../core/data/Bytes.ts"
import * as AtomicFile from "../core/storage/AtomicFile.ts"
import * as CliError from "./CliError.ts"
import * as ConfigFile from "./ConfigFile.ts"

/** The token in the file of that name, made when it is first wanted, so that a client's configuration stays right. */
export const keep = Effect.fnUntraced(function* (name: string) {
  const { home } = yield* ConfigFile.directory
  yield* ConfigFile.makeHome(home)
  const path = `${home}/${name}`
  const files = yield* FileSystem.FileSystem
  const existing = Option.getOrElse(yield* Effect.option(files.readFileString(path)), () => "").trim()
  if (isToken(existing)) return { path, token: existing }
  const crypto = yield* Crypto
  const token = Bytes.toHex(crypto.randomBytes(TOKEN_BYTES))
  yield* Effect.mapError(AtomicFile.write(path, `${token}\n`, { mode: AtomicFile.OWNER_ONLY }), ({ message }) =>
    CliError.make("internal", `cannot write ${path}: ${message}`)
  )
  return { path, token }
})

const isToken = Schema.is(Schema.String.check(Schema.isPattern(/^[0-9a-f]{64}$/)))
const TOKEN_BYTES = 32

/**
 * The passphrase of an identity or a backup: from `--passphrase-file`, `PILOT_PASSPHRASE`, a systemd credential, or a person at
 * the terminal, in this order. Never from the command line itself, which every user of the host can read.
 */
import { Effect, FileSystem, Redacted } from "effect"
import * as Json from "../../core/data/Json.ts"
import * as CliError from "../CliError.ts"
import { CliHost } from "../CliHost.ts"
import type { Environment, Flag, Input } from "../Command.ts"
import * as ConfigFile from "../ConfigFile.ts"
import * as Terminal from "../Terminal.ts"
import * as Values from "../Values.ts"

/** The flag of every command that may need one. */
export const FLAG: Flag = {
  name: "passphrase-file",
  value: "path",
  summary: "file with the passphrase in one line, - for standard input"
}

/** How an environment gives it to a process. Taken out of the environment when it is read, or every child would inherit it. */
export const VARIABLE = "PILOT_PASSPHRASE"

/** The passphrase if any source but the terminal has one. */
export const given = Effect.fnUntraced(function* (
  input: Input
): Effect.fn.Return<Redacted.Redacted<string> | undefined, CliError.CliError, Environment> {
  const { forgetVariable, variables } = yield* CliHost
  const { config } = yield* ConfigFile.directory
  const configured = Json.string(yield* ConfigFile.read(config), FLAG.name)
  const path = Values.text(input, FLAG.name) ?? (configured === "" ? undefined : configured)
  if (path !== undefined) return Redacted.make(yield* fromFile(path))
  const value = variables[VARIABLE]
  if (value !== undefined && value !== "") {
    forgetVariable?.(VARIABLE)
    return Redacted.make(value)
  }
  const credential = yield* credentialFile
  return credential === undefined ? undefined : Redacted.make(yield* fromFile(credential))
})

/** The same, else asks at the terminal; without one it is an error that names the sources. */
export const ask = Effect.fnUntraced(function* (
  input: Input,
  question: string
): Effect.fn.Return<Redacted.Redacted<string>, CliError.CliError, Environment> {
  const known = yield* given(input)
  if (known !== undefined) return known
  return Redacted.make(yield* typed(question))
})

/** A passphrase that is about to be set: long enough, and typed twice by a person. */
export const choose = Effect.fnUntraced(function* (
  input: Input,
  question: string
): Effect.fn.Return<Redacted.Redacted<string>, CliError.CliError, Environment> {
  const known = yield* given(input)
  const chosen = known === undefined ? yield* typed(question) : Redacted.value(known)
  if ([...chosen].length < CHARACTERS_MIN)
    return yield* CliError.invalidArgument(`the passphrase has fewer than ${CHARACTERS_MIN} characters`, CHOOSE_HINT)
  if (known === undefined && (yield* typed("Once more: ")) !== chosen)
    return yield* CliError.invalidArgument("the two passphrases differ")
  return Redacted.make(chosen)
})

const typed = Effect.fnUntraced(function* (question: string): Effect.fn.Return<string, CliError.CliError, Environment> {
  const { askSecret } = yield* CliHost
  const answer = askSecret === undefined ? undefined : yield* askSecret(question)
  if (answer === undefined) return yield* CliError.make("auth_required", "a passphrase is needed", SOURCES_HINT)
  return answer
})

/** systemd gives a service its secrets as files in a directory of its own (`LoadCredential=`). */
const credentialFile = Effect.gen(function* () {
  const { variables } = yield* CliHost
  const files = yield* FileSystem.FileSystem
  const directory = variables["CREDENTIALS_DIRECTORY"]
  if (directory === undefined || directory === "") return undefined
  const path = `${directory}/${CREDENTIAL}`
  return (yield* Effect.orElseSucceed(files.exists(path), () => false)) ? path : undefined
})

const fromFile = Effect.fnUntraced(function* (path: string): Effect.fn.Return<string, CliError.CliError, Environment> {
  const files = yield* FileSystem.FileSystem
  const text = path === "-" ? yield* Terminal.readAll(BYTES_MAX) : yield* readPrivate(files, path)
  const passphrase = text?.replace(/\r?\n$/, "") ?? ""
  if (passphrase === "" || /[\r\n\0]/.test(passphrase))
    return yield* CliError.invalidArgument(`${path} holds no passphrase of one line`)
  return passphrase
})

const readPrivate = Effect.fnUntraced(function* (files: FileSystem.FileSystem, path: string) {
  const unreadable = ({ message }: { readonly message: string }) =>
    CliError.make("not_found", `cannot read the passphrase: ${message}`)
  const { mode, size, type } = yield* Effect.mapError(files.stat(path), unreadable)
  // A pipe from a password manager (`<(pass show …)`) has no owner to ask for.
  if (type === "File" && (mode & 0o077) !== 0)
    return yield* CliError.make("permission_denied", `group or others may read ${path}`, `chmod 600 ${path}`)
  if (Number(size) > BYTES_MAX) return undefined
  return yield* Effect.mapError(files.readFileString(path), unreadable)
})

const CREDENTIAL = "pilot-passphrase"
const CHARACTERS_MIN = 8
const BYTES_MAX = 4096
const CHOOSE_HINT = "several words that do not belong together are easy to remember and hard to guess"
const SOURCES_HINT = `give it by --passphrase-file FILE or ${VARIABLE}, or run this on a terminal`

/**
 * The grammar of the command line (cli §1.1): which command the words select, and how its flags and positionals are
 * told apart. Pure; the decision record 0001 says why this is not `effect/cli`.
 */
import { Result } from "effect"
import * as CliError from "./CliError.ts"
import type { Command, Flag, Input } from "./Command.ts"

/** The words of one invocation, before a command is chosen. */
export interface Words {
  /** `--json` was somewhere before a `--`. */
  readonly json: boolean
  readonly words: ReadonlyArray<string>
  readonly rest: ReadonlyArray<string> | undefined
}

/** What the words ask for. */
export type Selection =
  | { readonly _tag: "Run"; readonly command: Command; readonly input: Input }
  | { readonly _tag: "Help"; readonly topic: string }
  | { readonly _tag: "Version" }
  /** No command at all: usage on standard error, exit code 2. */
  | { readonly _tag: "Usage" }
  | { readonly _tag: "UnknownCommand"; readonly word: string }

/** Takes `--json` out and sets aside what follows `--`. */
export const split = (args: ReadonlyArray<string>): Words => {
  const end = args.indexOf("--")
  const before = end < 0 ? args : args.slice(0, end)
  return {
    json: before.includes("--json"),
    words: before.filter((word) => word !== "--json"),
    rest: end < 0 ? undefined : args.slice(end + 1)
  }
}

/** Chooses the command with the longest matching name and reads its arguments. */
export const select = (
  table: ReadonlyArray<Command>,
  { json, words, rest }: Words
): Result.Result<Selection, CliError.CliError> => {
  const first = words[0]
  if (first === undefined) return Result.succeed({ _tag: "Usage" })
  if (first === "--version" || first === "-v") return Result.succeed({ _tag: "Version" })
  if (first === "help" || isHelp(first)) return Result.succeed({ _tag: "Help", topic: words.slice(1).join(" ") })
  const command = longestMatch(table, words)
  if (command === undefined) return unmatched(table, words)
  const own = words.slice(command.name.split(" ").length)
  if (own.some(isHelp)) return Result.succeed({ _tag: "Help", topic: command.name })
  return Result.map(
    Result.flatMap(read(command, own), (found) => checked(command, found, rest)),
    ({ positionals, flags }) => ({ _tag: "Run", command, input: { positionals, flags, rest, json } })
  )
}

/** The rows whose name starts with `group` and a space: what `daemon` alone could be followed by. */
export const subcommands = (table: ReadonlyArray<Command>, group: string): ReadonlyArray<string> =>
  table
    .filter((command) => command.isInternal !== true && command.name.startsWith(`${group} `))
    .map((command) => command.name.slice(group.length + 1))

const longestMatch = (table: ReadonlyArray<Command>, words: ReadonlyArray<string>): Command | undefined => {
  for (let count = Math.min(NAME_WORDS_MAX, words.length); count > 0; count--) {
    const name = words.slice(0, count).join(" ")
    const found = table.find((command) => command.name === name)
    if (found !== undefined) return found
  }
  return undefined
}

const unmatched = (
  table: ReadonlyArray<Command>,
  words: ReadonlyArray<string>
): Result.Result<Selection, CliError.CliError> => {
  const [group, word] = words as readonly [string, string | undefined]
  const available = subcommands(table, group)
  if (available.length === 0) return Result.succeed({ _tag: "UnknownCommand", word: group })
  if (word !== undefined && isHelp(word)) return Result.succeed({ _tag: "Help", topic: group })
  return Result.fail(
    word === undefined
      ? CliError.invalidArgument("missing subcommand", `available: pilotctl ${group} ${available.join(" | ")}`)
      : CliError.invalidArgument(`unknown ${group} subcommand: ${word}`, `available: ${available.join(", ")}`)
  )
}

type Read = Pick<Input, "positionals" | "flags">

const read = (command: Command, words: ReadonlyArray<string>): Result.Result<Read, CliError.CliError> => {
  if (command.flags.length === 0) return Result.succeed({ positionals: words, flags: new Map() })
  const positionals: Array<string> = []
  const flags = new Map<string, ReadonlyArray<string>>()
  for (let index = 0; index < words.length; index++) {
    const word = words[index]!
    const [key, inline] = keyOf(command, word)
    if (key === undefined) {
      positionals.push(word)
      continue
    }
    const flag = command.flags.find(({ name }) => name === key)
    const next = words[index + 1]
    const eatsNext = inline === undefined && flag?.value !== "boolean" && next !== undefined && !next.startsWith("--")
    if (eatsNext) index++
    // An unknown flag is ignored, together with the word that would have been its value (cli §1.1).
    if (flag === undefined && command.isStrict === undefined) continue
    if (flag === undefined) return unexpected(command, `unknown flag --${key}`)
    const value = inline ?? (eatsNext ? next : flag.value === "boolean" ? "true" : undefined)
    if (value === undefined) return Result.fail(CliError.invalidArgument(`--${key} needs a value`, FLAG_HINT))
    flags.set(key, flag.repeats === true ? [...(flags.get(key) ?? []), value] : [value])
  }
  return Result.succeed({ positionals, flags })
}

/** A strict command takes as many words as its usage names. */
const checked = (
  command: Command,
  found: Read,
  rest: ReadonlyArray<string> | undefined
): Result.Result<Read, CliError.CliError> => {
  if (command.isStrict === undefined) return Result.succeed(found)
  const places = command.usage.split(" ").filter((word) => word !== "")
  const isEndless = places.some((place) => place.includes("…"))
  const extra = isEndless ? undefined : found.positionals[places.length]
  if (extra !== undefined) return unexpected(command, `unexpected argument ${JSON.stringify(extra)}`)
  return rest !== undefined && command.isStrict !== "rest"
    ? unexpected(command, "unexpected arguments after --")
    : Result.succeed(found)
}

const unexpected = (command: Command, what: string): Result.Result<never, CliError.CliError> =>
  Result.fail(CliError.invalidArgument(`${what} for ${command.name}`, `pilotctl ${command.name} --help`))

/** The flag a word names and its `=value`; a single dash names a flag only if the command knows it. */
const keyOf = (command: Command, word: string): readonly [key: string | undefined, inline: string | undefined] => {
  const match = FLAG.exec(word)
  if (match === null) return [undefined, undefined]
  const key = match[2]!.replaceAll("_", "-")
  const isKnown = command.flags.some((flag: Flag) => flag.name === key)
  return match[1] === "-" && !isKnown ? [undefined, undefined] : [key, match[3]]
}

const isHelp = (word: string): boolean => word === "-h" || word === "--help"

const FLAG = /^(--?)([A-Za-z][A-Za-z0-9_-]*)(?:=(.*))?$/s
const FLAG_HINT = "a value that starts with -- is written --flag=VALUE"
/** Longest command name in words (`trust accept-key` is two; one to spare). */
const NAME_WORDS_MAX = 3

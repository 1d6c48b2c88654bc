/**
 * A command as data: what it is called, what it takes, what it does. The whole command line is one table of these;
 * parsing (`Arguments.ts`), help and `context` are derived from it, so a command cannot be undocumented.
 *
 * A group file holds the rows of its commands and loads whatever is heavy by `import()` inside `run`, so that
 * `pilotctl info` loads nothing but the IPC client.
 */
import type { Effect, FileSystem, Path, Scope, Stdio } from "effect"
import type { JsonObject } from "../core/data/Json.ts"
import type { LocalSocket } from "../core/net/LocalSocket.ts"
import type { CliError } from "./CliError.ts"
import type { CliHost } from "./CliHost.ts"
import type { Processes } from "./Processes.ts"

/** What a flag takes. A boolean never eats the word after it. */
export type FlagValue = "boolean" | "text" | "number" | "port" | "duration" | "path" | "address"

/** `--name VALUE`. */
export interface Flag {
  readonly name: string
  readonly value: FlagValue
  readonly summary: string
  /** What stands in `<…>`; by default named after `value`. */
  readonly placeholder?: string
  /** The command cannot do without it; usage shows it without brackets. */
  readonly isRequired?: true
  /** The flag may be given several times; without it the last one wins. */
  readonly repeats?: true
}

/** A command line after parsing. */
export interface Input {
  readonly positionals: ReadonlyArray<string>
  /** Raw values by flag name, every occurrence in order; `"true"` for a bare boolean. */
  readonly flags: ReadonlyMap<string, ReadonlyArray<string>>
  /** The words after `--`, untouched; `undefined` when there was no `--`. */
  readonly rest: ReadonlyArray<string> | undefined
  /** `--json` was given. Only a command that prints by itself needs to look. */
  readonly json: boolean
}

/** What a command leaves for the caller. */
export interface Output {
  /** Goes into the envelope; `undefined` when the command has printed everything itself. */
  readonly data: JsonObject | undefined
  /** Standard output for people, without the final newline; absent: the data, indented. */
  readonly human?: string
  /** Members of the envelope beside `data` and `status` (cli §10). */
  readonly envelope?: JsonObject
  /** 0 unless said otherwise. */
  readonly exitCode?: number
}

/** What commands may use. `Scope` closes when the command ends. */
export type Environment =
  | CliHost
  | LocalSocket
  | Processes
  | FileSystem.FileSystem
  | Path.Path
  | Stdio.Stdio
  | Scope.Scope

/** One row of the command table. */
export interface Command {
  /** The words that select it, separated by one space: `daemon start`. */
  readonly name: string
  /** The positional arguments as usage shows them: `<address|hostname> [port]`; empty for none. */
  readonly usage: string
  readonly summary: string
  /** What the JSON data holds, in a few words; for `context`. */
  readonly returns: string
  /** With no flags at all the command takes its words as they come, those with dashes too (cli §1.1). */
  readonly flags: ReadonlyArray<Flag>
  /**
   * Words and flags that it has no use for are refused. Commands of the reference ignore them (cli §1.1); in one that says who
   * may do what, a misspelt flag must not pass for none. `rest`: what follows `--` is its own.
   */
  readonly isStrict?: true | "rest"
  /** Left out of help and `context`. */
  readonly isInternal?: true
  readonly run: (input: Input) => Effect.Effect<Output, CliError, Environment>
}

/** A command that prints its data. */
export const output = (data: JsonObject, human?: string): Output => (human === undefined ? { data } : { data, human })

/** A command that has already printed what it had to say. */
export const silent = (exitCode = 0): Output => ({ data: undefined, exitCode })

/** `usage: pilotctl …` names these, `context` lists them: positionals, then flags. */
export const args = (self: Pick<Command, "usage" | "flags">): ReadonlyArray<string> => [
  ...self.usage.split(" ").filter((word) => word !== ""),
  ...self.flags.map((flag) => (flag.isRequired === true ? usageOf(flag) : `[${usageOf(flag)}]`))
]

/** `pilotctl send <address|hostname> <port> --data <msg> [--timeout <dur>]`. */
export const usageLine = (self: Pick<Command, "name" | "usage" | "flags">): string =>
  ["pilotctl", self.name, ...args(self)].join(" ")

/** `--timeout <dur>` or `--public`. */
export const usageOf = (flag: Flag): string =>
  flag.value === "boolean" ? `--${flag.name}` : `--${flag.name} <${flag.placeholder ?? PLACEHOLDER[flag.value]}>`

const PLACEHOLDER: Readonly<Record<FlagValue, string>> = {
  boolean: "bool",
  text: "text",
  number: "n",
  port: "port",
  duration: "dur",
  path: "path",
  address: "addr"
}

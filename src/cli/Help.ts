/** Help texts and the machine-readable command list, both derived from the command table (cli §1.2, §2). */
import type { JsonObject } from "../core/data/Json.ts"
import { CODES } from "./CliError.ts"
import { args, type Command, type Flag, usageLine, usageOf } from "./Command.ts"

/** The text for no command, for `help`, and after `unknown command`. */
export const overall = (table: ReadonlyArray<Command>, version: string): string =>
  [
    `pilotctl ${version}: the network half of an agent`,
    "",
    "usage: pilotctl [--json] <command> [args]",
    "",
    "commands:",
    ...columns(listed(table).map((command) => [[command.name, command.usage].join(" ").trim(), command.summary])),
    "",
    "global flags:",
    ...columns(GLOBAL_FLAGS.map(([name, summary]) => [name, summary])),
    "",
    "environment:",
    ...columns(Object.entries(ENVIRONMENT)),
    "",
    "one command: pilotctl help <command>; for programs: pilotctl context"
  ].join("\n")

/** Help for one command, for a group (`daemon`), or the overall text. */
export const topic = (table: ReadonlyArray<Command>, words: string, version: string): string => {
  const exact = table.find((command) => command.name === words)
  const members = listed(table).filter((command) => command.name.startsWith(`${words} `))
  if (exact === undefined && members.length === 0) return overall(table, version)
  return [
    ...(exact === undefined ? [] : one(exact)),
    ...(exact === undefined || members.length === 0 ? [] : [""]),
    ...(members.length === 0
      ? []
      : [`pilotctl ${words}:`, ...columns(members.map((member) => [usageLine(member), member.summary]))])
  ].join("\n")
}

/** What `pilotctl context` answers: everything a program needs to drive the command line. */
export const context = (table: ReadonlyArray<Command>): JsonObject => ({
  version: CONTEXT_VERSION,
  commands: Object.fromEntries(
    listed(table).map((command) => [
      command.name,
      { args: args(command), description: command.summary, returns: command.returns }
    ])
  ),
  error_codes: CODES,
  global_flags: Object.fromEntries(GLOBAL_FLAGS),
  environment: ENVIRONMENT,
  config_file: "~/.pilot/config.json"
})

const listed = (table: ReadonlyArray<Command>): ReadonlyArray<Command> =>
  table.filter((command) => command.isInternal !== true)

const one = (command: Command): ReadonlyArray<string> => [
  `usage: ${["pilotctl", command.name, command.usage].join(" ").trim()}${command.flags.length > 0 ? " [flags]" : ""}`,
  "",
  command.summary,
  ...(command.flags.length === 0
    ? []
    : ["", "flags:", ...columns(command.flags.map((flag) => [described(flag), flag.summary]))])
]

const described = (flag: Flag): string => `${usageOf(flag)}${flag.repeats === true ? " ..." : ""}`

/** Two columns, the first as wide as its widest cell, but not past the point where descriptions stay readable. */
const columns = (rows: ReadonlyArray<readonly [string, string]>): ReadonlyArray<string> => {
  const width = Math.min(COLUMN_MAX, Math.max(0, ...rows.map(([left]) => left.length)))
  return rows.map(([left, right]) =>
    left.length > width ? `  ${left}\n  ${" ".repeat(width)}  ${right}` : `  ${left.padEnd(width)}  ${right}`
  )
}

/** The version of the list's shape, as the reference numbers it. */
const CONTEXT_VERSION = "1.2"
const COLUMN_MAX = 44

const GLOBAL_FLAGS: ReadonlyArray<readonly [string, string]> = [
  ["--json", "one JSON object on standard output, errors as one on standard error"]
]

const ENVIRONMENT = {
  PILOT_HOME: "state directory (default ~/.pilot)",
  PILOT_SOCKET: "socket of the daemon (default $XDG_RUNTIME_DIR/pilot.sock, else ~/.pilot/pilot.sock)",
  PILOT_REGISTRY: "registry address (default 127.0.0.1:9000)",
  PILOT_BEACON: "beacon address (default 127.0.0.1:9001)",
  PILOT_WSS: "WebSockets of the rendezvous, for when UDP is blocked (default wss://REGISTRY-HOST)",
  PILOT_PROXY: "HTTP proxy that leads there: URL, @FILE or none (default HTTPS_PROXY)",
  PILOT_REGISTRY_FINGERPRINT: "SHA-256 of the registry's certificate, as printed by: pilotctl rendezvous status"
}

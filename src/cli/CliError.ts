/** The one error of the command line (cli §1.2): a code for programs, a message for people, a hint that says what to do. */
import { Schema, Struct } from "effect"

/** Every code a command may answer, with the text `pilotctl context` shows for it. */
export const CODES = {
  already_exists: "the thing to create is there already",
  auth_required: "the operation needs a token",
  connection_failed: "the daemon, the registry or the peer refused or could not be reached",
  expired: "the deadline has passed",
  internal: "a local failure: files, permissions, the system",
  internal_error: "a failure inside a task",
  invalid_argument: "the command line is not what the command expects",
  invalid_state: "the thing exists, but its state does not allow the operation",
  key_changed: "another key stands behind a name or an address than the pinned one; a person must decide",
  not_found: "no such name, node, file or task",
  not_running: "the daemon, the rendezvous or the gateway is not running",
  permission_denied: "the socket, the directory or the file belongs to somebody else",
  timeout: "no answer in time",
  unavailable: "this version does not offer the operation",
  untrusted: "the peer does not trust this node, or this node does not trust the peer"
} as const

/** A code of `CODES`. */
export type Code = keyof typeof CODES

const CODE_NAMES = Struct.keys(CODES)

/** Ends a command with exit code 1. */
export class CliError extends Schema.TaggedError<CliError>()("CliError", {
  code: Schema.Literals(CODE_NAMES),
  message: Schema.String,
  hint: Schema.optionalKey(Schema.String)
}) {}

/** An error from its parts; an absent hint stays absent. */
export const make = (code: Code, message: string, hint?: string): CliError =>
  new CliError(hint === undefined ? { code, message } : { code, message, hint })

/** A word of the command line that is missing, malformed or out of range. */
export const invalidArgument = (message: string, hint?: string): CliError => make("invalid_argument", message, hint)

/** The code of this name; `internal` for a name nobody knows. */
export const codeOf = (name: string): Code => CODE_NAMES.find((code) => code === name) ?? "internal"

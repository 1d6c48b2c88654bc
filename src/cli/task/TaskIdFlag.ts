/** Which task a command is about, in the spelling of the reference and in that of the articles (cli §10). */
import { Effect } from "effect"
import * as CliError from "../CliError.ts"
import type { Flag, Input } from "../Command.ts"
import * as Values from "../Values.ts"

/** The reference's. */
export const ID: Flag = { name: "id", value: "text", placeholder: "id", summary: "which task" }
/** The articles'. */
export const TASK_ID: Flag = { name: "task-id", value: "text", placeholder: "id", summary: "the same as --id" }

/** The id that was given, if any. */
export const idIn = (input: Input): string | undefined => Values.text(input, "id") ?? Values.text(input, "task-id")

/** The id of a command that cannot do without. */
export const required = (input: Input) => {
  const id = idIn(input)
  return id === undefined || id === "" ? CliError.invalidArgument("--id is required") : Effect.succeed(id)
}

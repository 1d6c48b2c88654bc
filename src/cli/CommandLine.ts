/** Runs one invocation: words → command → output on the right stream → exit code (cli §1.2). */
import { Effect, Result, type Scope, type Stdio } from "effect"
import * as Arguments from "./Arguments.ts"
import * as CliError from "./CliError.ts"
import { CliHost } from "./CliHost.ts"
import type { Command, Environment, Input } from "./Command.ts"
import * as Help from "./Help.ts"
import * as Render from "./Render.ts"
import * as Terminal from "./Terminal.ts"

/** The exit code of one invocation. Never fails: what goes wrong is printed as cli §1.2 says. */
export const run = Effect.fnUntraced(function* (
  table: ReadonlyArray<Command>,
  args: ReadonlyArray<string>
): Effect.fn.Return<number, never, Exclude<Environment, Scope.Scope>> {
  const words = Arguments.split(args)
  const selection = Arguments.select(table, words)
  if (Result.isFailure(selection)) return yield* failed(selection.failure, words.json)
  return yield* perform(table, selection.success, words.json)
})

const perform = Effect.fnUntraced(function* (
  table: ReadonlyArray<Command>,
  selection: Arguments.Selection,
  json: boolean
) {
  const { version } = yield* CliHost
  switch (selection._tag) {
    case "Run":
      return yield* runCommand(selection.command, selection.input)
    case "Help":
      yield* Terminal.line(Help.topic(table, selection.topic, version))
      return 0
    case "Version":
      yield* Terminal.print(Render.success({ data: { version }, human: `pilotctl ${version}` }, json))
      return 0
    case "Usage":
      yield* Terminal.printError(`${Help.overall(table, version)}\n`)
      return 2
    case "UnknownCommand":
      return yield* unknownCommand(table, selection.word, json, version)
  }
})

const runCommand = (command: Command, input: Input) =>
  Effect.scoped(command.run(input)).pipe(
    // A defect is a bug of ours: it ends the command as one, not the process with a stack trace on standard output.
    Effect.catchDefect((defect) => Effect.fail(CliError.make("internal", `unexpected failure: ${String(defect)}`))),
    Effect.matchEffect({
      onFailure: (error) => failed(error, input.json),
      onSuccess: (result) => Effect.as(Terminal.print(Render.success(result, input.json)), result.exitCode ?? 0)
    })
  )

const failed = (error: CliError.CliError, json: boolean): Effect.Effect<number, never, Stdio.Stdio> =>
  Effect.as(Terminal.printError(Render.failure(error, json)), 1)

const unknownCommand = (
  table: ReadonlyArray<Command>,
  word: string,
  json: boolean,
  version: string
): Effect.Effect<number, never, Stdio.Stdio> =>
  json
    ? failed(
        CliError.invalidArgument(`unknown command: ${word}`, "run 'pilotctl context' for the full command list"),
        true
      )
    : Effect.as(Terminal.printError(`unknown command: ${word}\n\n${Help.overall(table, version)}\n`), 2)

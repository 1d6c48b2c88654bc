/** From the words of a command line to typed values; every refusal names the word (cli §1.1). */
import { Duration, Result } from "effect"
import * as DurationText from "../core/data/DurationText.ts"
import * as CliError from "./CliError.ts"
import { type Command, type Input, usageLine } from "./Command.ts"

/** A value or the reason it is none. */
export type Parsed<A> = Result.Result<A, CliError.CliError>

/** The last value of a flag as text. */
export const text = (input: Input, name: string): string | undefined => input.flags.get(name)?.at(-1)

/** Every value of a repeatable flag. */
export const texts = (input: Input, name: string): ReadonlyArray<string> => input.flags.get(name) ?? []

/** `true`, `1` and empty are true, all else false; absent is `undefined`. */
export const boolean = (input: Input, name: string): boolean | undefined => {
  const value = text(input, name)
  return value === undefined ? undefined : value === "" || value === "1" || value === "true"
}

/** A duration flag, or the default when it is absent. */
export const duration = (input: Input, name: string, orElse: Duration.Input): Parsed<Duration.Duration> => {
  const value = text(input, name)
  if (value === undefined) return Result.succeed(Duration.fromInputUnsafe(orElse))
  const parsed = DurationText.parse(value)
  return parsed === undefined
    ? Result.fail(
        CliError.invalidArgument(`invalid --${name} "${value}"`, "durations look like 30s, 1m30s, 250ms or 2")
      )
    : Result.succeed(parsed)
}

/** A count: a whole number from 0. */
export const count = (input: Input, name: string, orElse: number): Parsed<number> => {
  const value = text(input, name)
  if (value === undefined) return Result.succeed(orElse)
  return isDigits(value) && Number(value) <= COUNT_MAX
    ? Result.succeed(Number(value))
    : Result.fail(
        CliError.invalidArgument(
          `invalid --${name} "${value}": ${numberProblem(value)}`,
          `a whole number from 0 to ${COUNT_MAX}`
        )
      )
}

/** A virtual port, 0 to 65535. */
export const port = (value: string): Parsed<number> => unsigned("port", value, 0xffff)

/** A node id. */
export const nodeId = (value: string): Parsed<number> => unsigned("node_id", value, 0xffffffff)

/** A connection id; its refusal is worded differently (cli §8). */
export const connectionId = (value: string): Parsed<number> =>
  isDigits(value) && Number(value) <= 0xffffffff
    ? Result.succeed(Number(value))
    : Result.fail(CliError.invalidArgument(`invalid connection ID: ${numberProblem(value)}`))

/** The positional at `index`, or the usage of the command. */
export const positional = (
  command: Pick<Command, "name" | "usage" | "flags">,
  input: Input,
  index: number
): Parsed<string> => {
  const value = input.positionals[index]
  return value === undefined ? Result.fail(missing(command)) : Result.succeed(value)
}

/** `usage: pilotctl …`, answered for a missing argument (cli §1.2). */
export const missing = (command: Pick<Command, "name" | "usage" | "flags">): CliError.CliError =>
  CliError.invalidArgument(`usage: ${usageLine(command)}`)

const unsigned = (what: string, value: string, max: number): Parsed<number> =>
  isDigits(value) && Number(value) <= max
    ? Result.succeed(Number(value))
    : Result.fail(CliError.invalidArgument(`invalid ${what} "${value}": ${numberProblem(value)}`))

const isDigits = (value: string): boolean => /^[0-9]{1,20}$/.test(value)

/** The wording of the reference's number parser, which its users know (cli §4, §8). */
const numberProblem = (value: string): string =>
  `strconv.ParseUint: parsing ${JSON.stringify(value)}: ${/^[0-9]+$/.test(value) ? "value out of range" : "invalid syntax"}`

const COUNT_MAX = 0x7fffffff

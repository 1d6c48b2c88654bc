/** The rules about single calls as the flags of `mcp expose` say them: which wait for a person, how long they may take (mcp §6.10). */
import { Duration, Result } from "effect"
import * as DurationText from "../../core/data/DurationText.ts"
import type { JsonObject } from "../../core/data/Json.ts"
import * as Policy from "../../protocol/relay/Policy.ts"
import * as ToolPattern from "../../protocol/relay/ToolPattern.ts"
import * as CliError from "../CliError.ts"
import type { Input } from "../Command.ts"
import * as Values from "../Values.ts"

/** The patterns of a flag. */
export const patterns = (input: Input, flag: string): Result.Result<ReadonlyArray<string>, CliError.CliError> => {
  const texts = Values.texts(input, flag).flatMap(ToolPattern.split)
  const wrong = texts.find((text) => ToolPattern.parse(text) === undefined)
  return wrong === undefined
    ? Result.succeed(texts)
    : Result.fail(
        CliError.invalidArgument(
          `invalid --${flag} ${JSON.stringify(wrong)}`,
          "'read_*', '!write_*' or 'read(path=a/*)'"
        )
      )
}

/** Which calls wait for a person, and for how long; an empty `--ask` takes the rule away. */
export const asked = (
  input: Input,
  before: Pick<Policy.Rules, "ask" | "askMs">
): Values.Parsed<Pick<Policy.Rules, "ask" | "askMs">> =>
  Result.gen(function* () {
    const given = yield* patterns(input, "ask")
    const ask = input.flags.has("ask") ? given : (before.ask ?? [])
    if (ask.length === 0) {
      if (!input.flags.has("ask-for")) return {}
      return yield* Result.fail(
        CliError.invalidArgument("--ask-for waits for nothing without --ask", "--ask 'write_*'")
      )
    }
    const askMs = input.flags.has("ask-for")
      ? Duration.toMillis(yield* Values.duration(input, "ask-for", 0))
      : before.askMs
    if (askMs !== undefined && !(askMs >= ASK_MIN_MS && askMs <= Policy.ASK_MAX_MS)) {
      return yield* Result.fail(CliError.invalidArgument("--ask-for is a second at least, and a day at most", "10m"))
    }
    return { ask, ...(askMs === undefined ? {} : { askMs: Math.round(askMs) }) }
  })

/** How long calls may take; `--deadline 0` takes all of it away. */
export const deadlines = (input: Input, before: Policy.Rules["deadlines"]): Values.Parsed<Policy.Rules["deadlines"]> =>
  Result.gen(function* () {
    if (!input.flags.has("deadline")) return before
    const found: Array<Policy.Deadline> = []
    for (const text of Values.texts(input, "deadline")) {
      const equals = text.lastIndexOf("=")
      const tools = equals < 0 ? "*" : text.slice(0, equals).trim()
      const duration = DurationText.parse(text.slice(equals + 1).trim())
      const pattern = ToolPattern.parse(tools)
      const ms = duration === undefined ? Number.NaN : Math.round(Duration.toMillis(duration))
      if (text === "0") continue
      if (pattern === undefined || pattern.isDenial || pattern.args.length > 0) return yield* wrong(text)
      if (!(ms >= Policy.DEADLINE_MIN_MS && ms <= Policy.DEADLINE_MAX_MS)) return yield* wrong(text)
      found.push({ tools, ms })
    }
    if (found.length > Policy.DEADLINES_MAX) return yield* wrong(`${found.length} deadlines`)
    return found.length === 0 ? undefined : found
  })

/** These rules as data. */
export const row = (rules: Policy.Rules | undefined): JsonObject => ({
  ask: rules?.ask ?? [],
  ask_for_ms: rules?.askMs ?? null,
  deadlines: (rules?.deadlines ?? []).map(({ ms, tools }) => ({ tools, ms }))
})

/** These rules in lines. */
export const lines = ({ ask = [], askMs, deadlines: some = [] }: Policy.Rules): ReadonlyArray<string> => [
  ...(ask.length === 0
    ? []
    : [`  asks     you before ${ask.join(" ")}${askMs === undefined ? "" : `, for ${shown(askMs)}`}`]),
  ...some.map(({ ms, tools }) => `  deadline ${shown(ms)}${tools === "*" ? "" : ` for ${tools}`}`)
]

const shown = (ms: number): string => DurationText.format(Duration.millis(ms))

const wrong = (text: string): Result.Result<never, CliError.CliError> =>
  Result.fail(
    CliError.invalidArgument(
      `invalid --deadline ${JSON.stringify(text)}`,
      "30s, or 'report_*=10m' for some tools; from 100ms to 24h"
    )
  )

const ASK_MIN_MS = 1000

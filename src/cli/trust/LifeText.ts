/** `--expires`: how long something is good for, for every command that makes what others hold. */
import { Duration, Effect } from "effect"
import * as DurationText from "../../core/data/DurationText.ts"
import * as CliError from "../CliError.ts"
import type { Input } from "../Command.ts"
import * as Values from "../Values.ts"

/** Whole seconds, one at least; days are understood beside what durations are. */
export const seconds = (input: Input, orElse: string): Effect.Effect<number, CliError.CliError> => {
  const text = Values.text(input, "expires") ?? orElse
  const days = /^(\d{1,3})d$/.exec(text)
  const life = days === null ? DurationText.parse(text) : Duration.days(Number(days[1]))
  const found = life === undefined ? 0 : Math.floor(Duration.toSeconds(life))
  return found >= 1
    ? Effect.succeed(found)
    : Effect.fail(CliError.invalidArgument(`invalid --expires "${text}"`, "like 24h, 90m or 7d"))
}

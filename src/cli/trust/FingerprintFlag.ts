/** `--fingerprint`: a key as its owner told it, for every command that shows one (security rule 1). */
import { Effect } from "effect"
import * as Fingerprint from "../../protocol/trust/Fingerprint.ts"
import * as CliError from "../CliError.ts"
import type { Flag, Input } from "../Command.ts"
import * as Values from "../Values.ts"

/** The flag as commands list it. */
export const FLAG: Flag = {
  name: "fingerprint",
  value: "text",
  placeholder: "fpr",
  summary: "the key fingerprint as its owner told it; another key is refused"
}

/** What was typed, in the form that is shown; `undefined` if the flag was not given. */
export const read = (input: Input): Effect.Effect<string | undefined, CliError.CliError> => {
  const typed = Values.text(input, FLAG.name)
  return typed === undefined ? Effect.undefined : parse(typed)
}

/** A whole fingerprint in the form that is shown. */
export const parse = (typed: string): Effect.Effect<string, CliError.CliError> => {
  const fingerprint = Fingerprint.parse(typed)
  return fingerprint === undefined
    ? Effect.fail(
        CliError.invalidArgument(
          `not a fingerprint: ${typed}`,
          "eight groups of four characters, as `pilotctl info` prints them"
        )
      )
    : Effect.succeed(fingerprint)
}

/** Refuses a shown key that is not the one that was typed. */
export const compare = (
  typed: string | undefined,
  shown: string,
  whose: string
): Effect.Effect<void, CliError.CliError> =>
  typed === undefined || typed === shown
    ? Effect.void
    : Effect.fail(
        CliError.make(
          "key_changed",
          `${whose} shows the key ${shown}, not ${typed}`,
          "ask its owner for the fingerprint again, on another way than this network; until then trust nothing it says"
        )
      )

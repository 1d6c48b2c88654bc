/** `pilotctl find --capability WORDS`: who on the network offers what is looked for. */
import { Effect } from "effect"
import type * as CliError from "../CliError.ts"
import { type Environment, type Flag, type Input, type Output, output } from "../Command.ts"
import * as Values from "../Values.ts"

/** What makes `find` look for services instead of a name. */
export const FLAGS: ReadonlyArray<Flag> = [
  {
    name: "capability",
    value: "text",
    placeholder: "words",
    summary: 'services that can do something, the best first: "read csv"',
    repeats: true
  },
  {
    name: "schema",
    value: "text",
    placeholder: "json",
    summary: "a JSON Schema of the arguments you have; services whose tools take them"
  },
  { name: "limit", value: "number", summary: "how many services (default: 10)" },
  { name: "trusted-only", value: "boolean", summary: "ask trusted peers and not the registry" }
]

/** Whether services are looked for. */
export const isGiven = (input: Input): boolean => input.flags.has("capability") || input.flags.has("schema")

/** Looks for services. */
export const run = Effect.fnUntraced(function* (
  input: Input
): Effect.fn.Return<Output, CliError.CliError, Environment> {
  const words = [...Values.texts(input, "capability"), ...input.positionals].join(" ")
  const limit = yield* Effect.fromResult(Values.count(input, "limit", 10))
  const FindServices = yield* Effect.promise(() => import("./FindServices.ts"))
  const answer = yield* FindServices.search({
    words,
    schema: Values.text(input, "schema"),
    limit: Math.max(1, limit),
    includePublic: Values.boolean(input, "trusted-only") !== true
  })
  return output(FindServices.row(answer), FindServices.lines(answer, words).join("\n"))
})

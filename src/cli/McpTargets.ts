/** Which service a command means: `PEER/NAME`, several peers that expose the same one, or `--capability WORDS`. */
import { Effect } from "effect"
import * as Instances from "../actors/mcp/mount/Instances.ts"
import * as Target from "../actors/mcp/Target.ts"
import type { Crypto } from "../core/crypto/Crypto.ts"
import { instances } from "../protocol/directory/FoundService.ts"
import * as CliError from "./CliError.ts"
import type { Environment, Input } from "./Command.ts"
import * as McpConnect from "./McpConnect.ts"
import * as Values from "./Values.ts"

/** What the words mean, or what is found for the flag, the best first. */
export const of = Effect.fnUntraced(function* (
  words: ReadonlyArray<string>,
  input: Input
): Effect.fn.Return<Target.Targets, CliError.CliError, Environment> {
  const capability = Values.texts(input, "capability").join(" ").trim()
  if (capability === "") {
    const targets = Target.parseInstances(words.join(","))
    return targets ?? (yield* CliError.invalidArgument(NO_NAME(words), `${NAMES}, or --capability WORDS`))
  }
  if (words.length > 0) return yield* CliError.invalidArgument("--capability stands in place of PEER/NAME")
  const FindServices = yield* Effect.promise(() => import("./FindServices.ts"))
  const question = { words: capability, schema: undefined, limit: FOUND_MAX, includePublic: false }
  const { found, problems } = yield* Effect.scoped(FindServices.search(question))
  const texts = instances(found)
    .slice(0, Target.INSTANCES_MAX)
    .map(({ target }) => target)
  const targets = Target.parseInstances(texts.join(","))
  if (targets !== undefined) return targets
  const [problem] = problems
  return yield* CliError.make(
    "not_found",
    `no service that this node may use was found for ${JSON.stringify(capability)}` +
      (problem === undefined ? "" : `; node ${problem.node}: ${problem.detail}`),
    `pilotctl find --capability ${JSON.stringify(capability)}`
  )
})

/** The one service that a text names. */
export const one = (text: string): Effect.Effect<Target.Target, CliError.CliError> => {
  const target = Target.parse(text)
  return target === undefined ? CliError.invalidArgument(NO_NAME([text])) : Effect.succeed(target)
}

/** Their instances, dialled through the daemon and measured in the surrounding scope. */
export const open = (
  targets: Target.Targets
): Effect.Effect<Instances.Instances<unknown>, never, Environment | Crypto> =>
  Effect.flatMap(McpConnect.environment, (context) =>
    Instances.make<unknown>(targets, (target) => Effect.provideContext(McpConnect.dial(target), context))
  )

const NO_NAME = (words: ReadonlyArray<string>): string =>
  words.length === 0 ? "PEER/NAME is missing" : `${JSON.stringify(words.join(" "))} is not PEER/NAME`

const NAMES = `PEER/NAME, or up to ${Target.INSTANCES_MAX} of them that are the same service`
/** Services that fit, of which those that may be used are looked at. */
const FOUND_MAX = 64

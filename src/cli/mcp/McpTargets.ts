/** Which service a command means: `PEER/NAME`, several peers that expose the same one, or `--capability WORDS`. */
import { Effect } from "effect"
import * as CapableInstances from "../../actors/mcp/mount/CapableInstances.ts"
import * as Instances from "../../actors/mcp/mount/Instances.ts"
import * as Target from "../../actors/mcp/Target.ts"
import type { Crypto } from "../../core/crypto/Crypto.ts"
import { instances } from "../../protocol/directory/FoundService.ts"
import * as CliError from "../CliError.ts"
import type { Environment, Input } from "../Command.ts"
import * as Values from "../Values.ts"
import * as McpConnect from "./McpConnect.ts"

/** What the words mean, or what is found for the flag, the best first; `patienceMs` is that of `CapableInstances.first`. */
export const of = Effect.fnUntraced(function* (
  words: ReadonlyArray<string>,
  input: Input,
  patienceMs = 0
): Effect.fn.Return<Target.Targets, CliError.CliError, Environment> {
  const capability = capabilityOf(input)
  if (capability === "") {
    const targets = Target.parseInstances(words.join(","))
    return targets ?? (yield* CliError.invalidArgument(NO_NAME(words), `${NAMES}, or --capability WORDS`))
  }
  if (words.length > 0)
    return yield* CliError.invalidArgument("--capability stands in place of PEER/NAME", "give one of the two")
  const { found, problems } = yield* CapableInstances.first(search(capability), patienceMs)
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

/** The one service that a value of that flag names. */
export const one = (flag: string, text: string): Effect.Effect<Target.Target, CliError.CliError> => {
  const target = Target.parse(text)
  return target === undefined
    ? CliError.invalidArgument(
        `invalid --${flag} ${JSON.stringify(text)}`,
        "PEER/NAME, as pilotctl mcp tools shows them"
      )
    : Effect.succeed(target)
}

/**
 * Their instances, dialled through the daemon and measured in the surrounding scope. Those that `input` has a capability for are
 * joined by whoever offers the same later, and left by who takes it back.
 */
export const open = (
  targets: Target.Targets,
  input?: Input
): Effect.Effect<Instances.Instances<unknown>, never, Environment | Crypto> =>
  Effect.gen(function* () {
    const context = yield* McpConnect.environment
    const dial = (target: Target.Target) => Effect.provideContext(McpConnect.dial(target), context)
    const capability = input === undefined ? "" : capabilityOf(input)
    if (capability === "") return yield* Instances.make<unknown>(targets, dial)
    return yield* CapableInstances.make<unknown>(targets, dial, Effect.provideContext(search(capability), context))
  })

const capabilityOf = (input: Input): string => Values.texts(input, "capability").join(" ").trim()

const search = Effect.fnUntraced(function* (words: string) {
  const FindServices = yield* Effect.promise(() => import("./FindServices.ts"))
  const question = { words, schema: undefined, limit: FOUND_MAX, includePublic: false }
  return yield* Effect.scoped(FindServices.search(question))
})

const NO_NAME = (words: ReadonlyArray<string>): string =>
  words.length === 0 ? "PEER/NAME is missing" : `${JSON.stringify(words.join(" "))} is not PEER/NAME`

const NAMES = `PEER/NAME, or up to ${Target.INSTANCES_MAX} of them that are the same service`
/** A mount waits so long at its start for peers that it could use: less than clients wait for a server that starts. */
export const MOUNT_PATIENCE_MS = 15_000
/** Services that fit, of which those that may be used are looked at. */
const FOUND_MAX = 64

/** Plays an example: `npm run example -- NAME [SEED]`. */
import { NodeRuntime, NodeServices } from "@effect/platform-node"
import { Console, Effect, Runtime, Schema, type Scope } from "effect"
import { SimNet } from "effect-pilot/testing"
import * as a2a from "./a2a/play.ts"
import * as research from "./research/play.ts"
import * as delegation from "./teams/delegation.ts"
import * as monitoring from "./teams/monitoring.ts"
import * as pipeline from "./teams/pipeline.ts"
import * as reports from "./teams/reports.ts"
import * as swarm from "./teams/swarm.ts"

interface Team {
  readonly SHOWS: string
  readonly play: (net: SimNet.SimNet) => Effect.Effect<ReadonlyArray<string>, Error, Scope.Scope>
}

/** On a simulated network in this process, on virtual time; the lines are what came of it. */
const teams: Readonly<Record<string, Team>> = { delegation, monitoring, pipeline, reports, swarm }
/** With nodes and programs in processes of their own, which tell what they do. */
const programs: Readonly<Record<string, typeof a2a | typeof research>> = { a2a, research }

/** It is not known what to play. */
class UsageError extends Schema.TaggedError<UsageError>()("UsageError", {
  code: Schema.Literals(["unknown_example", "invalid_argument"]),
  message: Schema.String,
  hint: Schema.String
}) {
  override readonly [Runtime.errorReported] = false
}

const shows = { ...teams, ...programs }
const names = Object.keys(shows).sort()

const main = Effect.gen(function* () {
  const [name, seed = "1", ...more] = process.argv.slice(2)
  if (name === undefined || name === "--help") return yield* list
  if (!names.includes(name))
    return yield* new UsageError({
      code: "unknown_example",
      message: `there is no example ${JSON.stringify(name)}`,
      hint: `npm run example -- NAME, one of ${names.join(", ")}`
    })
  if (!/^\d{1,9}$/.test(seed) || more.length > 0)
    return yield* new UsageError({
      code: "invalid_argument",
      message: `${JSON.stringify([seed, ...more].join(" "))} is no seed`,
      hint: `npm run example -- ${name} 42`
    })
  yield* Console.log(`${name}: ${shows[name]?.SHOWS}`)
  const program = programs[name]
  if (program !== undefined) return yield* program.play
  const team = teams[name]
  if (team === undefined) return
  yield* Console.log(`  on a simulated network, seed ${seed}\n`)
  const lines = yield* SimNet.run({ seed: Number(seed) }, team.play)
  for (const line of lines) yield* Console.log(`  ${line}`)
})

const list = Effect.gen(function* () {
  yield* Console.log("npm run example -- NAME [SEED]\n")
  for (const name of names) yield* Console.log(`  ${name.padEnd(12)}${shows[name]?.SHOWS}`)
})

main.pipe(
  Effect.tapError((error) =>
    error instanceof UsageError
      ? Console.error(`error: ${error.message} (${error.code})\nhint:  ${error.hint}`)
      : Effect.void
  ),
  Effect.provide(NodeServices.layer),
  NodeRuntime.runMain
)

/** Plays an example on a simulated network, in this process: `npm run example -- NAME`. */
import { NodeRuntime } from "@effect/platform-node"
import { Console, Effect } from "effect"
import { SimNet } from "effect-pilot/testing"
import * as delegation from "./delegation.ts"
import * as monitoring from "./monitoring.ts"
import * as pipeline from "./pipeline.ts"
import * as reports from "./reports.ts"
import * as swarm from "./swarm.ts"

const [name = "", seed = "1"] = process.argv.slice(2)
const options = { seed: Number(seed) }
const plays = {
  delegation: SimNet.run(options, delegation.play),
  monitoring: SimNet.run(options, monitoring.play),
  pipeline: SimNet.run(options, pipeline.play),
  reports: SimNet.run(options, reports.play),
  swarm: SimNet.run(options, swarm.play)
}

Effect.gen(function* () {
  const chosen = Object.entries(plays).find(([known]) => known === name)?.[1]
  if (chosen === undefined) return yield* Console.error(`npm run example -- ${Object.keys(plays).join(" | ")}`)
  const lines = yield* chosen
  for (const line of lines) yield* Console.log(line)
}).pipe(NodeRuntime.runMain)

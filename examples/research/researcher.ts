/** The research agent beside the daemon of its user: `node researcher.ts DATABASE`. `models.ts` says how a real model is chosen. */
import { NodeRuntime } from "@effect/platform-node"
import { Console, Layer } from "effect"
import { FetchHttpClient } from "effect/http"
import { Pilot } from "effect-pilot"
import * as models from "./models.ts"
import { researcher } from "./Research.ts"

const [database = "papers.db"] = process.argv.slice(2)

Layer.effectDiscard(Console.log("research is served")).pipe(
  Layer.provideMerge(researcher(database)),
  Layer.provide(Pilot.layerDaemon()), // or Pilot.layer({ hostname: "researcher" }): the same program with a node of its own
  Layer.provide(models.fromEnvironment),
  Layer.provide(FetchHttpClient.layer),
  Layer.launch,
  NodeRuntime.runMain
)

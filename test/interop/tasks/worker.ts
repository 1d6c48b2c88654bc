/**
 * The program that does the tasks of `TaskCrashes`: writes down each attempt before it begins with it, so that whoever kills it
 * at whatever line can be held against what came back. `JOURNAL` names the file, `PILOT_HOME` the daemon's state directory.
 */
import { appendFileSync } from "node:fs"
import { NodeRuntime } from "@effect/platform-node"
import { Effect, Layer } from "effect"
import { Pilot, Tasks } from "effect-pilot"
import { Twice } from "./Twice.ts"

const { JOURNAL = "/dev/null" } = process.env

Tasks.serve(
  Twice,
  Effect.fnUntraced(function* ({ number, workMs }, job) {
    yield* Effect.sync(() => appendFileSync(JOURNAL, `${job.id} ${job.attempt}\n`))
    yield* Effect.sleep(workMs)
    return { twice: 2 * number, attempt: job.attempt }
  }),
  // Killed and started again under its name, it has its tasks back at once; a lease is short for when only the daemon comes back.
  { concurrency: 4, worker: "crashing", lease: "3 seconds" }
).pipe(Layer.provide(Pilot.layerDaemon()), Layer.launch, NodeRuntime.runMain)

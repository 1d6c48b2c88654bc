/** The task that this example shares out: a report in three steps, none of which is done twice. */
import { appendFileSync } from "node:fs"
import { Effect, Schema } from "effect"
import { Activity } from "effect/workflow"
import { Tasks } from "effect-pilot"

/** What a peer asks for. */
export const Report = Tasks.make("report", {
  input: Schema.Struct({ city: Schema.NonEmptyString }),
  progress: Schema.String,
  output: Schema.Struct({ text: Schema.String })
})

/** A step of the work: what it finished with is kept, and it does not run again. `JOURNAL` names a file that tells who did it. */
const step = (name: string, city: string, result: string) =>
  Activity.make({
    name,
    success: Schema.String,
    execute: Effect.gen(function* () {
      yield* Effect.sleep("400 millis")
      const { JOURNAL = "/dev/null", MACHINE = "?" } = process.env
      yield* Effect.sync(() => appendFileSync(JOURNAL, `${city} ${name} ${MACHINE}\n`))
      return result
    })
  })

/** How it is done, on whichever machine. */
export const Reporting = Tasks.workflow(
  Report,
  Effect.fnUntraced(function* ({ city }, job) {
    const facts = yield* step("collect", city, `facts of ${city}`)
    yield* job.progress("collected")
    const draft = yield* step("write", city, `a report on the ${facts}`)
    yield* job.progress("written")
    return { text: yield* step("check", city, draft) }
  })
)

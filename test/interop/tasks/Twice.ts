/** The kind of task that both programs of `TaskCrashes` know. */
import { Schema } from "effect"
import { Tasks } from "effect-pilot"

/** Twice a number, after so long, and which attempt says so. */
export const Twice = Tasks.make("twice", {
  input: Schema.Struct({ number: Schema.Int, workMs: Schema.Int }),
  output: Schema.Struct({ twice: Schema.Int, attempt: Schema.Int })
})

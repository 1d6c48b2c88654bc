/** One run of `tasks.mjs` in a process of its own: `tasks-worker.ts <crashes> <seed>`. Status 1 if a promise broke. */
import { Effect } from "effect"
import * as TaskCrashes from "../../test/interop/tasks/TaskCrashes.ts"

const [crashes = 25, seed = 1] = process.argv.slice(2).map(Number)

const outcome = await Effect.runPromise(TaskCrashes.run({ crashes, seed }))
const { acknowledged, begun, problems, settledMs } = outcome
const seconds = (settledMs / 1_000).toFixed(1)
process.stdout.write(
  `seed ${seed}: ${outcome.crashes} crashes, ${acknowledged} tasks in ${begun} attempts, the last ${seconds} s after the last crash\n`
)
for (const problem of problems) process.stdout.write(`${problem}\n`)
process.exit(problems.length === 0 ? 0 : 1)

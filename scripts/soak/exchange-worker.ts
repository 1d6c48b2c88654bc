/** One run of `exchange.mjs` in a process of its own: `exchange-worker.ts <crashes> <bytes> <seed>`. Status 1 if a promise broke. */
import { Effect } from "effect"
import * as ExchangeCrashes from "../../test/interop/exchange/ExchangeCrashes.ts"

const [crashes = 10, totalBytes = 64 << 20, seed = 1] = process.argv.slice(2).map(Number)

const outcome = await Effect.runPromise(ExchangeCrashes.run({ crashes, totalBytes, seed }))
const { acknowledgedFiles, acknowledgedMessages, problems } = outcome
process.stdout.write(`${outcome.crashes} crashes, ${acknowledgedMessages} messages, ${acknowledgedFiles} files\n`)
for (const problem of problems) process.stdout.write(`${problem}\n`)
process.exit(problems.length === 0 ? 0 : 1)

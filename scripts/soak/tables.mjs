/** The tables of congestion control that take minutes: late starts at 100 Mbit/s, and the grid of all pairs and starts. */
import { spawn } from "node:child_process"
import { once } from "node:events"
import { join } from "node:path"

export const name = "tables"
export const summary = "fairness of the congestion controllers, every pair and start, in virtual time"
export const options = {}

export const run = async () => {
  const root = join(import.meta.dirname, "../..")
  const vitest = join(root, "node_modules/vitest/vitest.mjs")
  const child = spawn(process.execPath, [vitest, "run", "test/protocol/stream/Throughput.test.ts"], {
    cwd: root,
    env: { ...process.env, PILOT_FULL_TABLES: "1" },
    stdio: "inherit"
  })
  const [code] = await once(child, "exit")
  return { passed: code === 0, summary: code === 0 ? "as recorded" : "differs from what is recorded" }
}

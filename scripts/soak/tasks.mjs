/** Tasks while what does them is killed: whole nodes in the simulator, and processes. What was acknowledged is done, once. */
import { spawn } from "node:child_process"
import { fileURLToPath } from "node:url"

export const name = "tasks"
export const summary = "either side of a flow of tasks loses power; what was acknowledged is done, once"
export const options = {
  crashes: [500, "how often in the simulator"],
  kills: [500, "how often kill -9 of a daemon or the worker, as processes"],
  seed: [1, "of the first processes"]
}

export const run = async ({ crashes, kills, seed }) => {
  const test = ["node_modules/vitest/vitest.mjs", "run", "test/sim/TaskCrashes.test.ts"]
  let passed = crashes === 0 || (await child(test, { TASK_SIM_CRASHES: String(crashes) }))
  const worker = fileURLToPath(new URL("tasks-worker.ts", import.meta.url))
  for (let done = 0; done < kills; done += PER_RUN) {
    const count = Math.min(PER_RUN, kills - done)
    passed = (await child([worker, String(count), String(seed + done / PER_RUN)])) && passed
  }
  return { passed, summary: `${crashes} + ${kills} crashes, ${passed ? "nothing lost or doubled" : "see above"}` }
}

const child = (words, variables = {}) =>
  new Promise((resolve) => {
    const started = spawn(process.execPath, words, { env: { ...process.env, ...variables }, stdio: "inherit" })
    started.on("close", (code) => resolve(code === 0))
  })

/** A network of its own for each so many. */
const PER_RUN = 50

/** Tasks while both ends lose power, in the simulator. */
import { spawn } from "node:child_process"

export const name = "tasks"
export const summary = "either side of a flow of tasks loses power; what was acknowledged is done, once"
export const options = { crashes: [500, "how many crashes"] }

export const run = ({ crashes }) =>
  new Promise((resolve) => {
    const test = ["node_modules/vitest/vitest.mjs", "run", "test/sim/TaskCrashes.test.ts"]
    const child = spawn(process.execPath, test, {
      env: { ...process.env, TASK_SIM_CRASHES: String(crashes) },
      stdio: "inherit"
    })
    child.on("close", (code) =>
      resolve({
        passed: code === 0,
        summary: `${crashes} crashes, ${code === 0 ? "nothing lost or doubled" : "see above"}`
      })
    )
  })

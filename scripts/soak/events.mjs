/** Events between processes while daemons, publishers' nodes and subscribers are killed, again and again. */
import { spawn } from "node:child_process"

export const name = "events"
export const summary = "kill -9 of either side during an event flow; what was acknowledged is heard"
export const options = { crashes: [200, "how many crashes"] }

export const run = ({ crashes }) =>
  new Promise((resolve) => {
    const test = ["node_modules/vitest/vitest.mjs", "run", "test/interop/events/events.test.ts"]
    const child = spawn(process.execPath, test, {
      env: { ...process.env, EVENT_CRASHES: String(crashes) },
      stdio: "inherit"
    })
    child.on("close", (code) =>
      resolve({ passed: code === 0, summary: `${crashes} crashes, ${code === 0 ? "nothing lost" : "see above"}` })
    )
  })

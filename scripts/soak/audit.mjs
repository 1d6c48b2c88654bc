/** A daemon's audit log while the daemon is killed, again and again. */
import { spawn } from "node:child_process"

export const name = "audit"
export const summary = "kill -9 of a node that writes its audit log; what was there is there and verifies"
export const options = { crashes: [100, "how many crashes"] }

export const run = ({ crashes }) =>
  new Promise((resolve) => {
    const test = [
      "node_modules/vitest/vitest.mjs",
      "run",
      "test/interop/cli/Crashes.test.ts",
      "-t",
      "the audit log: kill"
    ]
    const child = spawn(process.execPath, test, {
      env: { ...process.env, AUDIT_CRASHES: String(crashes) },
      stdio: "inherit"
    })
    child.on("close", (code) =>
      resolve({ passed: code === 0, summary: `${crashes} crashes, ${code === 0 ? "nothing lost" : "see above"}` })
    )
  })

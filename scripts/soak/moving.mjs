/**
 * Ways that die, come back and change under files and calls, between daemons on hosts of their own, round after round: each is
 * `test/netns/Moving.test.ts` with fresh daemons. Needs Linux, root, iproute2 and nftables.
 */
import { spawn } from "node:child_process"
import { join } from "node:path"

export const name = "moving"
export const summary =
  "paths that die and hosts that change their network, under files of 50 MB and MCP calls (needs root)"
export const options = { rounds: [20, "how often"] }

export const run = async ({ rounds }) => {
  let failed = 0
  for (let round = 1; round <= rounds; round++) {
    const { code, output } = await play()
    if (code !== 0) {
      failed++
      console.log(`round ${round} FAILED:\n${output}`)
    } else console.log(`round ${round} of ${rounds} passed`)
  }
  return { passed: failed === 0, summary: `${rounds - failed} of ${rounds} rounds passed` }
}

const play = () =>
  new Promise((resolve) => {
    const root = join(import.meta.dirname, "..", "..")
    const vitest = join(root, "node_modules", "vitest", "vitest.mjs")
    // With `CI` a machine that cannot do it fails, and does not leave it out.
    const child = spawn(process.execPath, [vitest, "run", "test/netns/Moving.test.ts"], {
      cwd: root,
      env: { ...process.env, CI: "true" },
      stdio: ["ignore", "pipe", "pipe"]
    })
    let output = ""
    for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk) => (output += chunk))
    child.on("close", (code) => resolve({ code, output }))
  })

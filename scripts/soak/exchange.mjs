/**
 * Messages and files between two daemons of which one or the other is killed again and again: what was acknowledged is
 * there, once and whole.
 */
import { spawn } from "node:child_process"
import { fileURLToPath } from "node:url"

export const name = "exchange"
export const summary = "kill -9 of either side during transfers and messages"
export const options = {
  crashes: [200, "how often"],
  size: [1024, "MiB of files in all"],
  seed: [1, "decides who is killed, and when"]
}

export const run = async ({ crashes, seed, size }) => {
  const worker = fileURLToPath(new URL("exchange-worker.ts", import.meta.url))
  const args = [worker, crashes, size * 1_048_576, seed].map(String)
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] })
  let output = ""
  child.stdout.on("data", (chunk) => {
    output += chunk
    process.stdout.write(chunk)
  })
  const code = await new Promise((resolve) => child.on("close", resolve))
  return { passed: code === 0, summary: `seed ${seed}, ${output.split("\n")[0] || "no result"}` }
}

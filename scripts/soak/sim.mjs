/** The mixed scenario of `test/sim`, seed after seed, on all cores. */
import { fork } from "node:child_process"
import { availableParallelism } from "node:os"
import { join } from "node:path"

export const name = "sim"
export const summary = "the mixed scenario of the simulator, from many seeds"
export const options = {
  seeds: [10_000, "how many seeds"],
  from: [1, "the first one"],
  jobs: [availableParallelism(), "processes"]
}

export const run = ({ from, jobs, seeds }) =>
  new Promise((resolve) => {
    let next = from
    let done = 0
    let running = 0
    const failures = []

    const finished = () => {
      running--
      if (running > 0) return
      for (const { error, seed } of failures) {
        console.log(`\nseed ${seed}: ${error}\n  again: npm run soak -- sim --from ${seed} --seeds 1`)
      }
      const failed = failures.map(({ seed }) => seed).join(" ")
      resolve({
        passed: failures.length === 0,
        summary: `${done - failures.length} of ${done} seeds passed${failed === "" ? "" : `; failed: ${failed}`}`
      })
    }

    const report = (seed, error) => {
      done++
      if (error !== undefined) {
        failures.push({ seed, error })
        console.log(`seed ${seed} FAILED: ${error.split("\n")[0]}`)
      }
      if (done % PROGRESS_SEEDS === 0) console.log(`${done} of ${seeds} seeds, ${failures.length} failed`)
    }

    /** One process plays seeds until there are none; one that dies or hangs costs its seed only. */
    const start = () => {
      const worker = fork(join(import.meta.dirname, "sim-worker.ts"), { stdio: ["ignore", "ignore", "ignore", "ipc"] })
      let seed
      let timer
      const give = () => {
        clearTimeout(timer)
        if (next >= from + seeds) {
          seed = undefined
          return worker.disconnect()
        }
        seed = next++
        timer = setTimeout(() => worker.kill("SIGKILL"), PATIENCE_MS)
        worker.send(seed)
      }
      worker.on("message", (message) => {
        if (seed !== undefined) report(seed, message.error)
        give()
      })
      worker.on("exit", () => {
        clearTimeout(timer)
        if (seed === undefined) return finished()
        report(seed, `the process ended, or did not end within ${PATIENCE_MS / 60_000} minutes`)
        running--
        start()
      })
      running++
    }
    for (let index = 0; index < Math.max(1, Math.min(jobs, seeds)); index++) start()
  })

const PROGRESS_SEEDS = 50
/** A seed takes seconds. */
const PATIENCE_MS = 600_000

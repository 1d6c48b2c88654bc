/** Plays a scenario of the simulator, seed after seed, on all cores. */
import { fork } from "node:child_process"
import { join } from "node:path"

/**
 * `part` is the part's name, `worker` a file in this directory that plays the seeds it is sent. What a seed answers besides
 * `error` is given to `heard`.
 */
export const play = ({ from, heard = () => {}, jobs, part, seeds, worker }) =>
  new Promise((resolve) => {
    let next = from
    let end = from + seeds
    let done = 0
    let running = 0
    const failures = []

    /** Ctrl-C: what was begun is played to its end, and what was found is said. */
    const stopped = () => {
      if (end === next) process.exit(130)
      end = next
      console.log("stopping after the seeds that are being played …")
    }
    process.on("SIGINT", stopped)

    const finished = () => {
      running--
      if (running > 0) return
      process.off("SIGINT", stopped)
      if (end < from + seeds)
        console.log(`\nto go on: npm run soak -- ${part} --from ${end} --seeds ${from + seeds - end}`)
      for (const { error, seed } of failures) {
        console.log(`\nseed ${seed}: ${error}\n  again: npm run soak -- ${part} --from ${seed} --seeds 1`)
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
      const player = fork(join(import.meta.dirname, worker), {
        stdio: ["ignore", "ignore", "ignore", "ipc"],
        // Not for the terminal's Ctrl-C, which is for this process.
        detached: true
      })
      let seed
      let timer
      const give = () => {
        clearTimeout(timer)
        if (next >= end) {
          seed = undefined
          return player.disconnect()
        }
        seed = next++
        timer = setTimeout(() => player.kill("SIGKILL"), PATIENCE_MS)
        player.send(seed)
      }
      player.on("message", (message) => {
        if (seed !== undefined) {
          report(seed, message.error)
          heard(message)
        }
        give()
      })
      player.on("exit", () => {
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

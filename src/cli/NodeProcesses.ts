/** Processes of the operating system. */
import { readFileSync } from "node:fs"
import process from "node:process"
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import { Effect, Layer } from "effect"
import * as NodeBackground from "../core/net/NodeBackground.ts"
import { CliHost } from "./CliHost.ts"
import { Processes, SpawnError } from "./Processes.ts"

/** The processes of this host. */
export const layer: Layer.Layer<Processes, never, CliHost> = Layer.effect(
  Processes,
  Effect.map(CliHost, ({ nodeOptions, nodePath, programPath }) => ({
    ownPid: process.pid,
    startAgain: (words, logPath, variables, ownOptions = []) =>
      Effect.mapError(
        NodeBackground.start(nodePath, [...ownOptions, ...nodeOptions, programPath, ...words], logPath, variables),
        ({ message }) => new SpawnError({ detail: message })
      ),
    isAlive: (pid) => Effect.sync(() => canSignal(pid) && isOurProgram(pid)),
    signal: (pid, signal) =>
      Effect.sync(() => {
        try {
          return process.kill(pid, signal)
        } catch {
          return false
        }
      }),
    endsOnSignal: Effect.sync(() => {
      process.exitCode = 0
    }),
    usage: Effect.sync(() => {
      const { system, user } = process.cpuUsage()
      return { processorMs: (system + user) / 1000, residentBytes: process.memoryUsage.rss() }
    }),
    giveMemoryBack: Effect.sync(collectAll)
  }))
)

/**
 * The only way to ask V8 for it without an option at the start. Its last resort, which it takes before it runs out of memory,
 * is the one that leaves the heap no larger than what is in it.
 */
const collectAll = (): void => {
  setFlagsFromString("--expose-gc")
  const collect: (options: object) => void = runInNewContext("gc")
  collect({ type: "major", execution: "sync", flavor: "last-resort" })
}

const canSignal = (pid: number): boolean => {
  try {
    return process.kill(pid, 0)
  } catch (error) {
    return error instanceof Error && "code" in error && error.code === "EPERM"
  }
}

/** Process ids are used again; where `/proc` tells, another program under the id in a stale file is not taken for ours. */
const isOurProgram = (pid: number): boolean => {
  try {
    return /daemon|rendezvous|keeper|pilot/.test(readFileSync(`/proc/${pid}/cmdline`, "utf8"))
  } catch {
    return true
  }
}

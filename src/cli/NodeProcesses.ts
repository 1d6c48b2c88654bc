/** Processes of the operating system. */
import { readFileSync } from "node:fs"
import process from "node:process"
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
    })
  }))
)

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

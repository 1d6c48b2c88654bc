/** Runs the command line in this process and ends it with the right exit code. */
import process from "node:process"
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as NodePath from "@effect/platform-node/NodePath"
import * as NodeStdio from "@effect/platform-node/NodeStdio"
import { Effect, Exit, Layer } from "effect"
import * as NodeLocalSocket from "../core/net/NodeLocalSocket.ts"
import * as CommandLine from "./CommandLine.ts"
import { COMMANDS } from "./CommandTable.ts"
import * as NodeCliHost from "./NodeCliHost.ts"
import * as NodeProcesses from "./NodeProcesses.ts"

/** One invocation. SIGINT and SIGTERM interrupt it, and what it has opened is closed first. */
export const main = (args: ReadonlyArray<string>): void => {
  const fiber = Effect.runFork(Effect.provide(CommandLine.run(COMMANDS, args), layer))
  const interrupt = () => fiber.interruptUnsafe()
  process.on("SIGINT", interrupt)
  process.on("SIGTERM", interrupt)
  // A reader that went away (`pilotctl peers | head`) is no failure.
  process.stdout.on("error", interrupt)
  fiber.addObserver((exit) => {
    // Whoever ends regularly on a signal has set the code (`Processes.endsOnSignal`).
    process.exit(Exit.isSuccess(exit) ? exit.value : (process.exitCode ?? INTERRUPTED))
  })
}

const layer = Layer.mergeAll(
  NodeFileSystem.layer,
  NodePath.layer,
  NodeStdio.layer,
  NodeLocalSocket.layer,
  NodeProcesses.layer.pipe(Layer.provideMerge(NodeCliHost.layer))
)

/** What shells report for a program that SIGINT ended. */
const INTERRUPTED = 130

/** Runs the command line in this process: scripted daemon and processes, a state directory of its own, captured output. */
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as NodePath from "@effect/platform-node/NodePath"
import { Deferred, Effect, Fiber, FileSystem, Layer, type Scope, Sink, Stdio, Stream } from "effect"
import { TestClock } from "effect/testing"
import { CliHost } from "../../src/cli/CliHost.ts"
import * as CommandLine from "../../src/cli/CommandLine.ts"
import { COMMANDS } from "../../src/cli/CommandTable.ts"
import { Processes } from "../../src/cli/Processes.ts"
import { LocalSocket } from "../../src/core/net/LocalSocket.ts"
import type { ModelDaemon } from "./ModelDaemon.ts"

/** What one invocation left. */
export interface Outcome {
  readonly exit: number
  readonly stdout: string
  readonly stderr: string
}

/** A user's machine. */
export interface CliRig {
  readonly home: string
  readonly socket: string
  readonly processes: ScriptedProcesses
  /** Runs one command; waits of the command take no time. */
  readonly run: (daemon: ModelDaemon, args: ReadonlyArray<string>, stdin?: string) => Effect.Effect<Outcome>
}

/** Processes that exist only here. */
export interface ScriptedProcesses {
  readonly alive: Set<number>
  readonly signals: Array<readonly [number, string]>
  readonly started: Array<ReadonlyArray<string>>
  /** Called when a background process is started; its answer is the process id. */
  start: (
    words: ReadonlyArray<string>,
    logPath: string
  ) => Effect.Effect<{ readonly pid: number; readonly exited?: true }>
}

/** A fresh machine with an empty state directory, which goes with the scope. */
export const make = (variables: Readonly<Record<string, string>> = {}): Effect.Effect<CliRig, never, Scope.Scope> =>
  Effect.gen(function* () {
    const files = yield* FileSystem.FileSystem
    const root = yield* Effect.orDie(files.makeTempDirectoryScoped({ prefix: "pilot-cli-" }))
    const socket = `${root}/s`
    const processes: ScriptedProcesses = {
      alive: new Set(),
      signals: [],
      started: [],
      start: () => Effect.die("no process was expected")
    }
    return {
      home: root,
      socket,
      processes,
      run: (daemon: ModelDaemon, args: ReadonlyArray<string>, stdin?: string) =>
        run({ root, variables: { PILOT_SOCKET: socket, ...variables }, processes }, daemon, args, stdin)
    }
  }).pipe(Effect.provide(NodeFileSystem.layer))

interface Machine {
  readonly root: string
  readonly variables: Readonly<Record<string, string>>
  readonly processes: ScriptedProcesses
}

const run = Effect.fnUntraced(function* (
  machine: Machine,
  daemon: ModelDaemon,
  args: ReadonlyArray<string>,
  stdin: string | undefined
) {
  const out: Array<string> = []
  const err: Array<string> = []
  const services = Layer.mergeAll(
    NodeFileSystem.layer,
    NodePath.layer,
    Layer.succeed(LocalSocket, daemon.local),
    Layer.succeed(Processes, processesOf(machine.processes)),
    Layer.succeed(CliHost, {
      variables: machine.variables,
      homeDirectory: machine.root,
      uid: 1000,
      effectiveUid: 1000,
      nodePath: "/node",
      programPath: "/pilotctl",
      nodeOptions: [],
      platform: "linux",
      version: "0.0.0",
      localOffsetMinutes: () => 0
    }),
    Stdio.layerTest({
      stdout: () => collect(out),
      stderr: () => collect(err),
      stdin: stdin === undefined ? Stream.empty : Stream.make(new TextEncoder().encode(stdin)),
      stdinIsTerminal: Effect.succeed(stdin === undefined)
    })
  )
  const fiber = yield* Effect.forkChild(Effect.provide(CommandLine.run(COMMANDS, args), services))
  const exit = yield* Effect.raceFirst(Fiber.join(fiber), passTime)
  yield* Effect.repeat(turn, { times: 5 })
  return { exit, stdout: out.join(""), stderr: err.join("") }
})

/** Virtual time runs as long as the command waits for it, and stands still while files are worked on, however long that takes. */
const passTime: Effect.Effect<never> = Effect.forever(
  Effect.suspend(() => Effect.andThen(turn, isReading() ? Effect.void : TestClock.adjust("50 millis")))
)

const isReading = (): boolean => process.getActiveResourcesInfo().some((kind) => kind.startsWith("FSReq"))

const turn = Effect.promise(() => new Promise<void>((resolve) => setImmediate(resolve)))

const collect = (into: Array<string>): Sink.Sink<void, string | Uint8Array> =>
  Sink.forEachArray((chunks) =>
    Effect.sync(() => {
      for (const chunk of chunks) into.push(typeof chunk === "string" ? chunk : new TextDecoder().decode(chunk))
    })
  )

const processesOf = (scripted: ScriptedProcesses): Processes["Service"] => ({
  ownPid: 1,
  startAgain: (words, logPath) =>
    Effect.gen(function* () {
      scripted.started.push(words)
      const { pid, exited } = yield* scripted.start(words, logPath)
      const gone = yield* Deferred.make<void>()
      if (exited === true) yield* Deferred.succeed(gone, undefined)
      return { pid, exited: Deferred.await(gone) }
    }),
  isAlive: (pid) => Effect.sync(() => scripted.alive.has(pid)),
  signal: (pid, signal) =>
    Effect.sync(() => {
      scripted.signals.push([pid, signal])
      return scripted.alive.delete(pid)
    }),
  endsOnSignal: Effect.void,
  usage: Effect.succeed({ processorMs: 0, residentBytes: 0 }),
  giveMemoryBack: Effect.void
})

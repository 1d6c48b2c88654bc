/** `pilotctl` in this process, against daemons that are processes: their sockets, files and ports are real, its output is captured. */
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as NodePath from "@effect/platform-node/NodePath"
import { Effect, Layer, Sink, Stdio, Stream } from "effect"
import { CliHost } from "../../src/cli/CliHost.ts"
import * as CommandLine from "../../src/cli/CommandLine.ts"
import { COMMANDS } from "../../src/cli/CommandTable.ts"
import * as NodeProcesses from "../../src/cli/NodeProcesses.ts"
import * as Json from "../../src/core/data/Json.ts"
import * as NodeLocalSocket from "../../src/core/net/NodeLocalSocket.ts"

/** What one invocation left. */
export interface Outcome {
  readonly exit: number
  readonly stdout: string
  readonly stderr: string
  /** `data` of the envelope, if standard output is one. */
  readonly data: Json.JsonObject
}

/** Standard input of an invocation: text that is piped, or what a person types, chunk by chunk. */
export type Typed = { readonly piped: string } | { readonly terminal: Stream.Stream<Uint8Array> }

/** Runs one command as the user of this state directory. */
export const run = Effect.fnUntraced(function* (
  home: string,
  args: ReadonlyArray<string>,
  typed: Typed = { piped: "" },
  print: (text: string) => void = () => {}
): Effect.fn.Return<Outcome> {
  const out: Array<Uint8Array> = []
  const err: Array<Uint8Array> = []
  const collect = (into: Array<Uint8Array>, told: (text: string) => void) =>
    Sink.forEachArray((chunks: ReadonlyArray<string | Uint8Array>) =>
      Effect.sync(() => {
        for (const chunk of chunks) {
          const bytes = typeof chunk === "string" ? Buffer.from(chunk) : chunk
          into.push(bytes)
          told(Buffer.from(bytes).toString())
        }
      })
    )
  const host = Layer.succeed(CliHost, {
    variables: { PILOT_HOME: home },
    homeDirectory: home,
    uid: process.getuid?.() ?? 0,
    effectiveUid: process.geteuid?.() ?? 0,
    nodePath: process.execPath,
    programPath: "/nonexistent",
    nodeOptions: [],
    platform: process.platform,
    version: "0.0.0",
    localOffsetMinutes: () => 0
  })
  const stdio = Stdio.layerTest({
    stdout: () => collect(out, print),
    stderr: () => collect(err, () => {}),
    stdin:
      "piped" in typed ? (typed.piped === "" ? Stream.empty : Stream.make(Buffer.from(typed.piped))) : typed.terminal,
    stdinIsTerminal: Effect.succeed("terminal" in typed)
  })
  const layer = Layer.mergeAll(
    NodeFileSystem.layer,
    NodePath.layer,
    NodeLocalSocket.layer,
    NodeProcesses.layer.pipe(Layer.provideMerge(host)),
    stdio
  )
  const exit = yield* Effect.provide(CommandLine.run(COMMANDS, args), layer)
  const stdout = Buffer.concat(out).toString()
  const data = Json.member(Json.parseObject(stdout) ?? {}, "data")
  return { exit, stdout, stderr: Buffer.concat(err).toString(), data: Json.isObject(data) ? data : {} }
})

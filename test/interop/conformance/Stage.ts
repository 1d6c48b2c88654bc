/** Two hosts of real processes: `mcp-host` exposes what a test names, `agent` uses it. */
import { Context, Effect, Layer, type Scope } from "effect"
import * as Pilotctl from "../../../examples/demo/Pilotctl.ts"
import * as PilotNetwork from "../../support/PilotNetwork.ts"
import * as PilotProcesses from "../../support/PilotProcesses.ts"

/** The state directories of both. */
export class Stage extends Context.Service<Stage, { readonly host: string; readonly agent: string }>()(
  "test/conformance/Stage"
) {}

/** The hosts, trusting each other. */
export const layer = Layer.effect(
  Stage,
  Effect.gen(function* () {
    const network = yield* PilotNetwork.make
    const [agent, host] = yield* PilotNetwork.startPair(network, "agent", "mcp-host")
    return { host: host.home, agent: agent.home }
  })
)

/**
 * Exposes a server to the agent; methods that no revision knows pass, as they do to a server asked directly, and so do many
 * clients at once, since the suite leaves some of its own behind.
 */
export const expose = Effect.fnUntraced(function* (name: string, source: ReadonlyArray<string>) {
  const { host } = yield* Stage
  yield* Pilotctl.run(host, "mcp", "expose", name, "--allow", "agent", "--transparent", "--sessions", "64", ...source)
})

/** An HTTP endpoint of the agent for that service, while the scope lives; its URL. */
export const mountHttp = Effect.fnUntraced(function* (service: string) {
  const { agent } = yield* Stage
  return yield* serving([Pilotctl.PROGRAM, ...mountCommand(service), "--http", "127.0.0.1:0", "--no-token"], agent)
})

/** The arguments of `pilotctl` that mount the service. */
export const mountCommand = (service: string): ReadonlyArray<string> => ["mcp", "mount", `mcp-host/${service}`]

/** Starts a program of Node that prints the URL it serves. */
export const serving = (args: ReadonlyArray<string>, home?: string): Effect.Effect<string, Error, Scope.Scope> =>
  Effect.gen(function* () {
    const program = yield* PilotProcesses.watch(
      process.execPath,
      args,
      home === undefined ? {} : Pilotctl.environment(home)
    )
    yield* program.printed("/mcp")
    return /http:\/\/\S+/.exec(program.output())?.[0] ?? ""
  })

/** A file of this folder, or below it. */
export const file = (path: string): string => new URL(path, import.meta.url).pathname

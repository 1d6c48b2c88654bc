/** Two hosts that trust each other, each with a gateway, and the programs of others that tests send through them. */
import * as Http from "node:http"
import type * as Net from "node:net"
import { Effect, Schema, type Scope } from "effect"
import * as Pilotctl from "../../../examples/demo/Pilotctl.ts"
import * as Json from "../../../src/core/data/Json.ts"
import * as PilotNetwork from "../../support/PilotNetwork.ts"
import * as PilotProcesses from "../../support/PilotProcesses.ts"

/** Whoever develops elsewhere may lack these programs; on machines that decide, a missing one is a failure. */
export const isPossible = process.env["CI"] !== undefined || (process.platform === "linux" && process.getuid?.() === 0)

/** A gateway that runs, and what it said when it began. */
export interface Gateway {
  readonly process: PilotProcesses.Watched
  readonly mappings: ReadonlyArray<Json.JsonObject>
}

/** Two daemons, `agent` and `mcp-host`. */
export const make = Effect.gen(function* () {
  const network = yield* PilotNetwork.make
  const [agent, host] = yield* PilotNetwork.startPair(network, "agent", "mcp-host")
  return { network, agent, host }
})

/** Starts a gateway and waits until it says what it leads to. */
export const gateway = Effect.fnUntraced(function* (
  { home }: Pick<PilotNetwork.Daemon, "home">,
  ...args: ReadonlyArray<string>
): Effect.fn.Return<Gateway, Error, Scope.Scope> {
  const words = [Pilotctl.PROGRAM, "--json", "gateway", "start", ...args]
  const started = yield* PilotProcesses.watch(process.execPath, words, Pilotctl.environment(home))
  yield* started.printed('"status":"ok"}\n')
  const line = started
    .output()
    .split("\n")
    .find((text) => text.startsWith('{"data"'))
  const { data } = Schema.decodeUnknownSync(Started)(Json.parseObject(line ?? ""))
  return { process: started, mappings: data.mappings }
})

const Started = Schema.Struct({
  data: Schema.Struct({ mappings: Schema.Array(Schema.Record(Schema.String, Schema.Json)) })
})

/** Where a gateway listens for the mapping that has this member. */
export const placeOf = ({ mappings }: Gateway, member: string): string =>
  Json.string(mappings.find((row) => Json.member(row, member) !== undefined) ?? {}, "local")

/** A server of this host until the scope ends; answers with its port. */
export const serve = (server: Net.Server): Effect.Effect<number, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.callback<number>((resume) => {
      server.listen(0, "127.0.0.1", () => resume(Effect.succeed((server.address() as Net.AddressInfo).port)))
    }),
    () =>
      Effect.sync(() => {
        if (server instanceof Http.Server) server.closeAllConnections()
        server.close()
      })
  )

/** Runs a program of somebody else's to its end; one that fails fails the test with what it said. */
export const run = (program: string, ...args: ReadonlyArray<string>): Effect.Effect<string> =>
  Effect.flatMap(
    PilotProcesses.run(program, args, { PATH: process.env["PATH"] ?? "", PGCONNECT_TIMEOUT: "20" }),
    ({ exitCode, stderr, stdout }) =>
      exitCode === 0
        ? Effect.succeed(stdout)
        : Effect.die(new Error(`${program} ${args.join(" ")}: ${exitCode}\n${stderr}`))
  )

/** `pilotctl mcp mount … --metrics HOST:PORT`: the counts of a mount's calls, for a collector on this machine. */
import { Effect } from "effect"
import * as MetricsEdge from "../../actors/mcp/edge/MetricsEdge.ts"
import * as Endpoint from "../../core/data/Endpoint.ts"
import * as NodeHttpListener from "../../core/net/NodeHttpListener.ts"
import { CallMetrics } from "../../protocol/relay/CallMetrics.ts"
import * as CliError from "../CliError.ts"
import type { Environment } from "../Command.ts"
import * as Terminal from "../Terminal.ts"

/** Counts, served at that place until the scope ends; undefined if no place is given. */
export const open = Effect.fnUntraced(function* (
  at: string | undefined
): Effect.fn.Return<CallMetrics | undefined, CliError.CliError, Environment> {
  if (at === undefined) return undefined
  const place = Endpoint.parse(at)
  if (place === undefined || !LOOPBACK.test(place.host)) {
    return yield* CliError.invalidArgument(
      `invalid --metrics ${JSON.stringify(at)}: it must be a place of this machine only`,
      "127.0.0.1:9464"
    )
  }
  const { local, server } = yield* Effect.mapError(NodeHttpListener.listen(place), ({ detail, reason }) =>
    CliError.make(
      reason === "PortInUse" ? "already_exists" : "internal",
      `cannot listen at ${at}: ${detail}`,
      "choose another port, or 0 for a free one"
    )
  )
  const metrics = new CallMetrics()
  const hosts = new Set(["127.0.0.1", "localhost", "[::1]"].map((name) => `${name}:${local.port}`))
  yield* MetricsEdge.serve(server, { hosts, origins: new Set(), token: undefined }, metrics)
  yield* Terminal.printError(`metrics at http://${Endpoint.format(local)}${MetricsEdge.PATH}\n`)
  return metrics
})

const LOOPBACK = /^(127\.\d+\.\d+\.\d+|::1|localhost)$/

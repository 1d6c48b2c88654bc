/** Trust before an MCP server of a peer is used: asked for where it is missing. */
import { type Duration, Effect } from "effect"
import * as Target from "../../actors/mcp/Target.ts"
import type * as CliError from "../CliError.ts"
import type { Environment, Input } from "../Command.ts"
import * as DaemonClient from "../DaemonClient.ts"
import * as TrustFirst from "../trust/TrustFirst.ts"

/** Of several instances one is enough to begin with, the first. Without a time-out the request is sent and nothing awaited. */
export const ensure = (
  input: Pick<Input, "json">,
  targets: Target.Targets,
  timeout: Duration.Duration | undefined
): Effect.Effect<void, CliError.CliError, Environment> => {
  const [first] = targets
  const failure = `cannot use ${Target.format(targets)}`
  const peer = { text: first.peer, failure, justification: `mcp ${first.service}`, timeout }
  return Effect.scoped(
    Effect.flatMap(Effect.option(DaemonClient.connect), (client) =>
      // Without a daemon the command says so itself, or waits for one.
      client._tag === "None" ? Effect.void : TrustFirst.ensure(client.value, input, peer)
    )
  )
}

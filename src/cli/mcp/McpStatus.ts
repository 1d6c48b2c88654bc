/** `pilotctl mcp status` and `mcp metrics`: what the keeper and the mounts of this node do. */
import { Effect } from "effect"
import * as CallMetricsText from "../../protocol/relay/CallMetricsText.ts"
import * as CliError from "../CliError.ts"
import { type Environment, type Output, output } from "../Command.ts"
import * as CallText from "./CallText.ts"
import * as KeeperClient from "./KeeperClient.ts"
import * as McpText from "./McpText.ts"
import * as MountDoor from "./MountDoor.ts"
import * as MountText from "./MountText.ts"

/** The keeper and the mounts of this state directory; with `isProbing` after their servers were looked at. */
export const own = Effect.fnUntraced(function* (
  isProbing: boolean
): Effect.fn.Return<Output, CliError.CliError, Environment> {
  const asked = [isProbing ? KeeperClient.look : KeeperClient.status, MountDoor.ask(isProbing)] as const
  const [state, mounts] = yield* Effect.all(asked, { concurrency: 2 })
  return output(
    {
      running: state !== undefined,
      pid: state?.pid,
      connected: state?.isConnected ?? false,
      problems: state?.problems ?? [],
      services: (state?.services ?? []).map((service) => ({
        ...McpText.serviceRow(service),
        health: McpText.healthRow(state?.health?.find(({ service: name }) => name === service.name))
      })),
      sessions: (state?.sessions ?? []).map(McpText.sessionRow),
      calls: (state?.calls ?? []).map(CallText.row),
      mounts: mounts.map(MountText.row)
    },
    [McpText.status(state), ...CallText.lines(state?.calls ?? []), ...mounts.flatMap(MountText.lines)].join("\n")
  )
})

/** The calls that the keeper counted, as Prometheus text. */
export const metrics: Effect.Effect<Output, CliError.CliError, Environment> = Effect.gen(function* () {
  const state = yield* KeeperClient.status
  if (state === undefined) {
    return yield* CliError.make("not_running", "no keeper is running, because no services are exposed")
  }
  const calls = state.calls ?? []
  return output({ calls: calls.map(CallText.row) }, CallMetricsText.render(calls).trimEnd())
})

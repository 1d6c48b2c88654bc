/**
 * `pilotctl mcp status PEER/NAME`: whether a peer's service works, found out by using it; what its keeper says of it; and how the
 * mounts of this node that lead to it do.
 */
import { DateTime, Effect } from "effect"
import * as ServiceLister from "../../actors/mcp/client/ServiceLister.ts"
import type { Report, Stage } from "../../actors/mcp/keeper/ServerProbe.ts"
import type { State } from "../../actors/mcp/MountControl.ts"
import * as MountProbe from "../../actors/mcp/mount/MountProbe.ts"
import * as Target from "../../actors/mcp/Target.ts"
import * as NativeCrypto from "../../core/crypto/NativeCrypto.ts"
import * as Json from "../../core/data/Json.ts"
import * as PlainText from "../../protocol/mcp/PlainText.ts"
import * as ListedHealth from "../../protocol/relay/ListedHealth.ts"
import type * as CliError from "../CliError.ts"
import { CliHost } from "../CliHost.ts"
import { type Environment, type Output, output } from "../Command.ts"
import * as McpConnect from "./McpConnect.ts"
import * as McpText from "./McpText.ts"
import * as MountDoor from "./MountDoor.ts"
import * as MountText from "./MountText.ts"

/** Uses the service of each of the peers. Exit code 0 if it works at one of them, as it then does for a mount of all. */
export const run = Effect.fnUntraced(function* (
  targets: Target.Targets
): Effect.fn.Return<Output, CliError.CliError, Environment> {
  const probing = Effect.forEach(targets, probe, { concurrency: "unbounded" })
  const [probed, states] = yield* Effect.all([probing, MountDoor.ask(true)], { concurrency: 2 })
  const names = new Set(probed.map(({ target }) => target))
  const mounts = states.flatMap((state) => leadingTo(names, state))
  const rows = probed.map(row)
  const isHealthy = probed.some(({ report }) => report.verdict === "healthy")
  const of = rows.length === 1 ? rows[0] : { healthy: isHealthy, instances: rows }
  return {
    ...output(
      { ...of, mounts: mounts.map(MountText.row) },
      [...probed.flatMap(lines), ...mounts.flatMap(MountText.lines)].join("\n")
    ),
    exitCode: isHealthy ? 0 : 1
  }
})

/** What was found at one peer. `health` is what its keeper says; undefined if that says nothing. */
interface Probed {
  readonly target: string
  readonly report: Report
  readonly health: ListedHealth.ListedHealth | undefined
  /** What mounts show of a peer that cannot be reached; undefined if it can, or nothing is known. */
  readonly known: { readonly tools: number; readonly asOf: string } | undefined
}

const probe = Effect.fnUntraced(function* (target: Target.Target): Effect.fn.Return<Probed, never, Environment> {
  const { version } = yield* CliHost
  const dial = Effect.provideContext(McpConnect.dial(target), yield* McpConnect.environment)
  const clientInfo = { name: "pilotctl", version }
  const report = yield* Effect.provide(MountProbe.run({ target, dial, clientInfo }), NativeCrypto.layer)
  // After the probe, which the keeper has then seen. A peer that was not reached is not asked.
  const listed = report.reachMs === undefined ? [] : yield* Effect.orElseSucceed(ServiceLister.ask(dial), () => [])
  const health = listed.find(({ name }) => name === target.service)?.health
  const known = report.failedAt === "reach" ? yield* lastKnown(target) : undefined
  return { target: Target.format([target]), report, health, known }
})

const lastKnown = Effect.fnUntraced(function* (target: Target.Target) {
  const lists = yield* Effect.provide(McpConnect.lists, NativeCrypto.layer)
  const answers = ((yield* lists(target).load) ?? []).flatMap((known) => known.answers["tools/list"] ?? [])
  const newest = answers.toSorted((a, b) => b.asOfMs - a.asOfMs)[0]
  if (newest === undefined) return undefined
  const tools = Json.objects(Json.parseObject(newest.raw) ?? {}, "tools").length
  return { tools, asOf: DateTime.formatIso(DateTime.makeUnsafe(newest.asOfMs)) }
})

/** The mount if it leads to one of them; of a front only what does. */
const leadingTo = (names: ReadonlySet<string>, state: State): ReadonlyArray<State> => {
  if (state.instances.some(({ target }) => names.has(target))) return [state]
  const sessions = state.sessions.filter(({ target }) => names.has(target))
  return sessions.length === 0 ? [] : [{ ...state, sessions }]
}

const row = ({ health, known, report, target }: Probed): Json.JsonObject => ({
  target,
  verdict: report.verdict,
  failed_at: report.failedAt,
  reason: report.reason,
  code: report.code,
  tools: report.tools.length,
  revision: report.revision,
  server: report.serverInfo,
  reach_ms: rounded(report.reachMs),
  open_ms: rounded(report.openMs),
  ping_ms: rounded(report.pingMs),
  list_ms: rounded(report.listMs),
  known_tools: known?.tools,
  known_as_of: known?.asOf,
  keeper: health && ListedHealth.encode(health)
})

const lines = ({ health, known, report, target }: Probed): ReadonlyArray<string> => {
  const { listMs, openMs, pingMs, reachMs } = report
  const server = [Json.string(report.serverInfo, "name"), Json.string(report.serverInfo, "version")]
    .map((text) => PlainText.line(text, 60))
    .filter((text) => text !== "")
    .join(" ")
  const steps = [
    step("reach", reachMs),
    step("open", openMs),
    step(report.revision === "2026-07-28" ? "discover" : "ping", pingMs),
    step("list", listMs)
  ].filter((text) => text !== "")
  return [
    `${target}  ${VERDICTS[report.verdict]}${report.failedAt === undefined ? "" : ` ${WHERE[report.failedAt]}`}`,
    ...(report.reason === "" ? [] : [`  ${report.reason}`]),
    ...(server === "" ? [] : [`  server   ${server}, revision ${report.revision}`]),
    ...(report.verdict === "failing" ? [] : [`  tools    ${report.tools.length}`]),
    ...(steps.length === 0 ? [] : [`  took     ${steps.join(", ")}`]),
    ...(known === undefined
      ? []
      : [`  known    ${known.tools} tools, as of ${known.asOf}; new clients are shown them`]),
    ...(health === undefined ? [] : [`  keeper   ${keeperText(health)}`])
  ]
}

const keeperText = (health: ListedHealth.ListedHealth): string => {
  const { breaker, look } = health
  const calls = breaker === "closed" ? "calls pass" : `calls are refused${McpText.breakerText(health)}`
  const seen = look && `looked at its server ${Math.round(look.agoMs / 1000)} s ago: ${McpText.lookText(look)}`
  return [calls, ...(seen === undefined ? [] : [seen])].join(", ")
}

const step = (name: string, ms: number | undefined): string => (ms === undefined ? "" : `${name} ${ms.toFixed(1)} ms`)

const rounded = (ms: number | undefined): number | undefined =>
  ms === undefined ? undefined : Math.round(ms * 10) / 10

const VERDICTS = { healthy: "healthy", "no-tools": "answers, but has no tools", failing: "failing" } as const
const WHERE: Readonly<Record<Stage, string>> = {
  reach: "before it was reached",
  open: "when it was opened",
  ping: "after it was opened",
  list: "when asked for its tools"
}

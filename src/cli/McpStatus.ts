/** `pilotctl mcp status`: the keeper of this node, or how a peer's service does, found out by using it. */
import { DateTime, Effect } from "effect"
import type { Report, Stage } from "../actors/mcp/keeper/ServerProbe.ts"
import * as MountProbe from "../actors/mcp/mount/MountProbe.ts"
import type { Target } from "../actors/mcp/Target.ts"
import * as NativeCrypto from "../core/crypto/NativeCrypto.ts"
import * as Json from "../core/data/Json.ts"
import * as PlainText from "../protocol/mcp/PlainText.ts"
import * as CallMetricsText from "../protocol/relay/CallMetricsText.ts"
import * as CallText from "./CallText.ts"
import * as CliError from "./CliError.ts"
import { CliHost } from "./CliHost.ts"
import { type Environment, type Output, output } from "./Command.ts"
import * as KeeperClient from "./KeeperClient.ts"
import * as McpConnect from "./McpConnect.ts"
import * as McpText from "./McpText.ts"

/** The keeper. */
export const keeper: Effect.Effect<Output, CliError.CliError, Environment> = Effect.map(KeeperClient.status, (state) =>
  output(
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
      calls: (state?.calls ?? []).map(CallText.row)
    },
    [McpText.status(state), ...CallText.lines(state?.calls ?? [])].join("\n")
  )
)

/** The calls that the keeper counted, as Prometheus text. */
export const metrics: Effect.Effect<Output, CliError.CliError, Environment> = Effect.gen(function* () {
  const state = yield* KeeperClient.status
  if (state === undefined) {
    return yield* CliError.make("not_running", "no keeper is running, because no services are exposed")
  }
  const calls = state.calls ?? []
  return output({ calls: calls.map(CallText.row) }, CallMetricsText.render(calls).trimEnd())
})

/** A service of a peer. Exit code 1 unless it is healthy. */
export const probe = Effect.fnUntraced(function* (
  text: string
): Effect.fn.Return<Output, CliError.CliError, Environment> {
  const target = yield* McpConnect.targetOf(text)
  const { version } = yield* CliHost
  const environment = yield* McpConnect.environment
  const report = yield* MountProbe.run({
    target,
    dial: Effect.provideContext(McpConnect.dial(target), environment),
    clientInfo: { name: "pilotctl", version }
  }).pipe(Effect.provide(NativeCrypto.layer))
  const known = report.failedAt === "reach" ? yield* lastKnown(target) : undefined
  const shown =
    known === undefined ? [] : [`  known    ${known.tools} tools, as of ${known.asOf}; new clients are shown them`]
  return {
    ...output(
      { ...row(text, report), known_tools: known?.tools, known_as_of: known?.asOf },
      [...lines(text, report), ...shown].join("\n")
    ),
    exitCode: report.verdict === "healthy" ? 0 : 1
  }
})

/** What mounts show of a peer that cannot be reached; undefined if nothing is known. */
const lastKnown = Effect.fnUntraced(function* (target: Target) {
  const lists = yield* Effect.provide(McpConnect.listsOf(target), NativeCrypto.layer)
  const answers = ((yield* lists.load) ?? []).flatMap((known) => known.answers["tools/list"] ?? [])
  const newest = answers.toSorted((a, b) => b.asOfMs - a.asOfMs)[0]
  if (newest === undefined) return undefined
  const tools = Json.objects(Json.parseObject(newest.raw) ?? {}, "tools").length
  return { tools, asOf: DateTime.formatIso(DateTime.makeUnsafe(newest.asOfMs)) }
})

const row = (target: string, report: Report): Json.JsonObject => ({
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
  list_ms: rounded(report.listMs)
})

const lines = (target: string, report: Report): ReadonlyArray<string> => {
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
    ...(steps.length === 0 ? [] : [`  took     ${steps.join(", ")}`])
  ]
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

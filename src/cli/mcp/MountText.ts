/** Running mounts as commands show them. */
import type { Instance, Session, State } from "../../actors/mcp/MountControl.ts"
import type { JsonObject } from "../../core/data/Json.ts"
import * as PlainText from "../../protocol/mcp/PlainText.ts"
import * as McpText from "./McpText.ts"

/** A mount as data. */
export const row = ({ instances, pid, serves, sessions, startedAtMs }: State): JsonObject => ({
  pid,
  serves,
  started_at: McpText.time(startedAtMs),
  instances: instances.map(({ isAway, isDistrusted, rttMs, target }) => ({
    target,
    rtt_ms: rttMs === undefined ? undefined : Math.round(rttMs * 10) / 10,
    away: isAway,
    distrusted: isDistrusted
  })),
  sessions: sessions.map((session) => ({
    target: session.target,
    verdict: verdictOf(session),
    connected: session.isConnected,
    in_flight: session.inFlight,
    ...McpText.healthRow(session),
    probe: session.sign && {
      verdict: session.sign.verdict,
      tools: session.sign.tools,
      reason: session.sign.reason,
      took_ms: Math.round(session.sign.tookMs * 10) / 10,
      at: McpText.time(session.sign.atMs)
    }
  }))
})

/** A mount in lines. */
export const lines = ({ instances, pid, serves, sessions, startedAtMs }: State): ReadonlyArray<string> => [
  `mount pid ${pid} (${serves}) since ${McpText.time(startedAtMs)}`,
  ...(instances.length > 1 ? instances.map(instanceLine) : []),
  ...(sessions.length === 0 ? ["  no sessions"] : sessions.map(sessionLine))
]

const instanceLine = ({ isAway, isDistrusted, rttMs, target }: Instance): string => {
  const way = isAway ? "away" : rttMs === undefined ? "not measured yet" : `${rttMs.toFixed(1)} ms`
  return `  instance ${target}  ${way}${isDistrusted ? ", its server failed lately" : ""}`
}

const sessionLine = (session: Session): string => {
  const { answeredAtMs, inFlight, isConnected, sign, target } = session
  const facts = [
    isConnected ? "connected" : "not connected",
    ...(inFlight === 0 ? [] : [`${inFlight} in flight`]),
    ...(answeredAtMs === undefined ? ["no call answered yet"] : [`last answer ${McpText.time(answeredAtMs)}`]),
    ...(sign === undefined ? [] : [`asked ${McpText.time(sign.atMs)}: ${signText(sign)}`])
  ]
  return `  session ${target}  ${describe(session)}; ${facts.join(", ")}`
}

const signText = ({ reason, tookMs, tools, verdict }: NonNullable<Session["sign"]>): string =>
  verdict === "healthy" ? `${tools} tools in ${tookMs.toFixed(1)} ms` : PlainText.line(reason)

/** `healthy` only if its server listed tools when it was asked, and no call since had no answer. */
const verdictOf = ({ answeredAtMs = 0, breaker, failedAtMs = 0, sign }: Session) =>
  breaker !== "closed" || failedAtMs > Math.max(answeredAtMs, sign?.atMs ?? 0)
    ? "failing"
    : (sign?.verdict ?? "unknown")

const describe = (session: Session): string => {
  switch (verdictOf(session)) {
    case "healthy":
      return "healthy"
    case "no-tools":
      return "answers, but has no tools"
    case "failing":
      return `failing${McpText.breakerText(session)}`
    case "unknown":
      return "not asked"
  }
}

/**
 * Whether a server works, found out by using it: it is opened, asked for a sign of life, and for all of its tools. Over the
 * stream of a mount this goes the whole way, peer and keeper included; over that of a child it looks at the server alone.
 *
 * A server that answers but has no tools is never called healthy: that is what a server looks like whose start half failed.
 */
import { Clock, Effect, type Scope } from "effect"
import * as MonotonicTime from "../../../core/actor/MonotonicTime.ts"
import * as Json from "../../../core/data/Json.ts"
import type { Duplex } from "../../../core/net/Duplex.ts"
import * as PlainText from "../../../protocol/mcp/PlainText.ts"
import * as McpClient from "../client/McpClient.ts"

/** How far it got. `reach` is the way to whoever has the server, for streams that have one. */
export type Stage = "reach" | "open" | "ping" | "list"

/** What was found. Times in milliseconds, undefined for stages that were not reached. */
export interface Report {
  readonly verdict: "healthy" | "no-tools" | "failing"
  /** Where it ended, when it failed. */
  readonly failedAt: Stage | undefined
  /** Why it is not healthy, in words; of the server's own text only what can be shown. */
  readonly reason: string
  /** The JSON-RPC code of the failure; 0 if there is none. */
  readonly code: number
  readonly reachMs: number | undefined
  readonly openMs: number | undefined
  readonly pingMs: number | undefined
  readonly listMs: number | undefined
  /** Empty while it is not open. */
  readonly revision: string
  readonly serverInfo: Json.JsonObject
  readonly capabilities: Json.JsonObject
  readonly instructions: string
  /** Definitions as the server gave them: claims, and nothing more. */
  readonly tools: ReadonlyArray<Json.JsonObject>
}

/** What a probe needs. */
export interface Options<E> {
  readonly stream: Duplex<E>
  readonly clientInfo: { readonly name: string; readonly version: string }
  /** When the way to the server was found last, of the monotonic clock; undefined while it was not. */
  readonly reachedAtMs?: () => number | undefined
  readonly timeoutMs?: number
}

/** Probes once, in the surrounding scope, which ends the session. Never fails: a failure is what was found. */
export const run = Effect.fn("ServerProbe.run")(function* <E>(
  options: Options<E>
): Effect.fn.Return<Report, never, Scope.Scope> {
  const clock = yield* Clock.Clock
  const nowMs = () => MonotonicTime.nowMsUnsafe(clock)
  const beganAtMs = nowMs()
  let report: Report = NOTHING
  let stage: Stage = options.reachedAtMs === undefined ? "open" : "reach"
  const timed = <A, E2>(name: Stage, key: "openMs" | "pingMs" | "listMs", effect: Effect.Effect<A, E2, Scope.Scope>) =>
    Effect.suspend(() => {
      stage = name
      const sinceMs = nowMs()
      return Effect.tap(effect, () =>
        Effect.sync(() => {
          report = { ...report, [key]: nowMs() - sinceMs }
        })
      )
    })

  const going = Effect.gen(function* () {
    const first = stage
    const client = yield* timed("open", "openMs", McpClient.make(options.stream, options.clientInfo)).pipe(
      Effect.onError(() =>
        Effect.sync(() => {
          stage = options.reachedAtMs?.() === undefined ? first : "open"
        })
      )
    )
    const { capabilities, instructions, kind, revision, serverInfo } = client.era
    const reachedAtMs = options.reachedAtMs?.()
    const reachMs = reachedAtMs === undefined ? undefined : Math.max(0, reachedAtMs - beganAtMs)
    report = { ...report, reachMs, capabilities, instructions, revision, serverInfo }
    // Some servers forget that they must answer this one; what follows shows whether they live.
    const sign = Effect.catchIf(
      Effect.asVoid(client.request(kind === "modern" ? "server/discover" : "ping", {})),
      ({ reason }) => reason === "Rpc",
      () => Effect.void
    )
    yield* Effect.timeoutOption(timed("ping", "pingMs", sign), PING_TIMEOUT_MS)
    if (Json.member(capabilities, "tools") === undefined) return unhealthy(report, "the server offers no tools")
    const tools = yield* timed("list", "listMs", client.list("tools/list", "tools"))
    if (tools.length === 0) return unhealthy(report, "the server lists no tools")
    return { ...report, verdict: "healthy", tools } as const
  })
  const timeoutMs = options.timeoutMs ?? TIMEOUT_MS
  return yield* going.pipe(
    Effect.timeoutOrElse({
      duration: timeoutMs,
      orElse: () => Effect.succeed(failing(report, stage, `no answer within ${Math.round(timeoutMs / 1000)} s`, 0))
    }),
    Effect.catchTag("McpError", ({ code, message }) =>
      Effect.succeed(failing(report, stage, PlainText.line(message, REASON_CHARACTERS_MAX), code))
    )
  )
})

const unhealthy = (report: Report, reason: string): Report => ({ ...report, verdict: "no-tools", reason })

const failing = (report: Report, failedAt: Stage, reason: string, code: number): Report => ({
  ...report,
  verdict: "failing",
  failedAt,
  reason,
  code
})

/** Nothing was reached. */
export const NOTHING: Report = {
  verdict: "failing",
  failedAt: undefined,
  reason: "",
  code: 0,
  reachMs: undefined,
  openMs: undefined,
  pingMs: undefined,
  listMs: undefined,
  revision: "",
  serverInfo: {},
  capabilities: {},
  instructions: "",
  tools: []
}

const PING_TIMEOUT_MS = 2000
/** Some servers are fetched from a package registry when they first start. */
const TIMEOUT_MS = 30_000
const REASON_CHARACTERS_MAX = 400

/** Services and sessions as commands show them. Values of configured variables are never shown, only their names. */
import type { Health, Session, State } from "../../actors/mcp/KeeperControl.ts"
import { type AllowedPeer, type Service, source } from "../../actors/mcp/keeper/ServiceTable.ts"
import type { JsonObject } from "../../core/data/Json.ts"
import * as Address from "../../protocol/wire/Address.ts"
import * as McpRules from "./McpRules.ts"

/** A peer with what a person should know of it. */
export interface Allowed {
  readonly peer: AllowedPeer
  readonly fingerprint: string
  readonly isTrusted: boolean
}

/** A service as data. */
export const serviceRow = (service: Service): JsonObject => ({
  name: service.name,
  title: service.title,
  ...sourceRow(service),
  allowed: service.allowed.map(({ name, node, publicKey }) => ({
    node_id: node,
    address: Address.format(Address.make(0, node)),
    name,
    public_key: publicKey
  })),
  port: service.port,
  created_at: service.createdAtSeconds,
  rules: McpRules.row(service.rules)
})

const sourceRow = (service: Service): JsonObject => {
  if ("url" in service) return { url: service.url, headers: Object.keys(service.headers) }
  if ("program" in service) return { program: service.program }
  const { args, command, cwd, env, shared = false } = service
  return { command: [command, ...args], cwd, shared, env: Object.keys(env) }
}

/** A session as data. */
export const sessionRow = (session: Session): JsonObject => ({
  service: session.service,
  node_id: session.node,
  in_flight: session.inFlight,
  idle: session.isIdle,
  pid: session.pid,
  stderr: session.stderrTail
})

/** How calls of a service ended lately, as data. */
export const healthRow = (health: Omit<Health, "service"> | undefined): JsonObject => ({
  breaker: health?.breaker ?? "closed",
  reason: health?.reason ?? "",
  retry_in_ms: health?.retryInMs ?? 0,
  answered_at: time(health?.answeredAtMs),
  failed_at: time(health?.failedAtMs),
  refused: health?.refused ?? 0,
  look: health?.look && {
    verdict: health.look.verdict,
    tools: health.look.tools,
    reason: health.look.reason,
    at: time(health.look.atMs)
  }
})

/** What `expose` says: the whole command line, before anybody can make it run (mcp §8, rule 1). */
export const exposed = (service: Service, added: ReadonlyArray<Allowed>): string => {
  const fingerprints = new Map(added.map(({ fingerprint, peer }) => [peer.node, fingerprint]))
  const allowed = service.allowed.map(({ name, node }) => {
    const fingerprint = fingerprints.get(node)
    return `  allowed  ${name} (${Address.format(Address.make(0, node))})${fingerprint === undefined ? "" : ` ${fingerprint}`}`
  })
  return [
    `${service.name} is exposed`,
    ...described(service),
    ...(allowed.length === 0 && service.rules?.open === undefined
      ? ["  allowed  nobody; name a peer with --allow PEER"]
      : allowed)
  ].join("\n")
}

/** `mcp services`. */
export const services = (state: State | undefined): string =>
  state === undefined || state.services.length === 0
    ? "no services are exposed"
    : state.services
        .map((service) => {
          const everybody = service.rules?.open === undefined ? [] : ["every trusted peer"]
          const names = [...service.allowed.map(({ name }) => name), ...everybody].join(", ")
          return [service.name, ...described(service), `  allowed  ${names === "" ? "nobody" : names}`].join("\n")
        })
        .join("\n")

/** `mcp status`. */
export const status = (state: State | undefined): string => {
  if (state === undefined) return "no keeper is running, because no services are exposed"
  const sessions = state.sessions.flatMap((session) => [
    `  ${session.service}  node ${session.node}  ${session.pid === undefined ? "no process of ours" : `pid ${session.pid}`}  ` +
      `${session.inFlight} in flight${session.isIdle ? "  (no connection)" : ""}`,
    ...session.stderrTail.slice(-STDERR_LINES_SHOWN).map((line) => `    | ${printable(line)}`)
  ])
  return [
    `keeper pid ${state.pid}, ${state.isConnected ? "connected to the daemon" : "not connected to the daemon"}`,
    ...state.problems.map((problem) => `  problem: ${problem}`),
    ...(state.health ?? []).map(healthLine),
    `${state.services.length} services, ${state.sessions.length} sessions`,
    ...sessions
  ].join("\n")
}

const healthLine = (health: Health): string => {
  const { answeredAtMs, breaker, failedAtMs, look, reason, service } = health
  const last = answeredAtMs === undefined ? "no call answered yet" : `last answer ${time(answeredAtMs)}`
  const seen = look === undefined ? "" : `; looked at ${time(look.atMs)}: ${lookText(look)}`
  if (breaker === "closed" && (failedAtMs ?? 0) <= (answeredAtMs ?? 0)) return `  ${service}: ${last}${seen}`
  const state = breaker === "closed" ? "failed lately" : `calls are refused${breakerText(health)}`
  return `  ${service}: ${state}: ${printable(reason)} ${last}${seen}`
}

/** What was found at a server. */
export const lookText = ({
  reason = "",
  tools,
  verdict
}: {
  readonly verdict: NonNullable<Health["look"]>["verdict"]
  readonly tools: number
  readonly reason?: string
}): string => {
  const why = reason === "" ? "" : `, ${printable(reason)}`
  if (verdict === "healthy") return `healthy, ${tools} tools`
  return verdict === "no-tools" ? `answers, but has no tools${why}` : `failing${why}`
}

/** Why calls do not pass, in brackets; empty while they do. */
export const breakerText = ({
  breaker,
  refused,
  retryInMs
}: Pick<Health, "breaker" | "retryInMs"> & { readonly refused?: number }): string => {
  if (breaker === "closed") return ""
  const wait = breaker === "open" ? `, next call in ${Math.ceil(retryInMs / 1000)} s` : ""
  return ` (${breaker}${wait}${refused === undefined ? "" : `, ${refused} so far`})`
}

/** A time for people and programs. */
export const time = (atMs: number | undefined): string | undefined =>
  atMs === undefined ? undefined : new Date(atMs).toISOString()

const described = (service: Service): ReadonlyArray<string> => [
  `  ${"url" in service ? "url    " : "program" in service ? "program" : "command"}  ${printable(source(service))}`,
  ...("cwd" in service && service.cwd !== undefined ? [`  in       ${service.cwd}`] : []),
  ...("shared" in service && service.shared === true ? ["  shared   one process for all clients"] : []),
  ...withheld(service),
  ...(service.title === undefined ? [] : [`  title    ${printable(service.title)}`]),
  ...(service.port === undefined ? [] : [`  port     ${service.port}`]),
  ...McpRules.lines(service.rules)
]

/** Names of what may be secret: variables, or headers. */
const withheld = (service: Service): ReadonlyArray<string> => {
  const names = Object.keys("url" in service ? service.headers : "env" in service ? service.env : {})
  return names.length === 0 ? [] : [`  with     ${names.join(" ")}`]
}

/** What a server prints must not move the cursor or recolour the terminal (mcp §8, rule 7). */
const printable = (text: string): string =>
  text.replace(/\p{Cc}/gu, (character) => `\\x${(character.codePointAt(0) ?? 0).toString(16).padStart(2, "0")}`)

const STDERR_LINES_SHOWN = 5

/**
 * What the owner of a service lets its callers do (mcp §6.10), decided beside the server. A service without rules lets
 * everything pass; who may open a session at all is decided before.
 */
import { Data, Schema } from "effect"
import { DetachAfterMs } from "./RelayControl.ts"
import * as ToolPattern from "./ToolPattern.ts"

/** Sessions of one peer that an owner may give to a service. */
export const SESSIONS_MAX = 256
/** A question to the owner waits at most so long, whatever its rules say, in milliseconds. */
export const ASK_MAX_MS = 86_400_000
/** A deadline is at least so long, in milliseconds. */
export const DEADLINE_MIN_MS = 100
/** And at most so long: no call of any service takes longer, whatever its rules say (mcp §6.7). */
export const DEADLINE_MAX_MS = 86_400_000
/** Deadlines of one service. */
export const DEADLINES_MAX = 64

/** How long calls of the tools that a pattern names may take at the server. */
export const Deadline = Schema.Struct({
  /** Of names only, as `ToolPattern.matches` reads it; `*` are all calls that the others do not name. */
  tools: Schema.String,
  ms: Schema.Int.check(Schema.isBetween({ minimum: DEADLINE_MIN_MS, maximum: DEADLINE_MAX_MS }))
})
/** How long calls of the tools that a pattern names may take at the server. */
export type Deadline = typeof Deadline.Type

/** Bounds for each peer: calls and bytes in any one minute that begins with a call, and calls at the same time. */
export const Quota = Schema.Struct({
  callsPerMinute: Schema.Int,
  concurrent: Schema.Int,
  bytesPerMinute: Schema.Int
})
/** Bounds for each peer. */
export type Quota = typeof Quota.Type

/** The rules of one service. */
export const Rules = Schema.Struct({
  /** Who may use it besides the peers that are named: every trusted one. `public` also has a quota. */
  open: Schema.optionalKey(Schema.Literals(["trusted", "public"])),
  /** Patterns of `ToolPattern`; none means every tool. */
  tools: Schema.Array(Schema.String),
  /** Patterns of the tools that may run twice (`SafeCalls`); absent: none. */
  safe: Schema.optionalKey(Schema.Array(Schema.String)),
  /** What the server says of its tools' harmlessness counts as well. */
  trustHints: Schema.optionalKey(Schema.Boolean),
  /** Calls of tools in `safe` go on when their client gives up or vanishes, for an identical call later. */
  park: Schema.optionalKey(Schema.Boolean),
  /** Patterns of the tools whose calls wait until a person has approved them (`ToolPattern.names`); absent: none. */
  ask: Schema.optionalKey(Schema.Array(Schema.String)),
  /** How long such a call waits for its answer, in milliseconds; absent: ten minutes. */
  askMs: Schema.optionalKey(Schema.Int.check(Schema.isBetween({ minimum: 1000, maximum: ASK_MAX_MS }))),
  /** Calls that take longer are cancelled; absent: none is. */
  deadlines: Schema.optionalKey(Schema.Array(Deadline).check(Schema.isMaxLength(DEADLINES_MAX))),
  /** Mounts that do not say otherwise answer longer calls with a handle; absent: none is (mcp §6.7). */
  detachAfterMs: Schema.optionalKey(DetachAfterMs),
  /** Methods that no revision knows pass as well. */
  transparent: Schema.Boolean,
  /** The server is told who calls. */
  identify: Schema.Boolean,
  /** What the record of calls holds; absent: hashes of arguments and results. */
  audit: Schema.optionalKey(Schema.Literals(["off", "arguments"])),
  /** Sessions of each peer at once, and so servers; absent: the keeper's own bound (mcp §6.4). */
  sessions: Schema.optionalKey(Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: SESSIONS_MAX }))),
  quota: Schema.optionalKey(Quota)
})
/** The rules of one service. */
export type Rules = typeof Rules.Type

/** What a peer has used of its quota, this question not counted. */
export interface Usage {
  readonly calls: number
  readonly concurrent: number
  readonly bytes: number
}

/** One message, or one of a batch. `kind` is that of the JSON-RPC envelope. */
export interface Question {
  readonly kind: "Request" | "Notification" | "Response" | "Other"
  readonly method: string
  /** The tool, prompt or resource. */
  readonly target: string | undefined
  readonly argument: ToolPattern.Arguments
  readonly sizeBytes: number
  readonly usage: Usage
}

/**
 * The answer. `text` says what the caller may not do, for a person or a model. `Ask`: it may if a person says so; there are
 * nothing but reasons of the other kinds against it.
 */
export type Decision = Data.TaggedEnum<{
  Allow: {}
  Ask: {}
  Deny: { readonly reason: "method" | "tool" | "quota"; readonly text: string }
}>
/** Constructors of `Decision`. */
export const Decision = Data.taggedEnum<Decision>()

/** The patterns of some rules, read once. */
export interface Patterns {
  readonly tools: ReadonlyArray<ToolPattern.ToolPattern>
  readonly ask: ReadonlyArray<ToolPattern.ToolPattern>
}

/** No rule looks at tools. */
export const NO_PATTERNS: Patterns = { tools: [], ask: [] }

/** Patterns of a service, read once. Those that cannot be read permit nothing, and have every tool asked for. */
export const patternsOf = (rules: Rules): Patterns => {
  const ask = (rules.ask ?? []).map(ToolPattern.parse)
  return {
    tools: rules.tools.map((text) => ToolPattern.parse(text) ?? UNREADABLE),
    ask: ask.every((pattern) => pattern !== undefined) ? ask : [EVERYTHING]
  }
}

/** Decides about one message of a client. `whose` are the rules, at the beginning of a sentence. */
export const decide = (rules: Rules, patterns: Patterns, question: Question, whose: Whose = OWNER): Decision => {
  const { argument, kind, method, target } = question
  if (kind === "Response") return ALLOW
  const known = kind === "Request" ? REQUESTS : kind === "Notification" ? NOTIFICATIONS : NOTHING
  // A call without an id asks for no answer, and careless servers carry it out all the same.
  const isDisguised = kind !== "Request" && (kind === "Other" || REQUESTS.has(method))
  if (isDisguised || !(rules.transparent || known.has(method))) {
    return Decision.Deny({ reason: "method", text: `${whose.negates} let ${method || "this"} pass.` })
  }
  const isCall = method === "tools/call"
  if (isCall && patterns.tools.length > 0) {
    if (target === undefined || !ToolPattern.permits(patterns.tools, target, argument)) {
      return Decision.Deny({ reason: "tool", text: denialOf(patterns.tools, target, whose) })
    }
  }
  const bounded = kind === "Request" && rules.quota !== undefined ? withinQuota(rules.quota, question) : ALLOW
  if (bounded._tag !== "Allow" || !isCall || patterns.ask.length === 0) return bounded
  if (target === undefined) return Decision.Deny({ reason: "tool", text: denialOf(patterns.tools, target, whose) })
  return ToolPattern.names(patterns.ask, target, argument) ? ASK : ALLOW
}

/** How long a call may take at the server, in milliseconds; undefined if that is not bounded. */
export const deadlineMs = (
  deadlines: Rules["deadlines"],
  method: string,
  target: string | undefined
): number | undefined => {
  if (method === ENDLESS) return undefined
  if (deadlines === undefined || !TIMED.has(method)) return DEADLINE_MAX_MS
  const named = method === "tools/call" && target !== undefined ? target : undefined
  const own = named && deadlines.find(({ tools }) => tools !== "*" && ToolPattern.matches(tools, named))
  return (own || deadlines.find(({ tools }) => tools === "*"))?.ms ?? DEADLINE_MAX_MS
}

/** Whose rules they are, in the words of a refusal. */
export interface Whose {
  readonly negates: string
}
/** Those of whoever exposes the service. */
export const OWNER: Whose = { negates: "The owner of this service does not" }
/** Those of the node that uses it. */
export const MOUNT: Whose = { negates: "The rules of this mount do not" }

const denialOf = (
  patterns: ReadonlyArray<ToolPattern.ToolPattern>,
  target: string | undefined,
  { negates }: Whose
): string =>
  target !== undefined && ToolPattern.shows(patterns, target)
    ? `${negates} allow ${target} with these arguments.`
    : `${negates} allow this tool.`

const withinQuota = (quota: Quota, { sizeBytes, usage }: Question): Decision => {
  if (usage.concurrent >= quota.concurrent) {
    return overQuota(`${quota.concurrent} calls at the same time. Wait for one of them`)
  }
  if (usage.calls >= quota.callsPerMinute) return overQuota(`${quota.callsPerMinute} calls per minute. Try again later`)
  if (usage.bytes + sizeBytes > quota.bytesPerMinute) {
    return overQuota(`${quota.bytesPerMinute} bytes per minute. Try again later`)
  }
  return ALLOW
}

const overQuota = (bound: string): Decision =>
  Decision.Deny({ reason: "quota", text: `The owner of this service allows each peer ${bound}.` })

const ALLOW: Decision = Decision.Allow()
const ASK: Decision = Decision.Ask()
/** Matches no tool, and by being there takes away the permission of every other. */
const UNREADABLE: ToolPattern.ToolPattern = { isDenial: true, name: "*", args: [] }
const EVERYTHING: ToolPattern.ToolPattern = { isDenial: false, name: "*", args: [] }
/** The one request that is not there to be answered. */
export const ENDLESS = "subscriptions/listen"
/** What does work for a caller; for openings, lists and waits for tasks there is only the ceiling. */
const TIMED: ReadonlySet<string> = new Set(["completion/complete", "prompts/get", "resources/read", "tools/call"])

/** What a `public` service gives each peer unless its owner says otherwise. */
export const QUOTA_PUBLIC: Quota = { callsPerMinute: 60, concurrent: 4, bytesPerMinute: 16_777_216 }

/** Client requests of all revisions (mcp §1.1). */
const REQUESTS: ReadonlySet<string> = new Set([
  "completion/complete",
  "initialize",
  "logging/setLevel",
  "ping",
  "prompts/get",
  "prompts/list",
  "resources/list",
  "resources/read",
  "resources/subscribe",
  "resources/templates/list",
  "resources/unsubscribe",
  "server/discover",
  "subscriptions/listen",
  "tasks/cancel",
  "tasks/get",
  "tasks/list",
  "tasks/result",
  "tasks/update",
  "tools/call",
  "tools/list"
])
const NOTIFICATIONS: ReadonlySet<string> = new Set([
  "notifications/cancelled",
  "notifications/elicitation/complete",
  "notifications/initialized",
  "notifications/progress",
  "notifications/roots/list_changed",
  "notifications/tasks/status"
])
const NOTHING: ReadonlySet<string> = new Set()

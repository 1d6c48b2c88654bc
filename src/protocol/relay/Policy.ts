/**
 * What the owner of a service lets its callers do (mcp §6.10), decided beside the server. A service without rules lets
 * everything pass; who may open a session at all is decided before.
 */
import { Data, Schema } from "effect"
import * as ToolPattern from "./ToolPattern.ts"

/** Sessions of one peer that an owner may give to a service. */
export const SESSIONS_MAX = 256

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

/** The answer. `text` says what the caller may not do, for a person or a model. */
export type Decision = Data.TaggedEnum<{
  Allow: {}
  Deny: { readonly reason: "method" | "tool" | "quota"; readonly text: string }
}>
/** Constructors of `Decision`. */
export const Decision = Data.taggedEnum<Decision>()

/** Patterns of a service, read once. Those that cannot be read permit nothing. */
export const patternsOf = (rules: Rules): ReadonlyArray<ToolPattern.ToolPattern> =>
  rules.tools.map((text) => ToolPattern.parse(text) ?? UNREADABLE)

/** Decides about one message of a client. */
export const decide = (
  rules: Rules,
  patterns: ReadonlyArray<ToolPattern.ToolPattern>,
  question: Question
): Decision => {
  const { argument, kind, method, target } = question
  if (kind === "Response") return ALLOW
  const known = kind === "Request" ? REQUESTS : kind === "Notification" ? NOTIFICATIONS : NOTHING
  // A call without an id asks for no answer, and careless servers carry it out all the same.
  const isDisguised = kind !== "Request" && (kind === "Other" || REQUESTS.has(method))
  if (isDisguised || !(rules.transparent || known.has(method))) {
    return Decision.Deny({ reason: "method", text: `The owner of this service does not let ${method || "this"} pass.` })
  }
  if (method === "tools/call" && patterns.length > 0) {
    if (target === undefined || !ToolPattern.permits(patterns, target, argument)) {
      return Decision.Deny({ reason: "tool", text: denialOf(patterns, target) })
    }
  }
  return kind === "Request" && rules.quota !== undefined ? withinQuota(rules.quota, question) : ALLOW
}

const denialOf = (patterns: ReadonlyArray<ToolPattern.ToolPattern>, target: string | undefined): string =>
  target !== undefined && ToolPattern.shows(patterns, target)
    ? `The owner of this service does not allow ${target} with these arguments.`
    : "The owner of this service does not allow this tool."

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
/** Matches no tool, and by being there takes away the permission of every other. */
const UNREADABLE: ToolPattern.ToolPattern = { isDenial: true, name: "*", args: [] }

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

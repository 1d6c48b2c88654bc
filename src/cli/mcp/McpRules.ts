/** The rules of a service as the flags of `mcp expose` say them, and as people read them (mcp §6.10). */
import { Effect, Result } from "effect"
import type { JsonObject } from "../../core/data/Json.ts"
import * as Policy from "../../protocol/relay/Policy.ts"
import * as CliError from "../CliError.ts"
import type { Flag, Input } from "../Command.ts"
import * as Values from "../Values.ts"
import * as DetachFlag from "./DetachFlag.ts"
import * as McpCallRules from "./McpCallRules.ts"

/** The flags, in the order of help. */
export const FLAGS: ReadonlyArray<Flag> = [
  { name: "allow-trusted", value: "boolean", summary: "every trusted peer may use it, also those trusted later" },
  { name: "public", value: "boolean", summary: "the same, with a quota for each peer" },
  {
    name: "tools",
    value: "text",
    placeholder: "pattern",
    summary: "only these tools: 'read_*', '!write_*', 'read_file(path=data/*)'",
    repeats: true
  },
  {
    name: "safe",
    value: "text",
    placeholder: "pattern",
    summary: "tools that may run twice: their calls go on by themselves when the server or a keeper dies",
    repeats: true
  },
  {
    name: "trust-hints",
    value: "boolean",
    summary: "the same for tools that their server calls read-only or idempotent"
  },
  {
    name: "park",
    value: "boolean",
    summary: "calls of tools in --safe go on when their client gives up: the same call, made again, gets the result"
  },
  {
    name: "ask",
    value: "text",
    placeholder: "pattern",
    summary: "calls of these tools wait until you allow each: pilotctl mcp approvals",
    repeats: true
  },
  { name: "ask-for", value: "duration", summary: "how long they wait before they are denied (default: 10m)" },
  {
    name: "deadline",
    value: "text",
    placeholder: "[tools=]duration",
    summary: "calls that take longer at the server are cancelled: 30s, or 'report_*=10m' for some tools",
    repeats: true
  },
  {
    name: "detach-after",
    value: "duration",
    summary: "mounts that do not say otherwise answer a tool that works longer with a handle (0: never)"
  },
  { name: "calls-per-minute", value: "number", summary: "calls that each peer may make in a minute" },
  { name: "concurrent", value: "number", summary: "calls of each peer at the same time" },
  { name: "bytes-per-minute", value: "number", summary: "bytes of each peer in a minute, both ways" },
  { name: "sessions", value: "number", summary: "sessions, and so servers, of each peer at once (default: 4)" },
  { name: "identify", value: "boolean", summary: "tell the server who calls, in _meta" },
  {
    name: "audit-arguments",
    value: "boolean",
    summary: "record the arguments of calls as well, not only their hashes"
  },
  { name: "no-audit", value: "boolean", summary: "record no calls of this service" },
  { name: "transparent", value: "boolean", summary: "let methods pass that no revision of MCP knows" }
]

/** Whether any flag of this page was given. */
export const isGiven = (input: Input): boolean => FLAGS.some(({ name }) => input.flags.has(name))

/** The rules after the flags; what is not mentioned stays as it was. */
export const of = (input: Input, before: Policy.Rules | undefined): Effect.Effect<Policy.Rules, CliError.CliError> =>
  Effect.fromResult(
    Result.gen(function* () {
      const old = before ?? NEW
      const { audit: _audit, deadlines: _deadlines, open: _open, park: _park, quota: _quota, ...most } = old
      const { ask: _ask, askMs: _askMs, detachAfterMs: _detach, sessions: _sessions, ...kept } = most
      const asked = yield* McpCallRules.asked(input, old)
      const deadlines = yield* McpCallRules.deadlines(input, old.deadlines)
      const detachAfterMs = input.flags.has("detach-after") ? yield* DetachFlag.milliseconds(input) : old.detachAfterMs
      const sessions = yield* sessionsOf(input, old.sessions)
      const audit = auditOf(input, old.audit)
      const open = openOf(input, old.open)
      const quota = yield* quotaOf(input, old.quota ?? (open === "public" ? Policy.QUOTA_PUBLIC : undefined))
      const tools = yield* McpCallRules.patterns(input, "tools")
      const safe = yield* McpCallRules.patterns(input, "safe")
      const park = Values.boolean(input, "park") ?? old.park === true
      const named = input.flags.has("safe") ? safe : (old.safe ?? [])
      if (park && named.length === 0) {
        return yield* Result.fail(CliError.invalidArgument("--park parks nothing without --safe", "--safe 'report_*'"))
      }
      return {
        ...kept,
        tools: input.flags.has("tools") ? tools : old.tools,
        ...(input.flags.has("safe") ? { safe } : {}),
        ...(input.flags.has("trust-hints") ? { trustHints: Values.boolean(input, "trust-hints") === true } : {}),
        ...(park ? { park } : {}),
        ...(detachAfterMs === undefined ? {} : { detachAfterMs }),
        identify: Values.boolean(input, "identify") ?? old.identify,
        ...(audit === undefined ? {} : { audit }),
        transparent: Values.boolean(input, "transparent") ?? old.transparent,
        ...(open === undefined ? {} : { open }),
        ...(quota === undefined ? {} : { quota }),
        ...(sessions === undefined ? {} : { sessions }),
        ...asked,
        ...(deadlines === undefined ? {} : { deadlines })
      }
    })
  )

/** The rules as data. */
export const row = (rules: Policy.Rules | undefined): JsonObject => ({
  open: rules?.open ?? null,
  tools: rules?.tools ?? [],
  safe: rules?.safe ?? [],
  trust_hints: rules?.trustHints ?? false,
  park: rules?.park ?? false,
  ...McpCallRules.row(rules),
  detach_after_ms: rules?.detachAfterMs ?? null,
  transparent: rules?.transparent ?? true,
  identify: rules?.identify ?? false,
  audit: rules?.audit ?? "hashes",
  sessions: rules?.sessions ?? null,
  quota:
    rules?.quota === undefined
      ? null
      : {
          calls_per_minute: bound(rules.quota.callsPerMinute),
          concurrent: bound(rules.quota.concurrent),
          bytes_per_minute: bound(rules.quota.bytesPerMinute)
        }
})

/** The rules in lines. */
export const lines = (rules: Policy.Rules | undefined): ReadonlyArray<string> => {
  if (rules === undefined) return []
  const { open, quota, safe = [], tools, transparent, trustHints = false } = rules
  return [
    ...(tools.length === 0 ? [] : [`  tools    ${tools.join(" ")}`]),
    ...(safe.length === 0 ? [] : [`  safe     ${safe.join(" ")}`]),
    ...(trustHints ? ["  safe     what the server calls read-only or idempotent"] : []),
    ...(rules.park === true ? ["  parked   safe calls whose client is gone"] : []),
    ...McpCallRules.lines(rules),
    ...(rules.detachAfterMs === undefined ? [] : [`  detached calls longer than ${rules.detachAfterMs / 1000} s`]),
    ...(quota === undefined ? [] : [`  quota    each peer ${quotaText(quota)}`]),
    ...(rules.sessions === undefined ? [] : [`  sessions ${rules.sessions} of each peer`]),
    ...(rules.identify ? ["  told     who calls"] : []),
    ...(rules.audit === undefined ? [] : [`  record   ${rules.audit === "off" ? "none" : "with arguments"}`]),
    ...(transparent ? ["  methods  unknown ones pass"] : []),
    ...(open === undefined ? [] : [`  open     to every trusted peer${open === "public" ? " (public)" : ""}`])
  ]
}

const quotaText = ({ bytesPerMinute, callsPerMinute, concurrent }: Policy.Quota): string =>
  [
    ...(bound(callsPerMinute) === null ? [] : [`${callsPerMinute} calls a minute`]),
    ...(bound(concurrent) === null ? [] : [`${concurrent} at once`]),
    ...(bound(bytesPerMinute) === null ? [] : [`${bytesPerMinute} bytes a minute`])
  ].join(", ")

const bound = (value: number): number | null => (value === UNBOUNDED ? null : value)

const openOf = (input: Input, before: Policy.Rules["open"]): Policy.Rules["open"] => {
  const isPublic = Values.boolean(input, "public")
  const isTrusted = Values.boolean(input, "allow-trusted")
  if (isPublic === true) return "public"
  if (isTrusted === true) return "trusted"
  if (isPublic === false && before === "public") return undefined
  return isTrusted === false && before === "trusted" ? undefined : before
}

const auditOf = (input: Input, before: Policy.Rules["audit"]): Policy.Rules["audit"] => {
  const isOff = Values.boolean(input, "no-audit")
  const keeps = Values.boolean(input, "audit-arguments")
  if (isOff === true) return "off"
  if (keeps === true) return "arguments"
  return (isOff === false && before === "off") || (keeps === false && before === "arguments") ? undefined : before
}

const sessionsOf = (input: Input, before: number | undefined): Result.Result<number | undefined, CliError.CliError> => {
  if (!input.flags.has("sessions")) return Result.succeed(before)
  return Result.flatMap(Values.count(input, "sessions", 0), (count) =>
    count >= 1 && count <= Policy.SESSIONS_MAX
      ? Result.succeed(count)
      : Result.fail(CliError.invalidArgument(`invalid --sessions ${count}`, `1 to ${Policy.SESSIONS_MAX}`))
  )
}

const quotaOf = (
  input: Input,
  before: Policy.Quota | undefined
): Result.Result<Policy.Quota | undefined, CliError.CliError> =>
  Result.gen(function* () {
    if (before === undefined && !QUOTA_FLAGS.some((name) => input.flags.has(name))) return undefined
    const value = (name: (typeof QUOTA_FLAGS)[number], orElse: number) =>
      Result.flatMap(Values.count(input, name, orElse), (count) =>
        count > 0
          ? Result.succeed(count)
          : Result.fail(CliError.invalidArgument(`--${name} 0 would allow nothing`, "1 or more"))
      )
    return {
      callsPerMinute: yield* value("calls-per-minute", before?.callsPerMinute ?? UNBOUNDED),
      concurrent: yield* value("concurrent", before?.concurrent ?? UNBOUNDED),
      bytesPerMinute: yield* value("bytes-per-minute", before?.bytesPerMinute ?? UNBOUNDED)
    }
  })

const NEW: Policy.Rules = { tools: [], transparent: false, identify: false }
const QUOTA_FLAGS = ["calls-per-minute", "concurrent", "bytes-per-minute"] as const
/** A bound that was not asked for. */
const UNBOUNDED = Number.MAX_SAFE_INTEGER

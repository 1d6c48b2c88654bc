/**
 * What an operator writes into `policy.jsonc`, after its comments are gone. `schema/policy.schema.json` is made from this, so
 * the descriptions here are what an editor shows.
 */
import { Schema } from "effect"

/** Rules of one policy. */
export const RULES_MAX = 1024
/** Entries of one list in a rule, and members of one tag. */
export const ENTRIES_MAX = 256
/** Tags of one policy. */
export const TAGS_MAX = 256
/** A file that is larger is refused before it is read. */
export const DOCUMENT_BYTES_MAX = 1_048_576

const amount = (description: string, maximum: number) =>
  Schema.optionalKey(Schema.Int.check(Schema.isBetween({ minimum: 1, maximum })).annotate({ description }))

/** How much each peer may do under a rule. */
export const Limit = Schema.Struct({
  requestsPerMinute: amount("streams, messages, transfers, events, calls or datagrams in a minute", 10_000_000),
  bytesPerMinute: amount("bytes in a minute; streams to ports are slowed down, all else is refused", 1e12),
  concurrent: amount("streams to ports, pulled files or MCP calls at the same time", 100_000)
}).annotate({ description: "Bounds for each peer that the rule speaks of" })
/** How much each peer may do under a rule. */
export type Limit = typeof Limit.Type

/** Hours of a week. */
export const Hours = Schema.Struct({
  from: Schema.String.annotate({ description: "HH:MM, included" }),
  to: Schema.String.annotate({ description: "HH:MM, not included; earlier than from: over midnight" }),
  days: Schema.optionalKey(
    Schema.Array(Schema.Literals(["mon", "tue", "wed", "thu", "fri", "sat", "sun"])).annotate({
      description: "the days on which it begins; absent: all"
    })
  ),
  utcOffset: Schema.optionalKey(Schema.String.annotate({ description: "+HH:MM or -HH:MM; absent: UTC" }))
}).annotate({ description: "The hours in which the rule is in force" })
/** Hours of a week. */
export type Hours = typeof Hours.Type

const entries = (description: string) =>
  Schema.Array(Schema.String).check(Schema.isMinLength(1), Schema.isMaxLength(ENTRIES_MAX)).annotate({ description })

const WHO = "anyone (strangers too), trusted, key:FINGERPRINT, name:NAME, tag:TAG, network:NUMBER"

/** One rule. */
export const Rule = Schema.Struct({
  name: Schema.optionalKey(Schema.String.annotate({ description: "how the rule is called where a decision is told" })),
  effect: Schema.Literals(["allow", "deny", "limit"]).annotate({
    description: "deny wins over all else; allow grants a named thing; limit only bounds what is allowed anyway"
  }),
  who: entries(`to whom it applies, any of: ${WHO}`),
  except: Schema.optionalKey(entries("to whom of these it does not apply, written alike")),
  what: entries(
    "what it is about, any of: *, port[/N[-M]] (gateway is the same), datagram[/N[-M]], echo, messages, files[/push|/pull[/PATH]], events[/publish|/subscribe[/TOPIC]], mcp[/SERVER[/TOOL]]"
  ),
  limit: Schema.optionalKey(Limit),
  from: Schema.optionalKey(Schema.String.annotate({ description: "not before this instant, 2026-12-01T00:00:00Z" })),
  until: Schema.optionalKey(Schema.String.annotate({ description: "not from this instant on" })),
  hours: Schema.optionalKey(Hours)
})
/** One rule. */
export type Rule = typeof Rule.Type

/** How the record of what happened is kept. */
export const AuditSettings = Schema.Struct({
  onFailure: Schema.optionalKey(
    Schema.Literals(["continue", "refuse"]).annotate({
      description: "what becomes of peers' requests while the record cannot be written; absent: they continue"
    })
  ),
  maxMegabytes: amount("size of all files together; the oldest go first; absent: 256", 1_000_000),
  maxDays: amount("files that ended so many days ago are removed; absent: 400", 36_500)
})
/** How the record of what happened is kept. */
export type AuditSettings = typeof AuditSettings.Type

/** The whole file. */
export const PolicyDocument = Schema.Struct({
  $schema: Schema.optionalKey(Schema.String),
  version: Schema.Literal(1),
  default: Schema.optionalKey(
    Schema.Literals(["exposed", "nothing"]).annotate({
      description: "what trusted peers may do that no rule speaks of: what was exposed to them (absent too), or nothing"
    })
  ),
  tags: Schema.optionalKey(
    Schema.Record(Schema.String, entries("key:FINGERPRINT or name:NAME")).annotate({
      description: "who bears a tag; what peers call themselves in the registry does not count"
    })
  ),
  rules: Schema.Array(Rule).check(Schema.isMaxLength(RULES_MAX)),
  audit: Schema.optionalKey(AuditSettings)
}).annotate({ title: "Policy of an effect-pilot node" })
/** The whole file. */
export type PolicyDocument = typeof PolicyDocument.Type

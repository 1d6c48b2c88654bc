/**
 * Policy and audit log as the daemon's clients ask for them (`IpcExtension`).
 *
 * | op | takes | answers |
 * |---|---|---|
 * | `policy.status` | | `path revision rules default loaded_at asked denied limited granted`; with a wrong file `problem` |
 * | `policy.reload` | | the same, or why the file is refused |
 * | `policy.wait` | `revision` | `revision text`, when another one is in force |
 * | `policy.subject` | `node` | `trusted fingerprint names network` |
 * | `policy.test` | `node` or `fingerprint`, `service port target tool arguments`, `exposed`, `policy` | the decision and what explains it |
 * | `audit.status` | | `directory last_seq last_hash lost suppressed`; `failure`, if it cannot be written |
 * | `audit.seal` | | the same, when all is written and signed |
 * | `audit.append` | `entries` | `count refusing`: what the keeper of this state directory has seen |
 */
import { Effect, Result } from "effect"
import * as Json from "../../core/data/Json.ts"
import { KINDS, type Kind } from "../../protocol/audit/AuditLine.ts"
import { type Action, format, SERVICES } from "../../protocol/policy/Action.ts"
import * as Policy from "../../protocol/policy/Policy.ts"
import * as Fingerprint from "../../protocol/trust/Fingerprint.ts"
import { NodeId } from "../../protocol/wire/Address.ts"
import type * as AuditTrail from "../audit/AuditTrail.ts"
import type { Explained } from "./Decisions.ts"
import type * as PolicyActor from "./PolicyActor.ts"
import * as PolicySource from "./PolicySource.ts"
import type { Known } from "./Subjects.ts"

/** What is asked about. */
export interface Rules {
  readonly policy: PolicyActor.Running
  readonly audit: AuditTrail.Running
}

/** The answer, or the text of the refusal; undefined for an operation that is not of these. */
export const perform = (
  { audit, policy }: Rules,
  op: string,
  value: Json.JsonObject
): Effect.Effect<Json.JsonObject, string> | undefined => {
  switch (op) {
    case "policy.status":
      return Effect.sync(() => statusOf(policy.status(), policy))
    case "policy.reload":
      return policy.reload.pipe(
        Effect.map((status) => statusOf(status, policy)),
        Effect.mapError(({ message }) => `policy.reload: ${policy.status().path}, ${message}`)
      )
    case "policy.wait":
      return Effect.map(policy.changed(Json.integer(value, "revision")), ({ revision, text = "" }) => ({
        revision,
        text
      }))
    case "policy.subject":
      return Effect.sync(() => subjectOf(policy.subject(nodeOf(value))))
    case "policy.test":
      return explain(policy, value)
    case "audit.status":
      return Effect.sync(() => auditOf(audit))
    case "audit.seal":
      return Effect.andThen(
        audit.sealed,
        Effect.sync(() => auditOf(audit))
      )
    case "audit.append":
      return Effect.sync(() => append(audit, Json.objects(value, "entries")))
    default:
      return undefined
  }
}

const statusOf = (
  { loadedAtMs, path, policy, problem, revision, text }: PolicyActor.Status,
  { guard }: PolicyActor.Running
): Json.JsonObject => ({
  path,
  file: text !== undefined,
  revision,
  rules: policy.rules.length,
  default: policy.isDefaultNothing ? "nothing" : "exposed",
  loaded_at: new Date(loadedAtMs).toISOString(),
  ...guard.counters,
  ...(problem === undefined ? {} : { problem: { line: problem.line, column: problem.column, detail: problem.detail } })
})

const auditOf = (audit: AuditTrail.Running): Json.JsonObject => {
  const { directory, failure, lastHash, lastSeq, lost, suppressed } = audit.status()
  return {
    ...{ directory, last_seq: lastSeq, last_hash: lastHash, lost, suppressed, refusing: audit.isRefusing() },
    ...(failure === undefined ? {} : { failure })
  }
}

const subjectOf = ({ subject }: Known): Json.JsonObject => ({
  trusted: subject.isTrusted,
  fingerprint: subject.fingerprint,
  former_fingerprints: subject.formerFingerprints ?? [],
  names: subject.names,
  network: subject.network
})

/** Told of a peer, or of a key that is taken for a trusted one. */
const explain = Effect.fnUntraced(function* (
  running: PolicyActor.Running,
  value: Json.JsonObject
): Effect.fn.Return<Json.JsonObject, string> {
  const action = actionOf(value)
  if (action === undefined) return yield* Effect.fail(`policy.test: no such service: ${Json.string(value, "service")}`)
  const text = Json.member(value, "policy")
  const other = typeof text === "string" ? PolicySource.parse(text) : undefined
  if (other !== undefined && Result.isFailure(other)) return yield* Effect.fail(`policy.test: ${other.failure.message}`)
  const policy = other === undefined ? running.status().policy : other.success.policy
  const subject = subjectIn(running, value)
  if (subject === undefined) return yield* Effect.fail("policy.test: not a fingerprint")
  const known = { subject, rules: Policy.rulesFor(policy, subject) }
  const isExposed = Json.member(value, "exposed") === undefined ? subject.isTrusted : value["exposed"] === true
  return explained(action, isExposed, running.guard.explain(policy, known, action, isExposed))
})

const subjectIn = ({ subject }: PolicyActor.Running, value: Json.JsonObject) => {
  const typed = Json.string(value, "fingerprint")
  if (typed === "") return subject(nodeOf(value)).subject
  const fingerprint = Fingerprint.parse(typed)
  return fingerprint === undefined ? undefined : { fingerprint, isTrusted: true, names: [], network: 0 }
}

const explained = (action: Action, isExposed: boolean, found: Explained): Json.JsonObject => {
  const { decision, known, left, isRoom } = found
  const { rule } = decision
  return {
    allowed: decision.isAllowed && isRoom,
    reason: decision.isAllowed && !isRoom ? "limit" : decision.reason,
    what: format(action),
    exposed: isExposed,
    ...subjectOf(known),
    ...(rule === undefined ? {} : { rule: rule.name, rule_number: rule.index + 1 }),
    limits: left.map((row) => ({ ...row }))
  }
}

const actionOf = (value: Json.JsonObject): Action | undefined => {
  const service = SERVICES.find((one) => one === Json.string(value, "service"))
  if (service === undefined) return undefined
  const args = Json.member(value, "arguments")
  const given = Json.isObject(args) ? args : undefined
  const text = (name: string) => {
    const found = Json.member(value, name)
    return typeof found === "string" && found !== "" ? { [name]: found } : {}
  }
  return {
    service,
    ...(service === "port" || service === "datagram" ? { port: Json.unsigned(value, "port", 16) } : {}),
    ...text("target"),
    ...text("tool"),
    ...(given === undefined ? {} : { argument: (name: string) => valueText(Json.member(given, name)) })
  }
}

const valueText = (value: Json.Json | undefined): string | undefined =>
  value === undefined ? undefined : typeof value === "string" ? value : JSON.stringify(value)

const append = (audit: AuditTrail.Running, entries: ReadonlyArray<Json.JsonObject>): Json.JsonObject => {
  let count = 0
  for (const entry of entries.slice(0, ENTRIES_MAX)) {
    const kind = KINDS.find((one): one is Kind => one === Json.string(entry, "kind"))
    const facts = Json.member(entry, "facts")
    if (kind === undefined || (!kind.startsWith("mcp.") && !kind.startsWith("policy."))) continue
    const node = Json.unsigned(entry, "node", 32)
    audit.record({ kind, ...(node === 0 ? {} : { node }), facts: Json.isObject(facts) ? facts : {} })
    count++
  }
  return { count, refusing: audit.isRefusing() }
}

const nodeOf = (value: Json.JsonObject): NodeId => NodeId(Json.unsigned(value, "node", 32))

/** Entries of one call. */
export const ENTRIES_MAX = 1024

/**
 * The node's policy in the keeper: the daemon says what is in force and who a peer is, the keeper decides about sessions and
 * calls where they are, and tells the daemon's audit log. What was last heard holds while the daemon is away; before it has
 * been heard nobody is let in.
 */
import { Clock, Effect, Queue, Result, Schedule, type Scope } from "effect"
import type { Trail } from "../../actors/audit/AuditTrail.ts"
import * as ServiceTable from "../../actors/mcp/keeper/ServiceTable.ts"
import { Decisions } from "../../actors/policy/Decisions.ts"
import type { Guard } from "../../actors/policy/PolicyGuard.ts"
import * as PolicySource from "../../actors/policy/PolicySource.ts"
import type { Known } from "../../actors/policy/Subjects.ts"
import * as Json from "../../core/data/Json.ts"
import type { Entry } from "../../protocol/audit/AuditLine.ts"
import * as Policy from "../../protocol/policy/Policy.ts"
import type { Subject } from "../../protocol/policy/Who.ts"
import type * as AuditChain from "../../protocol/relay/AuditChain.ts"
import type * as Address from "../../protocol/wire/Address.ts"
import { NodeId } from "../../protocol/wire/Address.ts"
import type { Environment } from "../Command.ts"
import * as DaemonClient from "../DaemonClient.ts"

/** The policy at work. */
export interface KeeperPolicy {
  readonly guard: Guard
  /** Whether a peer may open a session with a service: it was exposed to its key, or a rule grants it. */
  readonly admitting: (
    trustedKeys: (node: number) => Effect.Effect<Parameters<typeof ServiceTable.isAllowed>[1]>
  ) => (service: ServiceTable.Service, remote: Address.Address) => Effect.Effect<boolean>
  /** The record of calls, and the node's audit log beside it. */
  readonly recording: (record: Record) => Record
  /** Follows the daemon for ever; `changed` runs when another policy is in force. */
  readonly follow: (changed: Effect.Effect<void>) => Effect.Effect<never, never, Environment>
}

type Record = (call: AuditChain.Call) => void

/** `ask` asks the daemon; it gives undefined while that is away. */
export const make = Effect.fnUntraced(function* (
  ask: (operation: string, value: Json.JsonObject) => Effect.Effect<Json.JsonObject | undefined>
): Effect.fn.Return<KeeperPolicy, never, Scope.Scope> {
  const clock = yield* Clock.Clock
  const entries = yield* Queue.sliding<Entry>(ENTRIES_MAX)
  const known = new Map<number, Known>()
  let policy: Policy.Policy | undefined
  let isRefusing = false
  const trail: Trail = { record: (entry) => void Queue.offerUnsafe(entries, entry), isRefusing: () => isRefusing }
  const subject = (node: NodeId): Known => known.get(node) ?? NOBODY
  const guard = new Decisions({ nowMs: () => clock.currentTimeMillisUnsafe(), subject, trail })

  const remember = (node: number, found: Subject) => {
    known.delete(node)
    if (known.size >= SUBJECTS_MAX) known.delete(known.keys().next().value!)
    known.set(node, { subject: found, rules: Policy.rulesFor(policy ?? Policy.NONE, found) })
  }
  const enforce = (next: Policy.Policy) => {
    policy = next
    guard.follow(next)
    for (const [node, { subject }] of [...known]) remember(node, subject)
  }
  const tell = Effect.gen(function* () {
    const batch = yield* Queue.takeBetween(entries, 1, BATCH_MAX)
    const value = { entries: batch.map(({ facts = {}, kind, node = 0 }) => ({ kind, node, facts })) }
    const told = yield* ask("audit.append", value)
    if (told !== undefined) isRefusing = Json.boolean(told, "refusing")
    // Later ones are kept until it is back, and then there is room for fewer.
    else yield* Effect.sleep(RETRY)
  })
  yield* Effect.forkScoped(Effect.forever(tell))

  /** Sessions are looked at again only while the daemon can say who their peers are: a restart of it denies nobody. */
  const linked = Effect.repeat(ask("policy.subject", { node: 0 }), {
    until: (found) => found !== undefined,
    schedule: Schedule.spaced(LINK_INTERVAL)
  })
  let heard: string | undefined
  const followOnce = (changed: Effect.Effect<void>) =>
    Effect.gen(function* () {
      const client = yield* DaemonClient.connect
      let revision = 0
      while (true) {
        const reply = yield* client.extension("policy.wait", { revision })
        revision = Json.integer(reply, "revision")
        const text = Json.string(reply, "text")
        if (text === heard) continue
        heard = text
        const read = text === "" ? undefined : PolicySource.parse(text)
        if (read === undefined) enforce(Policy.NONE)
        // The daemon has read it, so it is one of another version.
        else if (Result.isFailure(read)) yield* Effect.logError(`policy: ${read.failure.message}`)
        else enforce(read.success.policy)
        yield* Effect.andThen(linked, changed)
      }
    }).pipe(Effect.scoped, Effect.ignore, Effect.andThen(Effect.sleep(RETRY)))

  return {
    guard,
    admitting:
      (trustedKeys) =>
      (service, { node }) =>
        Effect.gen(function* () {
          const isExposed = ServiceTable.isAllowed(service, yield* trustedKeys(node))
          if (policy === undefined) return false
          if (guard.isOpen()) return isExposed
          const found = yield* ask("policy.subject", { node })
          if (found === undefined) return false
          remember(node, {
            fingerprint: Json.string(found, "fingerprint"),
            formerFingerprints: Json.strings(found, "former_fingerprints"),
            isTrusted: Json.boolean(found, "trusted"),
            names: Json.strings(found, "names"),
            network: Json.integer(found, "network")
          })
          return guard.permits(NodeId(node), { service: "mcp", target: service.name }, isExposed)
        }),
    recording: (record) => (call) => {
      record(call)
      if (RECORDED.has(call.method)) trail.record(entryOf(call))
    },
    follow: (changed) => Effect.forever(followOnce(changed))
  }
})

const entryOf = (call: AuditChain.Call): Entry => {
  const { arguments: args, bytesIn, bytesOut, decision, durationMs, method, node, outcome, service, target } = call
  const facts = { service, method, ...(target === undefined ? {} : { target }), outcome, decision }
  const sizes = { bytesIn, bytesOut, durationMs, ...(args === undefined ? {} : { arguments: args }) }
  return { kind: "mcp.call", node, facts: { ...facts, ...sizes } }
}

const STRANGER: Subject = { fingerprint: "", isTrusted: false, names: [], network: 0 }
const NOBODY: Known = { subject: STRANGER, rules: Policy.rulesFor(Policy.NONE, STRANGER) }
/** What does something, or shows something; openings and lists are part of a session. */
const RECORDED: ReadonlySet<string> = new Set(["tools/call", "resources/read", "prompts/get"])
/** Entries for a daemon that is away; the oldest give way. */
const ENTRIES_MAX = 8192
const BATCH_MAX = 256
const SUBJECTS_MAX = 4096
const LINK_INTERVAL = "100 millis"
const RETRY = "500 millis"

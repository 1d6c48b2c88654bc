/**
 * A policy at work: every question of a node's services is answered here, with the limits that they have used up. The MCP
 * keeper has one of its own, over the same policy.
 *
 * Mutable, with one owner; called on the packet path, so it never waits.
 */
import type { Action, Service } from "../../protocol/policy/Action.ts"
import * as ActionText from "../../protocol/policy/Action.ts"
import { type Left, LimitTable } from "../../protocol/policy/LimitTable.ts"
import * as Policy from "../../protocol/policy/Policy.ts"
import type { NodeId, Port } from "../../protocol/wire/Address.ts"
import type { Trail } from "../audit/AuditTrail.ts"
import * as PolicyGuard from "./PolicyGuard.ts"
import type { Known } from "./Subjects.ts"

/** What decisions are made from. */
export interface Options {
  readonly nowMs: () => number
  readonly subject: (node: NodeId) => Known
  readonly trail: Trail
}

/** How often it was asked, and how often the answer was no. */
export interface Counters {
  asked: number
  denied: number
  limited: number
  granted: number
}

/** A decision with everything that explains it. */
export interface Explained {
  readonly decision: Policy.Decision
  readonly known: Known
  readonly left: ReadonlyArray<Left>
  /** The limits have room for one more. */
  readonly isRoom: boolean
}

/** The guard of one process. */
export class Decisions implements PolicyGuard.Guard {
  readonly #options: Options
  readonly counters: Counters = { asked: 0, denied: 0, limited: 0, granted: 0 }
  #policy: Policy.Policy = Policy.NONE
  #limits = new LimitTable()

  constructor(options: Options) {
    this.#options = options
  }

  /** Other rules hold from now on; what was used of limits is forgotten, and what is open stays counted nowhere. */
  follow(policy: Policy.Policy): void {
    this.#policy = policy
    this.#limits = new LimitTable()
  }

  readonly isOpen = (): boolean =>
    this.#policy.rules.length === 0 && !this.#policy.isDefaultNothing && this.#policy.audit.onFailure !== "refuse"

  readonly ask: PolicyGuard.Guard["ask"] = (node, action, isExposed, holds = false) => {
    if (this.isOpen()) return isExposed ? PolicyGuard.FREE : PolicyGuard.CLOSED
    return this.#answer(node, action, this.#decide(node, action, isExposed), holds)
  }

  readonly stream: PolicyGuard.Guard["stream"] = (node, port, isExposed) => {
    if (this.isOpen()) return isExposed ? PolicyGuard.FREE : PolicyGuard.CLOSED
    const action = { service: "port", port } as const
    return this.#answer(node, action, this.#decideStream(node, port, isExposed), true)
  }

  readonly permits: PolicyGuard.Guard["permits"] = (node, action, isExposed) =>
    this.isOpen() ? isExposed : this.#decide(node, action, isExposed).isAllowed

  readonly reaches: PolicyGuard.Guard["reaches"] = (node, port, isExposed) =>
    this.isOpen() ? isExposed : this.#decideStream(node, port, isExposed).isAllowed

  /** What this policy would say about one wish, and why; takes nothing. Of another one all limits are untouched. */
  explain(policy: Policy.Policy, known: Known, action: Action, isExposed: boolean): Explained {
    const nowMs = this.#options.nowMs()
    const decision = Policy.decide(policy, known.rules, action, isExposed, known.subject.isTrusted, nowMs)
    const limits = policy === this.#policy ? this.#limits : new LimitTable()
    const left = limits.left(decision.limits, whoOf(known), nowMs)
    const isSpent = left.some(({ bytes, concurrent, requests }) => [bytes, concurrent, requests].includes(0))
    return { decision, known, left, isRoom: !isSpent }
  }

  #decide(node: NodeId, action: Action, isExposed: boolean): Policy.Decision {
    const { rules, subject } = this.#options.subject(node)
    return Policy.decide(this.#policy, rules, action, isExposed, subject.isTrusted, this.#options.nowMs())
  }

  /** The port itself may be denied; else it is enough that something behind it is allowed. */
  #decideStream(node: NodeId, port: Port, isExposed: boolean): Policy.Decision {
    const own = this.#decide(node, { service: "port", port }, isExposed)
    if (own.reason === "denied" || own.reason === "notExposed") return own
    const behind = BEHIND[port]
    if (behind === undefined) return own
    const found = behind.map((service) => this.#decide(node, { service }, isExposed))
    const allowed = found.find(({ isAllowed }) => isAllowed)
    if (allowed === undefined) return own.reason === "allowed" ? own : (found[0] ?? own)
    const limits = own.isAllowed ? own.limits : []
    // Echo asks no further question, so its limits count here.
    return { ...allowed, limits: port === ECHO ? [...limits, ...allowed.limits] : limits }
  }

  #answer(node: NodeId, action: Action, decision: Policy.Decision, holds: boolean): PolicyGuard.Answer {
    this.counters.asked++
    if (!decision.isAllowed) return this.#refuse(node, action, decision.reason, decision.rule, "")
    if (this.#options.trail.isRefusing()) return this.#refuse(node, action, "audit", undefined, "")
    if (decision.reason === "granted") {
      this.counters.granted++
      this.#note("policy.granted", node, action, decision.reason, decision.rule)
    }
    if (decision.limits.length === 0) return decision.reason === "exposed" ? PolicyGuard.FREE : GRANTED
    return this.#bounded(node, action, decision, holds)
  }

  #bounded(node: NodeId, action: Action, decision: Policy.Decision, holds: boolean): PolicyGuard.Answer {
    const { nowMs, subject } = this.#options
    const who = whoOf(subject(node))
    const { limits } = decision
    const table = this.#limits
    const waitMs = table.take(limits, who, action.sizeBytes ?? 0, holds, nowMs())
    if (waitMs > 0)
      return this.#refuse(node, action, "limit", limits[0], `; try again in ${Math.ceil(waitMs / 1000)} s`)
    let isHeld = holds
    return {
      ...GRANTED,
      reason: decision.reason,
      isBounded: true,
      spend: (sizeBytes) => table.spend(limits, who, sizeBytes, nowMs()),
      release: () => {
        if (isHeld) table.release(limits, who)
        isHeld = false
      }
    }
  }

  #refuse(
    node: NodeId,
    action: Action,
    reason: Policy.Reason,
    rule: Policy.Rule | undefined,
    more: string
  ): PolicyGuard.Answer {
    this.counters.denied++
    if (reason === "limit") this.counters.limited++
    this.#note("policy.denied", node, action, reason, rule)
    return { ...PolicyGuard.CLOSED, reason, text: `${TEXTS[reason]}${more}` }
  }

  #note(
    kind: "policy.denied" | "policy.granted",
    node: NodeId,
    action: Action,
    reason: Policy.Reason,
    rule: Policy.Rule | undefined
  ): void {
    const facts = { what: ActionText.format(action), reason, ...(rule === undefined ? {} : { rule: rule.name }) }
    this.#options.trail.record({ kind, node, facts })
  }
}

/** Strangers share what there is for them. */
const whoOf = ({ subject }: Known): string => subject.fingerprint

const GRANTED: PolicyGuard.Answer = { ...PolicyGuard.FREE, reason: "allowed" }

const ECHO = 7
/** The services that a stream to one of these ports can be for. */
const BEHIND: Readonly<Record<number, ReadonlyArray<Service>>> = {
  [ECHO]: ["echo"],
  1001: ["messages", "files/push", "files/pull"],
  1002: ["events/publish", "events/subscribe"],
  1003: ["tasks"],
  6270: ["mcp"]
}

/** What peers are told: not by which rule. */
const TEXTS: Readonly<Record<Policy.Reason, string>> = {
  exposed: "",
  allowed: "",
  granted: "",
  denied: "the policy of this node denies it",
  default: "the policy of this node does not allow it",
  notExposed: "not exposed to this peer",
  limit: "the policy of this node allows no more of it now",
  audit: "this node cannot record it now"
}

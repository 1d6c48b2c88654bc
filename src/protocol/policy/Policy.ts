/**
 * The policy of a node, and its decision about one wish of one peer.
 *
 * 1. A denial in force wins, whatever else is said.
 * 2. What was exposed to the peer is allowed, as without a policy; with `default: "nothing"` only if a rule allows it.
 * 3. A rule that allows a named thing to a trusted peer grants it, even if it was not exposed to that peer.
 * 4. Then the limits: of the rules with `limit`, and of the rule that allowed.
 *
 * A stranger is never granted anything: for it rules can only take away (security rules 2 and 3).
 */
import { Result } from "effect"
import type { Action, Service } from "./Action.ts"
import type { AuditSettings, Limit, PolicyDocument, Rule as WrittenRule } from "./PolicyDocument.ts"
import * as RuleTime from "./RuleTime.ts"
import * as What from "./What.ts"
import * as Who from "./Who.ts"

/** One rule, read. */
export interface Rule {
  /** In the file, from 0. */
  readonly index: number
  readonly name: string
  readonly effect: "allow" | "deny" | "limit"
  readonly who: ReadonlyArray<Who.Who>
  readonly except: ReadonlyArray<Who.Who>
  readonly what: ReadonlyArray<What.What>
  readonly limit: Limit | undefined
  readonly time: RuleTime.RuleTime
}

/** Read once, and then only looked at. */
export interface Policy {
  readonly isDefaultNothing: boolean
  readonly tags: Who.Tags
  readonly rules: ReadonlyArray<Rule>
  readonly audit: AuditSettings
}

/** What is wrong, and where in the document. */
export interface Problem {
  readonly path: ReadonlyArray<string | number>
  readonly detail: string
}

/** The policy of a node without a file: what was exposed is allowed. */
export const NONE: Policy = { isDefaultNothing: false, tags: new Map(), rules: [], audit: {} }

/** Reads what was written. */
export const compile = (document: PolicyDocument): Result.Result<Policy, Problem> => {
  const tags = tagsOf(document.tags ?? {})
  if (Result.isFailure(tags)) return Result.fail(tags.failure)
  const rules: Array<Rule> = []
  const names = new Set<string>()
  for (const [index, written] of document.rules.entries()) {
    const rule = ruleOf(written, index, tags.success)
    if (Result.isFailure(rule)) return Result.fail(inside(["rules", index], rule.failure))
    if (names.has(rule.success.name))
      return Result.fail({ path: ["rules", index, "name"], detail: `${rule.success.name} is the name of another rule` })
    names.add(rule.success.name)
    rules.push(rule.success)
  }
  return Result.succeed({
    isDefaultNothing: document.default === "nothing",
    tags: tags.success,
    rules,
    audit: document.audit ?? {}
  })
}

/** The rules that speak of one peer, by service, so that a decision looks at no others. */
export type SubjectRules = ReadonlyMap<Service, ReadonlyArray<Rule>>

/** Those of a peer. */
export const rulesFor = (self: Policy, subject: Who.Subject): SubjectRules => {
  const found = new Map<Service, Array<Rule>>()
  const isOne = (who: Who.Who) => Who.matches(who, subject, self.tags)
  for (const rule of self.rules) {
    if (!rule.who.some(isOne) || rule.except.some(isOne)) continue
    for (const service of new Set(rule.what.flatMap(({ services }) => services))) {
      const rules = found.get(service)
      if (rules === undefined) found.set(service, [rule])
      else rules.push(rule)
    }
  }
  return found
}

/** Why. */
export type Reason =
  /** It was exposed to the peer, and nothing is against it. */
  | "exposed"
  /** A rule allows what was exposed. */
  | "allowed"
  /** A rule allows what was not exposed to this peer. */
  | "granted"
  | "denied"
  /** `default: "nothing"`, and no rule allows it. */
  | "default"
  /** It was not exposed to this peer, and no rule grants it. */
  | "notExposed"
  /** Too much in too little time; `retryAfterMs` says when there is room again. */
  | "limit"
  /** The record cannot be written, and the policy wants none of what it could not hold. */
  | "audit"

/** The decision, before limits. */
export interface Decision {
  readonly isAllowed: boolean
  readonly reason: Reason
  /** Which rule decided, if one did. */
  readonly rule: Rule | undefined
  /** Whose limits count. */
  readonly limits: ReadonlyArray<Rule>
}

/** Decides about one wish. `isExposed`: whether the service would let the peer without any policy. */
export const decide = (
  self: Policy,
  rules: SubjectRules,
  action: Action,
  isExposed: boolean,
  isTrusted: boolean,
  nowMs: number
): Decision => {
  let allowing: Rule | undefined
  let granting: Rule | undefined
  let limits: Array<Rule> | undefined
  for (const rule of rules.get(action.service) ?? NO_RULES) {
    if (!RuleTime.includes(rule.time, nowMs)) continue
    if (rule.effect === "deny") {
      if (rule.what.some((what) => What.denies(what, action))) return no("denied", rule)
      continue
    }
    const what = rule.what.find((entry) => What.permits(entry, action))
    if (what === undefined) continue
    if (rule.effect === "limit") {
      limits ??= []
      limits.push(rule)
      continue
    }
    allowing ??= rule
    if (granting === undefined && rule.what.some((entry) => What.isNamed(entry) && What.permits(entry, action)))
      granting = rule
  }
  if (!isExposed) {
    if (granting === undefined || !isTrusted) return no("notExposed", undefined)
    return yes("granted", granting, limits)
  }
  if (allowing !== undefined) return yes("allowed", allowing, limits)
  return self.isDefaultNothing ? no("default", undefined) : yes("exposed", undefined, limits)
}

const no = (reason: Reason, rule: Rule | undefined): Decision => ({ isAllowed: false, reason, rule, limits: NO_RULES })

const yes = (reason: Reason, rule: Rule | undefined, limits: Array<Rule> | undefined): Decision => {
  const own = rule?.limit === undefined ? [] : [rule]
  return { isAllowed: true, reason, rule, limits: limits === undefined ? own : [...own, ...limits] }
}

const tagsOf = (written: Readonly<Record<string, ReadonlyArray<string>>>): Result.Result<Who.Tags, Problem> => {
  const tags = new Map<string, ReadonlyArray<Who.Who>>()
  for (const [tag, members] of Object.entries(written)) {
    if (!Who.TAG.test(tag)) return Result.fail({ path: ["tags", tag], detail: `${JSON.stringify(tag)} is no tag` })
    const read = whoOf(members, ["tags", tag], undefined)
    if (Result.isFailure(read)) return Result.fail(read.failure)
    const other = read.success.findIndex(({ _tag }) => _tag !== "Key" && _tag !== "Name")
    if (other >= 0)
      return Result.fail({ path: ["tags", tag, other], detail: "a tag has members key:FINGERPRINT and name:NAME" })
    tags.set(tag, read.success)
  }
  return Result.succeed(tags)
}

const whoOf = (
  texts: ReadonlyArray<string>,
  path: Problem["path"],
  tags: Who.Tags | undefined
): Result.Result<ReadonlyArray<Who.Who>, Problem> => {
  const found: Array<Who.Who> = []
  for (const [index, text] of texts.entries()) {
    const who = Who.parse(text)
    if (Result.isFailure(who)) return Result.fail({ path: [...path, index], detail: who.failure })
    if (tags !== undefined && who.success._tag === "Tag" && !tags.has(who.success.tag))
      return Result.fail({
        path: [...path, index],
        detail: `nobody bears the tag ${who.success.tag}: add it to "tags"`
      })
    found.push(who.success)
  }
  return Result.succeed(found)
}

const ruleOf = (written: WrittenRule, index: number, tags: Who.Tags): Result.Result<Rule, Problem> => {
  const { effect, limit } = written
  const who = whoOf(written.who, ["who"], tags)
  if (Result.isFailure(who)) return Result.fail(who.failure)
  const except = whoOf(written.except ?? [], ["except"], tags)
  if (Result.isFailure(except)) return Result.fail(except.failure)
  const time = RuleTime.of(written)
  if (Result.isFailure(time)) return Result.fail(time.failure)
  const what: Array<What.What> = []
  for (const [at, text] of written.what.entries()) {
    const entry = What.parse(text)
    if (Result.isFailure(entry)) return Result.fail({ path: ["what", at], detail: entry.failure })
    what.push(entry.success)
  }
  if (effect === "deny" && limit !== undefined)
    return Result.fail({ path: ["limit"], detail: "what is denied has no limit" })
  const isEmpty = limit === undefined || Object.keys(limit).length === 0
  if (effect === "limit" && isEmpty)
    return Result.fail({ path: ["effect"], detail: "a limit says requestsPerMinute, bytesPerMinute or concurrent" })
  const name = written.name ?? `rule ${index + 1}`
  if (name.length === 0 || name.length > NAME_CHARACTERS_MAX)
    return Result.fail({ path: ["name"], detail: `a name has 1 to ${NAME_CHARACTERS_MAX} characters` })
  return Result.succeed({
    index,
    name,
    effect,
    who: who.success,
    except: except.success,
    what,
    limit: isEmpty ? undefined : limit,
    time: time.success
  })
}

const inside = (path: Problem["path"], problem: Problem): Problem => ({ ...problem, path: [...path, ...problem.path] })

const NO_RULES: ReadonlyArray<Rule> = []
const NAME_CHARACTERS_MAX = 100

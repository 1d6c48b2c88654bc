/** Policies and peers for tests. */
import { Result } from "effect"
import * as PolicyText from "../../src/actors/policy/PolicyText.ts"
import * as Policy from "../../src/protocol/policy/Policy.ts"
import type { Subject } from "../../src/protocol/policy/Who.ts"

/** A fingerprint that begins so. */
export const key = (letter: string): string => Array.from({ length: 8 }, () => letter.repeat(4)).join("-")

/** A trusted peer. */
export const peer = (letter: string, names: ReadonlyArray<string> = [], network = 0): Subject => ({
  fingerprint: key(letter),
  isTrusted: true,
  names,
  network
})

/** Somebody. */
export const STRANGER: Subject = { fingerprint: "", isTrusted: false, names: [], network: 0 }

/** Rules, as a file would hold them. */
export const text = (rules: ReadonlyArray<object>, others: object = {}): string =>
  JSON.stringify({ version: 1, rules, ...others })

/** What they mean. */
export const policy = (rules: ReadonlyArray<object>, others: object = {}): Policy.Policy =>
  Result.getOrThrow(PolicyText.parse(text(rules, others)))

/** `reason` or `reason by rule`. */
export const verdict = (
  self: Policy.Policy,
  subject: Subject,
  action: Parameters<typeof Policy.decide>[2],
  isExposed = true,
  nowMs = 0
): string => {
  const found = Policy.decide(self, Policy.rulesFor(self, subject), action, isExposed, subject.isTrusted, nowMs)
  return `${found.isAllowed ? "yes" : "no"} ${found.reason}${found.rule === undefined ? "" : ` by ${found.rule.name}`}`
}

/** Policies and decisions as people read them. */
import * as Json from "../../core/data/Json.ts"
import type * as Policy from "../../protocol/policy/Policy.ts"
import type { Who } from "../../protocol/policy/Who.ts"

/** The rules of a policy, as data. */
export const of = (path: string, policy: Policy.Policy): Json.JsonObject => ({
  path,
  default: policy.isDefaultNothing ? "nothing" : "exposed",
  tags: Object.fromEntries([...policy.tags].map(([tag, members]) => [tag, members.map(whoText)])),
  rules: policy.rules.map(({ effect, except, limit, name, time, what, who }) => ({
    name,
    effect,
    who: who.map(whoText),
    ...(except.length === 0 ? {} : { except: except.map(whoText) }),
    what: what.map(({ text }) => text),
    ...(limit === undefined ? {} : { limit: { ...limit } }),
    ...instant("from", time.fromMs),
    ...instant("until", time.untilMs),
    ...(time.hours === undefined ? {} : { hours: `${clock(time.hours.from)}-${clock(time.hours.to)}` })
  }))
})

/** One rule a line. */
export const text = (data: Json.JsonObject): string => {
  const lines = Json.objects(data, "rules").map((rule, index) => {
    const limit = Json.member(rule, "limit")
    const parts = [
      `${index + 1}. ${Json.string(rule, "name")}: ${Json.string(rule, "effect")}`,
      Json.strings(rule, "what").join(", "),
      "for",
      Json.strings(rule, "who").join(", ")
    ]
    const except = Json.strings(rule, "except")
    if (except.length > 0) parts.push("except", except.join(", "))
    if (Json.isObject(limit))
      parts.push(
        "at most",
        Object.entries(limit)
          .map(([key, value]) => `${value} ${LIMITS[key] ?? key}`)
          .join(", ")
      )
    for (const key of ["from", "until", "hours"])
      if (Json.string(rule, key) !== "") parts.push(key, Json.string(rule, key))
    return parts.join(" ")
  })
  const fallback =
    Json.string(data, "default") === "nothing" ? "all else is denied" : "all else: what was exposed is allowed"
  return [...lines, fallback].join("\n")
}

/** What is in force. */
export const status = (data: Json.JsonObject): string => {
  const problem = Json.member(data, "problem")
  const count = (key: string) => Json.integer(data, key)
  const file = Json.boolean(data, "file") ? Json.string(data, "path") : `no file (${Json.string(data, "path")})`
  return [
    `Policy: ${file}, ${count("rules")} rules, default ${Json.string(data, "default")}`,
    `  In force since ${Json.string(data, "loaded_at")} (revision ${count("revision")})`,
    `  Asked ${count("asked")}, denied ${count("denied")} (${count("limited")} by limits), granted ${count("granted")}`,
    ...(Json.isObject(problem) ? [`  REFUSED the file as it is now: ${place(problem)}`] : [])
  ].join("\n")
}

/** Where a file is wrong, and how. */
export const place = (problem: Json.JsonObject): string =>
  `line ${Json.integer(problem, "line")}, column ${Json.integer(problem, "column")}: ${Json.string(problem, "detail")}`

/** Why something is allowed or not. */
export const decision = (data: Json.JsonObject): string => {
  const rule = Json.string(data, "rule")
  const names = Json.strings(data, "names")
  const peer = Json.boolean(data, "trusted")
    ? [Json.string(data, "fingerprint"), ...names].join(", ")
    : "a stranger: not trusted here"
  return [
    `${Json.boolean(data, "allowed") ? "ALLOWED" : "DENIED"}  ${Json.string(data, "what")}`,
    `  peer    ${peer}`,
    `  why     ${REASONS[Json.string(data, "reason")] ?? Json.string(data, "reason")}`,
    ...(rule === "" ? [] : [`  rule    ${rule} (number ${Json.integer(data, "rule_number")})`]),
    ...Json.objects(data, "limits").map((row) => `  left    ${leftText(row)}`)
  ].join("\n")
}

const leftText = (row: Json.JsonObject): string => {
  const parts = ["requests", "bytes", "concurrent"].flatMap((key) => {
    const value = Json.member(row, key)
    return value === undefined ? [] : [`${value} ${key}`]
  })
  return `${parts.join(", ")} under ${Json.string(row, "rule")}`
}

const whoText = (who: Who): string => {
  switch (who._tag) {
    case "Anyone":
      return "anyone"
    case "Trusted":
      return "trusted"
    case "Key":
      return `key:${who.fingerprint}`
    case "Name":
      return `name:${who.name}`
    case "Tag":
      return `tag:${who.tag}`
    case "Network":
      return `network:${who.network}`
  }
}

const instant = (key: string, atMs: number) => (Number.isFinite(atMs) ? { [key]: new Date(atMs).toISOString() } : {})
const clock = (minutes: number): string =>
  [Math.floor(minutes / 60), minutes % 60].map((part) => String(part).padStart(2, "0")).join(":")

const LIMITS: Readonly<Record<string, string>> = {
  requestsPerMinute: "requests a minute",
  bytesPerMinute: "bytes a minute",
  concurrent: "at the same time"
}
const REASONS: Readonly<Record<string, string>> = {
  exposed: "it was exposed to this peer, and no rule is against it",
  allowed: "a rule allows it",
  granted: "it was not exposed to this peer, and a rule grants it",
  denied: "a rule denies it",
  default: "the default is nothing, and no rule allows it",
  notExposed: "it was not exposed to this peer, and no rule grants it",
  limit: "it is allowed, but a limit is used up now",
  audit: "the audit log cannot be written, and the policy refuses what cannot be recorded"
}

import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import * as Policy from "../../../src/protocol/relay/Policy.ts"

const RULES: Policy.Rules = { tools: [], transparent: false, identify: false }
const QUESTION: Policy.Question = {
  kind: "Request",
  method: "tools/call",
  target: "read_file",
  argument: () => undefined,
  sizeBytes: 10,
  usage: { calls: 0, concurrent: 0, bytes: 0 }
}
const decide = (rules: Partial<Policy.Rules>, question: Partial<Policy.Question>) => {
  const all = { ...RULES, ...rules }
  const decision = Policy.decide(all, Policy.patternsOf(all), { ...QUESTION, ...question })
  return decision._tag === "Deny" ? decision.reason : "allow"
}

const Usage = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 5 }))

describe("Policy", () => {
  it("methods that no revision knows pass only through a transparent service (mcp §6.10)", () => {
    assert.strictEqual(decide({}, { method: "server/upgrade" }), "method")
    assert.strictEqual(decide({ transparent: true }, { method: "server/upgrade" }), "allow")
    assert.strictEqual(decide({}, { method: "tools/list" }), "allow")
    assert.strictEqual(decide({}, { kind: "Notification", method: "notifications/initialized" }), "allow")
    assert.strictEqual(decide({}, { kind: "Notification", method: "notifications/own" }), "method")
  })

  it("a call without an id, or with one that is none, is not passed on, transparent or not", () => {
    for (const kind of ["Notification", "Other"] as const) {
      assert.strictEqual(decide({ transparent: true }, { kind }), "method")
    }
  })

  it("answers to what the server asked always pass", () => {
    assert.strictEqual(decide({ tools: ["!*"] }, { kind: "Response", method: "" }), "allow")
  })

  it("tools pass by the owner's patterns; one that cannot be read permits nothing", () => {
    assert.strictEqual(decide({ tools: ["read_*"] }, {}), "allow")
    assert.strictEqual(decide({ tools: ["write_*"] }, {}), "tool")
    assert.strictEqual(decide({ tools: ["read_*"] }, { target: undefined }), "tool")
    assert.strictEqual(decide({ tools: ["read_*", "read("] }, {}), "tool")
    assert.strictEqual(decide({ tools: ["read_*"] }, { method: "tools/list", target: undefined }), "allow")
  })

  it.prop(
    "a request passes exactly while every count is below its bound",
    {
      calls: Usage,
      concurrent: Usage,
      bytes: Usage,
      quota: Schema.Struct({ calls: Usage, concurrent: Usage, bytes: Usage })
    },
    ({ bytes, calls, concurrent, quota }) => {
      const rules = {
        quota: { callsPerMinute: quota.calls, concurrent: quota.concurrent, bytesPerMinute: quota.bytes * 10 }
      }
      const fits = calls < quota.calls && concurrent < quota.concurrent && bytes < quota.bytes
      const question = { usage: { calls, concurrent, bytes: bytes * 10 } }
      assert.strictEqual(decide(rules, question), fits ? "allow" : "quota")
      assert.strictEqual(
        decide(rules, { ...question, kind: "Notification", method: "notifications/progress" }),
        "allow"
      )
    }
  )
})

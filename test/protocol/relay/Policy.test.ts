import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import * as Policy from "../../../src/protocol/relay/Policy.ts"
import * as ToolPattern from "../../../src/protocol/relay/ToolPattern.ts"

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
  return decision._tag === "Deny" ? decision.reason : decision._tag === "Ask" ? "ask" : "allow"
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

  it("a call is asked about by name and by what its arguments could be; nothing else is", () => {
    const asks = (ask: ReadonlyArray<string>, target: string, value?: string | typeof ToolPattern.UNCLEAR) =>
      decide({ ask }, { target, argument: () => value })
    assert.strictEqual(asks(["write_*"], "write_file"), "ask")
    assert.strictEqual(asks(["write_*"], "read_file"), "allow")
    assert.strictEqual(asks(["write_*", "!write_log"], "write_log"), "allow")
    assert.strictEqual(asks(["!read_*"], "write_log"), "ask")
    assert.strictEqual(asks(["write(path=/etc/*)"], "write", "/etc/passwd"), "ask")
    assert.strictEqual(asks(["write(path=/etc/*)"], "write", "/tmp/a"), "allow")
    assert.strictEqual(asks(["write(path=/etc/*)"], "write", ToolPattern.UNCLEAR), "ask")
    assert.strictEqual(asks(["write(path=/etc/*)"], "write", "/tmp/../etc/passwd"), "ask")
    assert.strictEqual(asks(["write*", "!write(path=/tmp/*)"], "write", "/tmp/a"), "allow")
    assert.strictEqual(asks(["write*", "!write(path=/tmp/*)"], "write", ToolPattern.UNCLEAR), "ask")
    assert.strictEqual(asks(["read("], "anything"), "ask")
    assert.strictEqual(decide({ ask: ["*"] }, { method: "tools/list", target: undefined }), "allow")
    assert.strictEqual(decide({ ask: ["*"], tools: ["read"] }, { target: "write" }), "tool")
    assert.strictEqual(decide({ ask: ["*"] }, { target: undefined }), "tool")
  })

  it("a deadline is that of the first pattern that names the tool, or the one for all; others have the ceiling", () => {
    const deadlines = [
      { tools: "*", ms: 1000 },
      { tools: "report_*", ms: 2000 },
      { tools: "report_year", ms: 3000 }
    ]
    const of = (method: string, target?: string) => Policy.deadlineMs(deadlines, method, target)
    assert.strictEqual(of("tools/call", "report_year"), 2000)
    assert.strictEqual(of("tools/call", "other"), 1000)
    assert.strictEqual(of("resources/read", "report_year"), 1000)
    assert.strictEqual(of("initialize"), Policy.DEADLINE_MAX_MS)
    assert.isUndefined(of("subscriptions/listen"))
    assert.strictEqual(Policy.deadlineMs(undefined, "tools/call", "other"), Policy.DEADLINE_MAX_MS)
    assert.strictEqual(Policy.deadlineMs(deadlines.slice(1), "tools/call", "other"), Policy.DEADLINE_MAX_MS)
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

import { assert, describe, it } from "@effect/vitest"
import { Result } from "effect"
import type { Input } from "../../src/cli/Command.ts"
import * as McpCallRules from "../../src/cli/mcp/McpCallRules.ts"

const input = (flags: Readonly<Record<string, ReadonlyArray<string>>>): Input => ({
  positionals: [],
  flags: new Map(Object.entries(flags)),
  rest: undefined,
  json: false
})
const asked = (flags: Readonly<Record<string, ReadonlyArray<string>>>, before = {}) =>
  Result.match(McpCallRules.asked(input(flags), before), {
    onFailure: ({ message }) => message,
    onSuccess: (rule) => rule
  })
const deadlines = (...texts: ReadonlyArray<string>) =>
  Result.match(McpCallRules.deadlines(input({ deadline: texts }), [{ tools: "*", ms: 5000 }]), {
    onFailure: ({ message }) => message,
    onSuccess: (rule) => rule
  })

describe("rules about single calls", () => {
  it("which are asked about, and for how long; what no flag mentions stays", () => {
    assert.deepStrictEqual(asked({ ask: ["write_*,!write_log", "rm(path=/*)"] }), {
      ask: ["write_*", "!write_log", "rm(path=/*)"]
    })
    assert.deepStrictEqual(asked({ "ask-for": ["90s"] }, { ask: ["a"] }), { ask: ["a"], askMs: 90_000 })
    assert.deepStrictEqual(asked({}, { ask: ["a"], askMs: 5000 }), { ask: ["a"], askMs: 5000 })
    assert.deepStrictEqual(asked({ ask: [""] }, { ask: ["a"], askMs: 5000 }), {})
    assert.include(asked({ ask: ["write("] }), "invalid --ask")
    assert.include(asked({ "ask-for": ["10m"] }), "without --ask")
    for (const wrong of ["10ms", "25h"]) assert.include(asked({ ask: ["a"], "ask-for": [wrong] }), "a second at least")
    assert.include(asked({ ask: ["a"], "ask-for": ["soon"] }), "invalid --ask-for")
  })

  it("deadlines for all and for some tools; 0 takes them away", () => {
    assert.deepStrictEqual(deadlines("30s", "report_*=10m"), [
      { tools: "*", ms: 30_000 },
      { tools: "report_*", ms: 600_000 }
    ])
    assert.isUndefined(deadlines("0"))
    for (const wrong of ["soon", "1ms", "25h", "!a=1s", "read(a=b)=1s", "=1s", "a=", "a b=1s"]) {
      assert.include(deadlines(wrong), `invalid --deadline ${JSON.stringify(wrong)}`)
    }
    assert.include(deadlines(...Array.from({ length: 65 }, (_, index) => `t${index}=1s`)), "65 deadlines")
  })
})

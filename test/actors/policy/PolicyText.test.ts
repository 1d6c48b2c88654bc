import { assert, describe, it } from "@effect/vitest"
import { Result } from "effect"
import * as PolicyText from "../../../src/actors/policy/PolicyText.ts"
import { text } from "../../support/PolicyRig.ts"

const problem = (written: string): string => {
  const parsed = PolicyText.parse(written)
  return Result.isFailure(parsed) ? parsed.failure.message : "none"
}

const RULE = { effect: "deny", who: ["trusted"], what: ["*"] }

describe("policy.jsonc", () => {
  it("is JSON with comments and trailing commas", () => {
    const written = `// who
{
  "version": 1, /* the only one */
  "rules": [{ "effect": "deny", "who": ["trusted"], "what": ["messages"], },],
}`
    assert.strictEqual(problem(written), "none")
  })

  it("names line and column of what is no JSON", () => {
    assert.strictEqual(problem(""), "line 1, column 1: a value should be here")
    assert.strictEqual(problem('{\n  "version": 1,\n  "rules" []\n}'), "line 3, column 11: a colon should be here")
    assert.strictEqual(
      problem('{ "version": 1,\n "rules": ['),
      "line 2, column 12: the file ends inside a list: ] is missing"
    )
  })

  it("names the place of what the policy does not know, lacks, or cannot mean", () => {
    const at = (rule: object, others: object = {}) => problem(text([{ ...RULE, ...rule }], others))

    assert.match(problem('{\n "version": 2,\n "rules": [] }'), /^line 2, column 13: .*\(version\)$/)
    assert.match(problem('{\n "version": 1 }'), /^line 1, column 1: .*\(rules\)$/)
    assert.match(at({ wat: 1 }), /excess property \(rules\[0\]\.wat\)$/)
    assert.match(at({ effect: "maybe" }), /\(rules\[0\]\.effect\)$/)
    assert.match(at({ who: [] }), /\(rules\[0\]\.who\)$/)
    assert.match(at({ who: ["key:XYZ"] }), /"XYZ" is no fingerprint.*\(rules\[0\]\.who\[0\]\)$/)
    assert.match(at({ who: ["everybody"] }), /names nobody/)
    assert.match(at({ who: ["tag:ops"] }), /nobody bears the tag ops/)
    assert.match(at({}, { tags: { ops: ["trusted"] } }), /a tag has members.*\(tags\.ops\[0\]\)$/)
    assert.match(at({ what: ["jobs/x"] }), /no such service.*\(rules\[0\]\.what\[0\]\)$/)
    assert.match(at({ what: ["mcp//read_*"] }), /a server and a tool/)
    assert.match(at({ what: ["port/70000"] }), /a port is 0 to 65535/)
    assert.match(at({ what: ["port/9-8"] }), /a port is/)
    assert.match(at({ what: ["files/get"] }), /files\/push/)
    assert.match(at({ what: ["mcp/a/b(c"] }), /a tool is/)
    assert.match(at({ limit: { concurrent: 1 } }), /what is denied has no limit/)
    assert.match(at({ effect: "limit" }), /a limit says/)
    assert.match(at({ until: "tomorrow" }), /must be an instant.*\(rules\[0\]\.until\)$/)
    assert.match(at({ until: "2026-02-29T00:00:00Z" }), /must be an instant/)
    assert.match(at({ hours: { from: "08:00", to: "24:00" } }), /\(rules\[0\]\.hours\.to\)$/)
    assert.match(
      problem(
        text([
          { ...RULE, name: "a" },
          { ...RULE, name: "a" }
        ])
      ),
      /another rule/
    )
  })

  it("refuses keys that are there twice or mean something to programs, and what is too deep to read", () => {
    assert.match(problem('{"version":1,"rules":[],\n"rules":[]}'), /^line 2, column 1: "rules" cannot be a key here$/)
    assert.match(problem('{"version":1,"rules":[],"tags":{"__proto__":["name:a"]}}'), /cannot be a key/)
    assert.match(problem("[".repeat(200_000)), /^line 1, column 33: nested deeper than 32$/)
  })
})

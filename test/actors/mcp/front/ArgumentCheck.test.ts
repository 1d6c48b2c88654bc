import { assert, describe, it } from "@effect/vitest"
import * as ArgumentCheck from "../../../../src/actors/mcp/front/ArgumentCheck.ts"
import type { Json } from "../../../../src/core/data/Json.ts"

const SCHEMA = {
  $schema: "http://json-schema.org/draft-07/schema#",
  type: "object",
  properties: { path: { type: "string" }, count: { type: "integer", minimum: 1 } },
  required: ["path"],
  additionalProperties: false
}

describe("ArgumentCheck", () => {
  it("says what does not fit, and nothing of what does, in any dialect", () => {
    for (const $schema of [SCHEMA.$schema, "https://json-schema.org/draft/2020-12/schema", "urn:unknown"]) {
      const schema = { ...SCHEMA, $schema, $id: "https://example.com/a" }
      assert.deepStrictEqual(ArgumentCheck.problems(schema, { path: "a", count: 2 }), [])
      assert.deepStrictEqual(ArgumentCheck.problems(schema, { path: "a", count: 0 }), ["arguments/count: must be >= 1"])
      assert.lengthOf(ArgumentCheck.problems(schema, { count: 2 }), 1)
      assert.lengthOf(ArgumentCheck.problems(schema, { path: "a", other: 1 }), 1)
    }
  })

  it("a schema that cannot be used here leaves the decision to the server", () => {
    const unusable: ReadonlyArray<Json> = [
      5,
      { type: "nonsense" },
      { $ref: "https://example.com/schema.json" },
      { properties: { a: { $ref: "#/$defs/none" } } }
    ]
    for (const schema of unusable) assert.deepStrictEqual(ArgumentCheck.problems(schema, { a: 1 }), [])
    assert.deepStrictEqual(ArgumentCheck.problems(undefined, {}), [])
  })

  it("a pattern that would run for ever is never run", () => {
    const schema = { properties: { a: { type: "string", pattern: "^(a+)+$" } }, patternProperties: { "^(x+)+$": {} } }
    assert.deepStrictEqual(ArgumentCheck.problems(schema, { a: `${"a".repeat(5000)}!` }), [])
  })

  it("a schema that doubles itself is not compiled", () => {
    const $defs = Object.fromEntries(
      Array.from({ length: 60 }, (_, level) => [
        `d${level}`,
        { allOf: [{ $ref: `#/$defs/d${level + 1}` }, { $ref: `#/$defs/d${level + 1}` }] }
      ])
    )
    const schema = { properties: { a: { $ref: "#/$defs/d0" } }, $defs: { ...$defs, d60: { type: "string" } } }
    assert.deepStrictEqual(ArgumentCheck.problems(schema, { a: 1 }), [])
  })
})

import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { Tool } from "effect/ai"
import * as Json from "../../../src/core/data/Json.ts"
import * as SchemaMatch from "../../../src/protocol/mcp/SchemaMatch.ts"

const schemaOf = (parameters: Schema.Constraint): Json.JsonObject =>
  Json.parseObject(JSON.stringify(Tool.getJsonSchemaFromSchema(parameters))) ?? {}

const Sent = schemaOf(
  Schema.Struct({
    path: Schema.String,
    depth: Schema.optionalKey(Schema.Int),
    mode: Schema.Literals(["fast", "safe"]),
    filter: Schema.Struct({ owner: Schema.String }),
    tags: Schema.Array(Schema.String)
  })
)

const wanted = (properties: Json.JsonObject, more: Json.JsonObject = {}): Json.JsonObject => ({
  type: "object",
  properties,
  ...more
})

describe("SchemaMatch", () => {
  it("a schema takes what it describes, and one that says nothing takes everything", () => {
    for (const other of [Sent, {}, { type: "object" }, { $ref: "#/$defs/Any" }]) {
      assert.deepStrictEqual(SchemaMatch.disagreements(Sent, other), [])
    }
  })

  it("names what is missing, what is only sometimes there, what is not known, and what is of another type", () => {
    const other = wanted(
      {
        path: { type: "integer" },
        depth: { type: ["number", "null"] },
        mode: { enum: ["fast", "slow"] },
        filter: wanted({ owner: { type: "number" } }, { required: ["owner", "since"] }),
        tags: { type: "array", items: { anyOf: [{ type: "number" }, { const: true }] } },
        user: { type: "string" }
      },
      { required: ["user", "depth"] }
    )

    assert.deepStrictEqual(SchemaMatch.disagreements(Sent, other).toSorted(), [
      "depth is required, not optional",
      "filter.owner is number, not string",
      "filter.since is required",
      "path is integer, not string",
      "tags[] is number or boolean, not string",
      "user is required"
    ])
    assert.deepStrictEqual(
      SchemaMatch.disagreements(Sent, wanted({ path: true, mode: {}, filter: {} }, { additionalProperties: false })),
      ["depth is not known", "tags is not known"]
    )
    assert.deepStrictEqual(SchemaMatch.disagreements(Sent, { type: "string" }), [
      "the arguments are string, not object"
    ])
  })

  it("what is nested without end is not followed without end", () => {
    const nest = (depth: number): Json.JsonObject =>
      depth === 0 ? { type: "string" } : wanted({ in: nest(depth - 1) })
    const differ = (depth: number): Json.JsonObject =>
      depth === 0 ? { type: "number" } : wanted({ in: differ(depth - 1) })

    assert.strictEqual(SchemaMatch.disagreements(nest(5), differ(5)).length, 1)
    assert.deepStrictEqual(SchemaMatch.disagreements(nest(100), differ(100)), [])
  })
})

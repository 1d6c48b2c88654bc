import { assert, describe, it } from "@effect/vitest"
import { Result } from "effect"
import type { Json, JsonObject } from "../../../src/core/data/Json.ts"
import * as ServedDefinition from "../../../src/protocol/mcp/ServedDefinition.ts"

const make = (value: JsonObject, kind: ServedDefinition.Kind = "tools") =>
  ServedDefinition.make(kind, value, "served", "host/files")
const servedOf = (value: JsonObject, kind?: ServedDefinition.Kind) => Result.getOrThrow(make(value, kind))
const why = (value: JsonObject) => {
  const made = make(value)
  return Result.isFailure(made) ? made.failure.reason : "fit"
}
const nested = (depth: number): Json => (depth === 0 ? {} : { properties: nested(depth - 1) })
const SCHEMA = { type: "object", properties: { path: { type: "string", description: "where" } } }

describe("ServedDefinition", () => {
  it("a harmless definition keeps its members, and says where it comes from", () => {
    const tool = {
      ...{ name: "read", title: "Read", description: "Reads", inputSchema: SCHEMA, outputSchema: { type: "object" } },
      ...{ annotations: { readOnlyHint: true }, execution: { taskSupport: "optional" }, _meta: { x: 1 } }
    }
    assert.deepStrictEqual(servedOf(tool), { ...tool, name: "served", description: "[host/files] Reads" })
    assert.strictEqual(servedOf({ name: "x" })["description"], "[host/files]")
    assert.deepStrictEqual(servedOf({ uri: "a:b", name: "n", mimeType: "text/plain" }, "resources"), {
      ...{ uri: "served", name: "n", mimeType: "text/plain", description: "[host/files]" }
    })
  })

  it("what nobody can see is taken out of texts, and refused in names (mcp §8, rule 7)", () => {
    const hidden = "a\u200bb\u{e0041}\u202ec\u001b[31m"
    const served = servedOf({
      name: "read",
      description: hidden,
      title: hidden,
      inputSchema: { properties: { p: { description: hidden } } }
    })
    assert.notMatch(JSON.stringify(served), /\\u001b|[\u200b\u202e\u{e0041}]/u)
    assert.include(why({ name: "re\u200bad" }), "name")
    assert.include(why({ name: "read", inputSchema: { properties: { "p\u200b": {} } } }), "inputSchema")
  })

  it("sizes are cut or refused (mcp §8, rule 6)", () => {
    assert.isAtMost(String(servedOf({ name: "x", description: "d".repeat(100_000) })["description"]).length, 4096 + 20)
    assert.include(why({ name: "x", inputSchema: { enum: ["e".repeat(70_000)] } }), "too large")
    assert.include(why({ name: "x", inputSchema: nested(33) }), "too large")
    assert.strictEqual(why({ name: "x", inputSchema: nested(31) }), "fit")
    assert.notProperty(servedOf({ name: "x", outputSchema: nested(40) }), "outputSchema")
    assert.notProperty(servedOf({ name: "x", _meta: { m: "m".repeat(20_000) } }), "_meta")
    assert.include(why({ name: "n".repeat(5000) }), "name")
    assert.include(why({}), "name")
    assert.include(why({ name: 5 }), "name")
  })

  it("unknown members and icons from elsewhere are left out", () => {
    const icons = [
      "https://a/i.png",
      "data:image/png;base64,AA==",
      "http://a/i.png",
      "javascript:x",
      "file:///etc/passwd"
    ]
    const served = servedOf({ name: "x", later: true, icons: icons.map((src) => ({ src })) })
    assert.notProperty(served, "later")
    assert.deepStrictEqual(
      served["icons"],
      icons.slice(0, 2).map((src) => ({ src }))
    )
  })

  it("__proto__ is a name like any other", () => {
    const tool = JSON.parse('{"name":"x","inputSchema":{"properties":{"__proto__":{"type":"string"}}}}')
    assert.include(JSON.stringify(servedOf(tool)), "__proto__")
    assert.notProperty({}, "type")
  })
})

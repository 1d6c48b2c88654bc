import { assert, describe, it } from "@effect/vitest"
import type { Json } from "../../../src/core/data/Json.ts"
import * as SchemaCost from "../../../src/protocol/mcp/SchemaCost.ts"

/** Each definition refers twice to the next: a few lines stand for 2^n parts. */
const doubling = (levels: number) => ({
  $ref: "#/$defs/d0",
  $defs: Object.fromEntries(
    Array.from({ length: levels }, (_, level) => [
      `d${level}`,
      level + 1 === levels ? {} : { allOf: [{ $ref: `#/$defs/d${level + 1}` }, { $ref: `#/$defs/d${level + 1}` }] }
    ])
  )
})

describe("SchemaCost", () => {
  it("a schema that stands for an enormous one is seen before anything is made of it", () => {
    assert.isBelow(SchemaCost.parts({ type: "object", properties: { a: { type: "string" } } }), 10)
    assert.isBelow(SchemaCost.parts(doubling(5)), 1000)
    assert.isAbove(SchemaCost.parts(doubling(40)), SchemaCost.PARTS_MAX)
  })

  it("a schema that refers to itself ends, and so does one whose references lead nowhere", () => {
    assert.isBelow(SchemaCost.parts({ properties: { next: { $ref: "#" } } }), 20)
    assert.isBelow(SchemaCost.parts({ $ref: "#/$defs/none", items: { $ref: "#/a/0/b" } }), 20)
  })

  it("references that leave the schema are seen anywhere", () => {
    assert.isFalse(SchemaCost.hasOutsideReference({ $ref: "#/$defs/a", enum: ["https://a"] }))
    assert.isTrue(SchemaCost.hasOutsideReference({ items: [{ $ref: "https://example.com/s.json" }] }))
    assert.isTrue(SchemaCost.hasOutsideReference({ items: { $dynamicRef: "other" } }))
  })

  it("depth counts arrays and objects", () => {
    assert.strictEqual(SchemaCost.depth(1), 0)
    assert.strictEqual(SchemaCost.depth({ a: [1, { b: 2 }] } as Json), 3)
  })
})

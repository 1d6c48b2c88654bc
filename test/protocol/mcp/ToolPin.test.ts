import { createHash } from "node:crypto"
import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import * as Json from "../../../src/core/data/Json.ts"
import * as ToolPin from "../../../src/protocol/mcp/ToolPin.ts"
import vectors from "../../vectors/mcp.json" with { type: "json" }

describe("ToolPin", () => {
  for (const { canonical, case: name, sha256, tool } of vectors.pinning.cases) {
    it(`${name} (mcp §6.9)`, () => {
      const pinned = ToolPin.of(Json.parseObject(JSON.stringify(tool)) ?? {})
      assert.strictEqual(pinned?.canonical, canonical)
      assert.strictEqual(
        createHash("sha256")
          .update(pinned?.canonical ?? "")
          .digest("hex"),
        sha256
      )
      assert.strictEqual(pinned?.hidden, name.includes("zero-width") ? 1 : 0)
    })
  }

  it.prop(
    "is the same text for the same value, whatever the order of members (RFC 8785)",
    { value: Schema.Json },
    ({ value }) => {
      const text = ToolPin.canonical(value)
      assert.deepStrictEqual(JSON.parse(text), JSON.parse(JSON.stringify(value)))
      const reversed = (item: Json.Json): Json.Json =>
        Array.isArray(item)
          ? item.map(reversed)
          : Json.isObject(item)
            ? Object.fromEntries(
                Object.entries(item)
                  .toReversed()
                  .map(([key, member]) => [key, reversed(member ?? null)])
              )
            : item
      assert.strictEqual(ToolPin.canonical(reversed(value)), text)
    }
  )

  it("prints numbers, texts and names as RFC 8785 §3.2 says", () => {
    const value =
      Json.parse('{"\\u20ac":1,"\\r":[1E30,4.50,2e-3,-0,1e-27],"\\ud83d\\ude00":"\\u000f\\u20ac\\"","1":true}') ?? null
    assert.strictEqual(ToolPin.canonical(value), '{"\\r":[1e+30,4.5,0.002,0,1e-27],"1":true,"€":1,"😀":"\\u000f€\\""}')
  })

  it("what has no name is no tool", () => {
    assert.isUndefined(ToolPin.of({ name: 1 }))
  })
})

import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import * as HeaderText from "../../../src/protocol/mcp/HeaderText.ts"
import * as ParamHeaders from "../../../src/protocol/mcp/ParamHeaders.ts"

describe("HeaderText", () => {
  it.prop("every text comes back, and the header is visible ASCII (mcp §2.4)", { text: Schema.String }, ({ text }) => {
    const header = HeaderText.encode(text)
    assert.match(header, /^[ -~]*$/)
    assert.strictEqual(header.trim(), header)
    // A lone surrogate is no text; what stands for it comes back.
    assert.strictEqual(HeaderText.decode(header), text.toWellFormed())
  })

  it("plain text is sent as it is, anything else in Base64, and what looks like Base64 too", () => {
    assert.strictEqual(HeaderText.encode("read file"), "read file")
    assert.strictEqual(HeaderText.encode("hé"), "=?base64?aMOp?=")
    assert.strictEqual(HeaderText.encode(" edge"), "=?base64?IGVkZ2U=?=")
    assert.strictEqual(HeaderText.encode("=?base64?aMOp?="), "=?base64?PT9iYXNlNjQ/YU1PcD89?=")
  })

  it("headers that nobody may send are none", () => {
    for (const wrong of ["é", " a", "a\tb", "=?base64?*?=", "=?base64?/w==?="]) {
      assert.isUndefined(HeaderText.decode(wrong), wrong)
    }
  })
})

describe("ParamHeaders", () => {
  const schema = {
    type: "object",
    properties: {
      region: { type: "string", "x-mcp-header": "Region" },
      deep: { type: "object", properties: { count: { type: "integer", "x-mcp-header": "Count" } } },
      list: { type: "array", items: { type: "string", "x-mcp-header": "Item" } },
      wrong: { type: "string", "x-mcp-header": "not a header" },
      flag: { type: "boolean", "x-mcp-header": "Flag" }
    }
  }

  it("repeats present strings, integers and booleans reachable through properties (mcp §2.4)", () => {
    const annotations = ParamHeaders.annotations(schema)
    assert.deepStrictEqual(ParamHeaders.headers(annotations, { region: "zürich", deep: { count: 42 }, list: ["x"] }), {
      "mcp-param-region": "=?base64?esO8cmljaA==?=",
      "mcp-param-count": "42"
    })
    assert.deepStrictEqual(ParamHeaders.headers(annotations, { region: null, deep: 1, flag: false, wrong: "x" }), {
      "mcp-param-flag": "false"
    })
  })
})

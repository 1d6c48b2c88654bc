import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import * as Bytes from "../../../src/core/data/Bytes.ts"
import * as JsonSplice from "../../../src/protocol/relay/JsonSplice.ts"

describe("JsonSplice", () => {
  it.prop(
    "changes one member and nothing else (mcp §3.2)",
    { value: Schema.Json, id: Schema.Json },
    ({ id, value }) => {
      const text = JSON.stringify({ jsonrpc: "2.0", params: { a: value, id: 0, _meta: { t: value } }, id: value })
      const replaced = JsonSplice.replace(Bytes.fromUtf8(text), ["params", "_meta", "t"], JSON.stringify(id))
      const expected = JSON.stringify({ jsonrpc: "2.0", params: { a: value, id: 0, _meta: { t: id } }, id: value })
      assert.strictEqual(Bytes.toUtf8(replaced), expected)
    }
  )

  it("leaves spaces, digits and escapes of the rest, and a message without that member", () => {
    const bytes = Bytes.fromUtf8('{ "n": 1.0, "id" : "\\u0041" , "m":1e400}')
    assert.strictEqual(Bytes.toUtf8(JsonSplice.replace(bytes, ["id"], "7")), '{ "n": 1.0, "id" : 7 , "m":1e400}')
    assert.strictEqual(JsonSplice.replace(bytes, ["params", "id"], "7"), bytes)
  })

  it("cuts an array into its elements", () => {
    const elements = JsonSplice.elements(Bytes.fromUtf8('[ {"a":1} , [2],3 ]'))
    assert.deepStrictEqual(elements?.map(Bytes.toUtf8), ['{"a":1}', "[2]", "3"])
    assert.isUndefined(JsonSplice.elements(Bytes.fromUtf8("{}")))
  })
})

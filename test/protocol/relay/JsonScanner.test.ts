import { assert, describe, it } from "@effect/vitest"
import { Result, Schema } from "effect"
import * as Bytes from "../../../src/core/data/Bytes.ts"
import * as JsonScanner from "../../../src/protocol/relay/JsonScanner.ts"

const isJson = (text: string): boolean => {
  const bytes = Bytes.fromUtf8(text)
  return JsonScanner.read(bytes, { start: 0, end: bytes.length }) !== undefined
}

describe("JsonScanner", () => {
  it.prop("accepts every value that JSON can print", { value: Schema.Json }, ({ value }) => {
    assert.isTrue(isJson(JSON.stringify(value)))
    assert.isTrue(isJson(` ${JSON.stringify(value, undefined, 2)}\r\n`))
  })

  it("reads a value inside of others, whatever space follows it", () => {
    const bytes = Bytes.fromUtf8('{"a" : [ 1 ,{"b":2 } ] }')
    const root = JsonScanner.read(bytes, { start: 0, end: bytes.length })
    const a = root?._tag === "Object" ? root.members[0] : undefined
    const list = a === undefined ? undefined : JsonScanner.read(bytes, a)
    const elements = list?._tag === "Array" ? list.elements : []
    assert.deepStrictEqual(
      elements.map((span) => JsonScanner.read(bytes, span)?._tag),
      ["Scalar", "Object"]
    )
  })

  it.prop(
    "agrees with JSON.parse on texts made of JSON's own pieces",
    {
      pieces: Schema.Array(
        Schema.Literals([
          "{",
          "}",
          "[",
          "]",
          ",",
          ":",
          '"a"',
          '"\\u00e9"',
          '"\\x"',
          "0",
          "-1.5e+3",
          "01",
          "1.",
          "true",
          "nul",
          " ",
          "\t"
        ])
      )
    },
    ({ pieces }) => {
      const text = pieces.join("")
      assert.strictEqual(isJson(text), Result.isSuccess(Result.try((): unknown => JSON.parse(text))), text)
    },
    { arbitrary: { runs: 3000 } }
  )

  it("agrees with JSON.parse on every single mutation of a message", () => {
    const text = '{"jsonrpc":"2.0","id":-1.5e3,"params":{"a":[true,null,"\\u00e9\\n"],"b":{}}}'
    for (let at = 0; at < text.length; at++) {
      for (const replacement of ["", "x", '"', "{", "}", ",", "0", "\\", "\u0001", " "]) {
        const mutated = text.slice(0, at) + replacement + text.slice(at + 1)
        assert.strictEqual(isJson(mutated), Result.isSuccess(Result.try((): unknown => JSON.parse(mutated))), mutated)
      }
    }
  })

  it("refuses nesting beyond 128 (mcp §8, rule 11)", () => {
    const nested = (depth: number) => "[".repeat(depth) + "]".repeat(depth)
    assert.isTrue(isJson(nested(JsonScanner.DEPTH_MAX)))
    assert.isFalse(isJson(nested(JsonScanner.DEPTH_MAX + 1)))
    assert.isFalse(isJson("[".repeat(1_000_000)))
  })
})

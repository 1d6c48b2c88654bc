import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import * as Bytes from "../../../src/core/data/Bytes.ts"
import * as JsonInsert from "../../../src/protocol/relay/JsonInsert.ts"

const set = (text: string, path: ReadonlyArray<string>, members: Record<string, string>) =>
  Bytes.toUtf8Lossy(JsonInsert.set(Bytes.fromUtf8(text), path, members))
const without = (text: string, path: ReadonlyArray<string>, ...keys: ReadonlyArray<string>) =>
  Bytes.toUtf8Lossy(JsonInsert.without(Bytes.fromUtf8(text), path, new Set(keys)))

/** Members in an order of their own; a name such as `__proto__` is one like any other. */
const entries = (text: string) => Object.entries<unknown>(JSON.parse(text)).toSorted(([a], [b]) => (a < b ? -1 : 1))

const Value = Schema.Record(Schema.Literals(["a", "b", "__proto__", "ü\n"]), Schema.Union([Schema.Int, Schema.String]))

describe("JsonInsert", () => {
  it("adds and replaces members; every other byte stays (mcp §3.2)", () => {
    assert.strictEqual(set('{ "a" : 1.0 }', [], { b: "2" }), '{"b":2, "a" : 1.0 }')
    assert.strictEqual(set('{"a": 1e400 ,"b":1}', [], { b: "[2]" }), '{"a": 1e400 ,"b":[2]}')
    assert.strictEqual(set("{}", ["params", "_meta"], { x: '"y"' }), '{"params":{"_meta":{"x":"y"}}}')
    assert.strictEqual(set('{"params":{"n":9007199254740993}}', ["params"], {}), '{"params":{"n":9007199254740993}}')
  })

  it("something else than an object on the way is left alone", () => {
    for (const text of ['{"params":[1]}', '{"params":null}', "[]", "5"])
      assert.strictEqual(set(text, ["params", "x"], { y: "1" }), text)
  })

  it("takes members out, and leaves the others as they were", () => {
    assert.strictEqual(
      without('{"_meta":{"a":1.0,"b": 2 ,"c":"\\u0041"}}', ["_meta"], "b"),
      '{"_meta":{"a":1.0,"c":"\\u0041"}}'
    )
    assert.strictEqual(without('{"_meta":{ }}', ["_meta"], "b"), '{"_meta":{ }}')
    assert.strictEqual(without('{"a":1}', ["_meta"], "b"), '{"a":1}')
  })

  it.prop("what comes out is the object with the members", { before: Value, after: Value }, ({ after, before }) => {
    const raw = Object.fromEntries(Object.entries(after).map(([key, value]) => [key, JSON.stringify(value)]))
    assert.deepStrictEqual(
      entries(set(JSON.stringify(before), [], raw)),
      entries(JSON.stringify({ ...before, ...after }))
    )
    const left = Object.fromEntries(Object.entries(before).filter(([key]) => !Object.hasOwn(after, key)))
    assert.deepStrictEqual(
      entries(without(JSON.stringify(before), [], ...Object.keys(after))),
      entries(JSON.stringify(left))
    )
  })
})

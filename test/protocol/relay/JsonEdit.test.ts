import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import * as Bytes from "../../../src/core/data/Bytes.ts"
import * as JsonEdit from "../../../src/protocol/relay/JsonEdit.ts"

const bytes = Bytes.fromUtf8
const text = (value: Uint8Array) => Bytes.toUtf8(value)
/** As a reader gets it: there is no -0 in JSON. */
const read = (value: unknown): unknown => JSON.parse(JSON.stringify(value))
const Key = Schema.Literals(["a", "b", "c", "d"])
const Members = Schema.Record(Key, Schema.Union([Schema.Int, Schema.String, Schema.Array(Schema.Null)]))
const Space = Schema.Literals(["", " ", "\n\t"])

/** An object with spaces in every place that may have some. */
const spaced = (value: Readonly<Record<string, unknown>>, space: string) =>
  `${space}{${space}${Object.entries(value)
    .map(([key, member]) => `${JSON.stringify(key)}${space}:${space}${JSON.stringify(member)}${space}`)
    .join(`,${space}`)}}${space}`

describe("JsonEdit", () => {
  it.prop(
    "sets members as an assignment would",
    { of: Members, values: Members, space: Space },
    ({ of, space, values }) => {
      const raw = Object.entries(values).map(([key, value]) => [key, JSON.stringify(value)] as const)
      const message = bytes(`{"x":${spaced(of, space)}, "y":1.0}`)

      const set = text(JsonEdit.set(message, ["x"], raw)) ?? ""
      assert.deepEqual(JSON.parse(set), read({ x: { ...of, ...values }, y: 1 }))
      assert.isTrue(set.endsWith(', "y":1.0}'))
      assert.deepEqual(
        JSON.parse(text(JsonEdit.setMissing(message, ["x"], raw)) ?? ""),
        read({ x: { ...values, ...of }, y: 1 })
      )
    }
  )

  it.prop(
    "removes members as a deletion would",
    { of: Members, keys: Schema.Array(Key), space: Space },
    ({ keys, of, space }) => {
      const kept = Object.fromEntries(Object.entries(of).filter(([key]) => !keys.some((removed) => removed === key)))

      const removed = text(JsonEdit.remove(bytes(spaced(of, space)), [], keys)) ?? ""
      assert.deepEqual(JSON.parse(removed), read(kept))
    }
  )

  it("numbers and spaces stay as they were written, and a name of a prototype is one like any other", () => {
    const set = (before: string, key: string, raw: string) => text(JsonEdit.set(bytes(before), [], [[key, raw]]))
    assert.strictEqual(set('{ "a" : 1.0 }', "b", "2"), '{"b":2, "a" : 1.0 }')
    assert.strictEqual(set('{"a": 1e400 ,"b":9007199254740993}', "b", "[2]"), '{"a": 1e400 ,"b":[2]}')
    assert.strictEqual(set('{"a":1}', "__proto__", '"x"'), '{"__proto__":"x","a":1}')
    assert.strictEqual(set('{"__proto__":1,"ü\\n":2}', "__proto__", "3"), '{"__proto__":3,"ü\\n":2}')
    assert.strictEqual(text(JsonEdit.remove(bytes('{"__proto__":1,"a":2}'), [], ["__proto__"])), '{"a":2}')
  })

  it("makes what is missing on the way, and replaces what is no object", () => {
    assert.strictEqual(
      text(JsonEdit.set(bytes('{"id":1}'), ["params", "_meta"], [["k", "2"]])),
      '{"params":{"_meta":{"k":2}},"id":1}'
    )
    assert.strictEqual(
      text(JsonEdit.set(bytes('{"params":[]}'), ["params", "_meta"], [["k", "2"]])),
      '{"params":{"_meta":{"k":2}}}'
    )
    assert.strictEqual(text(JsonEdit.set(bytes("[1]"), ["a"], [["k", "2"]])), "[1]")
  })

  it("a name that occurs twice is set, and removed, twice", () => {
    assert.strictEqual(text(JsonEdit.set(bytes('{"a":1,"b":2,"a":3}'), [], [["a", "9"]])), '{"a":9,"b":2,"a":9}')
    assert.strictEqual(text(JsonEdit.remove(bytes('{"a":1,"b":2,"a":3}'), [], ["a"])), '{"b":2}')
  })
})

import { assert, describe, it } from "@effect/vitest"
import * as Bytes from "../../../src/core/data/Bytes.ts"
import * as GoJson from "../../../src/core/data/GoJson.ts"
import * as Json from "../../../src/core/data/Json.ts"
import * as Arb from "../../support/Arbitraries.ts"

const nested = (depth: number): string => "[".repeat(depth) + "]".repeat(depth)

describe("Json", () => {
  it.prop(
    "parses what JSON.parse parses, without exceptions",
    { value: Arb.json, text: Arb.text },
    ({ text, value }) => {
      assert.deepStrictEqual(Json.parse(JSON.stringify(value)), value)
      let expected: unknown
      try {
        expected = JSON.parse(text)
      } catch {
        expected = undefined
      }
      assert.deepStrictEqual(Json.parse(text), expected as Json.Json | undefined)
    }
  )

  it("refuses what is nested too deep, however it is hidden", () => {
    assert.isDefined(Json.parse(nested(Json.DEPTH_MAX)))
    assert.isUndefined(Json.parse(nested(Json.DEPTH_MAX + 1)))
    assert.isUndefined(Json.parse(`{"a\\"":${nested(500_000)}}`))
    assert.strictEqual(Json.parse(JSON.stringify("[".repeat(500))), "[".repeat(500))
  })

  it("reads half a surrogate pair as U+FFFD, so that what was read can be written (rendezvous §2.2)", () => {
    const text = '{"\\udC00":["\\ud80b","a\\uD834\\uDD1Eb","\\\\ud800"],"__proto__":"\\ud800"}'
    const value = Json.parse(text)

    assert.strictEqual(JSON.stringify(value), '{"\ufffd":["\ufffd","a𝄞b","\\\\ud800"],"__proto__":"\ufffd"}')
    assert.deepStrictEqual(Json.parse(GoJson.encodeOrdered(value ?? null)), value)
    assert.strictEqual(Json.parse('"\ud800"'), "\ufffd")
  })

  it("reads members leniently (rendezvous §2.2)", () => {
    const object = Json.parseObject('{"n":1.9,"neg":-1,"big":4294967296,"s":"1","z":null,"t":true,"l":["a",1,"b",{}]}')!

    assert.deepStrictEqual(
      ["n", "neg", "big", "s", "z", "none", "toString"].map((key) => Json.unsigned(object, key, 32)),
      [1, 0, 0, 0, 0, 0, 0]
    )
    assert.strictEqual(Json.unsigned(Json.parseObject('{"a":65535}')!, "a", 16), 65_535)
    assert.strictEqual(Json.unsigned(Json.parseObject('{"a":65536}')!, "a", 16), 0)
    assert.isUndefined(Json.member(object, "toString"))
    assert.strictEqual(Json.integer(object, "neg"), -1)
    assert.strictEqual(Json.integer(Json.parseObject('{"a":1e300}')!, "a"), 0)
    assert.deepStrictEqual(
      ["s", "n", "constructor"].map((key) => Json.string(object, key)),
      ["1", "", ""]
    )
    assert.deepStrictEqual(
      ["t", "s"].map((key) => Json.boolean(object, key)),
      [true, false]
    )
    assert.deepStrictEqual(Json.strings(object, "l"), ["a", "b"])
    assert.deepStrictEqual(Json.objects(object, "l"), [{}])
    assert.deepStrictEqual(Json.strings(object, "n"), [])
  })
})

describe("GoJson", () => {
  it.prop("writes what parses back, in every layout", { value: Arb.json }, ({ value }) => {
    for (const encode of [GoJson.encode, GoJson.encodeOrdered, GoJson.encodeIndented, GoJson.encodeOrderedIndented]) {
      const text = encode(value)
      assert.deepStrictEqual(JSON.parse(text), value)
      assert.notMatch(text, /[<>&\u2028\u2029]/)
    }
  })

  it.prop("sorts members by their UTF-8 bytes", { a: Arb.text, b: Arb.text }, ({ a, b }) => {
    const expected = Math.sign(Bytes.compare(Bytes.fromUtf8(a.toWellFormed()), Bytes.fromUtf8(b.toWellFormed())))
    if (a.isWellFormed() && b.isWellFormed()) assert.strictEqual(Math.sign(GoJson.compareKeys(a, b)), expected)
  })

  it("sorts characters above U+FFFF last, as bytes do", () => {
    assert.strictEqual(GoJson.encode({ "𝄞": 1, "\uffee": 2, é: 3, z: 4 }), '{"z":4,"é":3,"\uffee":2,"𝄞":1}')
  })

  it("escapes as the reference does and keeps a given order on request", () => {
    const value = { b: "<a> & \u2028\u2029\n\ud800", a: [] as ReadonlyArray<Json.Json>, none: undefined }
    assert.strictEqual(GoJson.encode(value), '{"a":[],"b":"\\u003ca\\u003e \\u0026 \\u2028\\u2029\\n\ufffd"}')
    assert.strictEqual(GoJson.encodeOrdered({ b: 1, a: 2 }), '{"b":1,"a":2}')
    assert.strictEqual(GoJson.encodeIndented({ b: [1, {}], a: {} }), '{\n  "a": {},\n  "b": [\n    1,\n    {}\n  ]\n}')
  })

  it("never descends deeper than the reader admits", () => {
    let deep: Json.Json = null
    for (let level = 0; level < 100_000; level++) deep = [deep]
    assert.strictEqual(GoJson.encode(deep), `${"[".repeat(Json.DEPTH_MAX)}null${"]".repeat(Json.DEPTH_MAX)}`)
  })
})

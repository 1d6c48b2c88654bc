import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { IdMap, numberIn } from "../../../src/protocol/relay/IdMap.ts"

const Step = Schema.Union([
  Schema.Struct({ add: Schema.Union([Schema.Literals(["0", '"0"', "1.0", '"a"', '"\\u0061"', "9007199254740993"])]) }),
  Schema.Struct({ take: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 12 })) })
])

describe("IdMap", () => {
  it.prop("agrees with a list of what waits", { steps: Schema.Array(Step) }, ({ steps }) => {
    const map = new IdMap<string>()
    const model: Array<{ readonly number: number; readonly value: string }> = []
    let added = 0
    for (const step of steps) {
      if ("add" in step) {
        const value = `${step.add} ${++added}`
        const number = map.add(step.add, value)
        assert.isTrue(model.every((one) => one.number < number))
        model.push({ number, value })
      } else {
        const at = model.findIndex(({ number }) => number === step.take)
        const expected = at < 0 ? undefined : model.splice(at, 1)[0]?.value
        assert.strictEqual(map.take(step.take), expected)
      }
      assert.deepStrictEqual(
        map.entries(),
        model.map(({ number, value }) => [number, value] as const)
      )
      assert.strictEqual(map.size, model.length)
    }
  })

  it("ids keep their type; the same id twice is found as the later one (mcp §2.1)", () => {
    const map = new IdMap<string>()
    const zero = map.add("0", "number")
    const text = map.add('"0"', "text")
    assert.strictEqual(map.numberOf("0"), zero)
    assert.strictEqual(map.numberOf('"\\u0030"'), text)
    const again = map.add("0", "again")
    assert.strictEqual(map.numberOf("0"), again)
    map.take(zero)
    assert.strictEqual(map.numberOf("0"), again)
    map.take(again)
    assert.isUndefined(map.numberOf("0"))
  })

  it("only numbers of ours are numbers of ours", () => {
    assert.strictEqual(numberIn("12"), 12)
    for (const raw of ['"12"', "-1", "1.0", "1e3", "null", "12345678901234567890"]) assert.isNaN(numberIn(raw))
  })
})

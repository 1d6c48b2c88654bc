import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import * as Bytes from "../../../src/core/data/Bytes.ts"
import * as ToolFilter from "../../../src/protocol/relay/ToolFilter.ts"

const cut = (text: string, ...names: ReadonlyArray<string>) =>
  new TextDecoder().decode(
    ToolFilter.cut(Bytes.fromUtf8(text), ({ name }) => name !== undefined && names.includes(name))
  )

const Tool = Schema.Struct({ name: Schema.Literals(["keep", "drop"]), description: Schema.String, more: Schema.Json })
const Space = Schema.Literals(["", " ", "\t", " \r\n"])

describe("ToolFilter", () => {
  it.prop(
    "leaves what JSON without the tools would be, and every other byte, however it is spaced",
    { tools: Schema.Array(Tool), spaces: Schema.Array(Space), other: Schema.Json, isBatch: Schema.Boolean },
    ({ isBatch, other, spaces, tools }) => {
      const space = (index: number) => spaces[index % Math.max(1, spaces.length)] ?? ""
      const list = (kept: typeof tools) =>
        `[${space(0)}${kept.map((tool, index) => `${space(index)}${JSON.stringify(tool)}`).join(`${space(1)},`)}${space(2)}]`
      const message = (text: string) => {
        const one = `{"result":{"other":${JSON.stringify(other)},"tools":${text}}, "id" : 1}`
        return isBatch ? `[${one},{"id":2,"result":{}}]` : one
      }
      const result = cut(message(list(tools)), "keep")

      assert.deepStrictEqual(
        JSON.parse(result),
        JSON.parse(message(JSON.stringify(tools.filter(({ name }) => name === "keep"))))
      )
      if (tools.every(({ name }) => name === "keep")) assert.strictEqual(result, message(list(tools)))
      assert.strictEqual(cut(result, "keep"), result)
    }
  )

  it("keeps spaces, numbers and escapes as they came", () => {
    assert.strictEqual(
      cut('{"id":1.0,"result":{"tools":[ {"name":"a","x":1e400} , {"name":"\\u0062"} ,{"name":"c"} ]}}', "a", "c"),
      '{"id":1.0,"result":{"tools":[ {"name":"a","x":1e400} ,{"name":"c"} ]}}'
    )
  })

  it("a tool without a name, with two, or in a list that occurs twice is not overlooked", () => {
    assert.strictEqual(
      cut('{"id":1,"result":{"tools":[{},7,{"name":"a","name":"b"}]}}', "a", "b"),
      '{"id":1,"result":{"tools":[]}}'
    )
    assert.strictEqual(
      cut('{"id":1,"result":{"tools":[{"name":"b"}],"tools":[{"name":"b"},{"name":"a"}]}}', "a"),
      '{"id":1,"result":{"tools":[],"tools":[{"name":"a"}]}}'
    )
  })

  it("leaves what is no list of tools alone", () => {
    for (const text of ['{"id":1,"result":{"tools":{"name":"b"}}}', '{"tools":[{"name":"b"}]}', "7", "[]", "[1]"]) {
      assert.strictEqual(cut(text), text)
    }
  })
})

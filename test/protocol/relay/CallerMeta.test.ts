import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import * as Bytes from "../../../src/core/data/Bytes.ts"
import * as CallerMeta from "../../../src/protocol/relay/CallerMeta.ts"

const CALLER = { node_id: 2 }
const write = (text: string) => new TextDecoder().decode(CallerMeta.write(Bytes.fromUtf8(text), CALLER))
const OURS = '"dev.effect-pilot/caller":{"node_id":2}'

describe("CallerMeta", () => {
  it("puts the caller into every request and leaves the other bytes alone (mcp §1.4)", () => {
    const cases = [
      ['{"id":1,"method":"m"}', `{"params":{"_meta":{${OURS}}},"id":1,"method":"m"}`],
      ['{"id":1,"method":"m","params":{ }}', `{"id":1,"method":"m","params":{"_meta":{${OURS}} }}`],
      [
        '{"id":1.0,"method":"m","params":{"a":1e400}}',
        `{"id":1.0,"method":"m","params":{"_meta":{${OURS}},"a":1e400}}`
      ],
      ['{"id":1,"method":"m","params":{"_meta":{"x":1}}}', `{"id":1,"method":"m","params":{"_meta":{${OURS},"x":1}}}`],
      ['{"id":1,"method":"m","params":{"_meta":null}}', `{"id":1,"method":"m","params":{"_meta":{${OURS}}}}`]
    ] as const
    for (const [before, after] of cases) assert.strictEqual(write(before), after)
    for (const text of ['{"method":"m","params":{}}', '{"id":1,"result":{"_meta":{}}}', "[]", "7"]) {
      assert.strictEqual(write(text), text)
    }
  })

  const Key = Schema.Literals(["dev.effect-pilot/caller", "dev.effect-pilot/other", "DEV.effect-pilot/caller", "x/y"])

  it.prop(
    "nothing that a client says under our prefix reaches the server, however often it says it",
    { keys: Schema.Array(Key), isBatch: Schema.Boolean },
    ({ isBatch, keys }) => {
      const meta = keys.map((key) => `${JSON.stringify(key).replace("c", "\\u0063")}:"claimed"`).join(" , ")
      const one = `{"id":1,"method":"m","params":{"_meta":{${meta}}}}`
      const parsed = JSON.parse(write(isBatch ? `[${one},${one}]` : one))
      for (const message of isBatch ? parsed : [parsed]) {
        const { _meta } = message.params
        assert.deepStrictEqual(_meta["dev.effect-pilot/caller"], CALLER)
        for (const [key, value] of Object.entries(_meta)) {
          if (key.toLowerCase().startsWith("dev.effect-pilot/")) assert.notStrictEqual(value, "claimed")
          else assert.strictEqual(value, "claimed")
        }
      }
    }
  )
})

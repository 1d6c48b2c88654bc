import { assert, describe, it } from "@effect/vitest"
import * as Bytes from "../../../src/core/data/Bytes.ts"
import * as TraceMeta from "../../../src/protocol/relay/TraceMeta.ts"

const SPAN = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
const write = (text: string): string => Bytes.toUtf8Lossy(TraceMeta.write(Bytes.fromUtf8(text), SPAN))

describe("TraceMeta", () => {
  it("puts the context into _meta and leaves every other byte as it was (mcp §1.4)", () => {
    const member = `"traceparent":"${SPAN}"`
    for (const [text, expected] of [
      ['{"id":1,"method":"ping"}', `{"params":{"_meta":{${member}}},"id":1,"method":"ping"}`],
      ['{"id":1,"params":{}}', `{"id":1,"params":{"_meta":{${member}}}}`],
      ['{"id":1,"params":{"n":1.0,"s":"\\u00e9"}}', `{"id":1,"params":{"_meta":{${member}},"n":1.0,"s":"\\u00e9"}}`],
      [
        '{"id":1,"params":{ "_meta" : { "progressToken":"0"}}}',
        `{"id":1,"params":{ "_meta" : {${member}, "progressToken":"0"}}}`
      ]
    ] as const) {
      assert.strictEqual(write(text), expected)
      assert.strictEqual(TraceMeta.traceparentOf(Bytes.fromUtf8(expected)), SPAN)
    }
  })

  it("leaves alone what is no single request with an object of params", () => {
    for (const text of [
      '[{"id":1,"method":"a"},{"id":2,"method":"b"}]',
      '{"id":1,"params":[1]}',
      '{"id":1,"params":{},"params":{}}',
      '{"id":1,"params":{"_meta":7}}',
      "{"
    ]) {
      assert.strictEqual(write(text), text)
    }
  })
})

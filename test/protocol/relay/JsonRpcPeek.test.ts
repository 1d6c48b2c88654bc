import { assert, describe, it } from "@effect/vitest"
import { Result, Schema } from "effect"
import * as Bytes from "../../../src/core/data/Bytes.ts"
import * as JsonRpcPeek from "../../../src/protocol/relay/JsonRpcPeek.ts"
import * as Recordings from "../../support/McpRecordings.ts"

const { Envelope } = JsonRpcPeek
const peek = (text: string) => Result.getOrUndefined(JsonRpcPeek.peek(Bytes.fromUtf8(text)))
const reason = (bytes: Uint8Array) => {
  const peeked = JsonRpcPeek.peek(bytes)
  return Result.isFailure(peeked) ? peeked.failure.reason : undefined
}
describe("JsonRpcPeek", () => {
  it("every recorded message is what its members say (mcp vectors)", () => {
    const messages = Recordings.stdio.flatMap(({ steps }) =>
      steps.flatMap(({ msg }) => (msg === undefined ? [] : [msg]))
    )
    for (const message of messages) {
      const text = JSON.stringify(message)
      const { id, method, params } = Schema.decodeUnknownSync(Members)(message)
      const envelope = peek(text)

      assert.strictEqual(
        envelope?._tag,
        method === undefined ? "Response" : id === undefined ? "Notification" : "Request"
      )
      if (envelope?._tag !== "Request") continue
      const token = params?._meta?.progressToken
      const progressToken = token === undefined ? undefined : JSON.stringify(token)
      assert.deepStrictEqual(
        { id: envelope.id, method: envelope.method, progressToken: envelope.progressToken },
        { id: JSON.stringify(id), method: method ?? "", progressToken }
      )
    }
    assert.isAtLeast(messages.length, 200)
  })

  it('ids keep their text: 0, "0", 2^53 + 1 (mcp §2.1)', () => {
    for (const id of ["0", '"0"', "9007199254740993", "1.0", '"a\\u0062"', "-0", "1e400", "null"]) {
      assert.deepStrictEqual(
        peek(`{"id": ${id} ,"method":"ping"}`),
        Envelope.Request({ id, method: "ping", target: undefined, progressToken: undefined })
      )
    }
  })

  it("sees the tool, the progress token and the call that is cancelled", () => {
    assert.deepStrictEqual(
      peek(
        '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"_meta":{"progressToken":"p"},"name":"\\u0065cho"}}'
      ),
      Envelope.Request({ id: "1", method: "tools/call", target: "echo", progressToken: '"p"' })
    )
    assert.deepStrictEqual(
      peek('{"method":"notifications/progress","params":{"progressToken":7,"progress":1}}'),
      Envelope.Notification({ method: "notifications/progress", progressToken: "7", cancels: undefined })
    )
    assert.deepStrictEqual(
      peek('{"method":"notifications/cancelled","params":{"requestId":"x"}}'),
      Envelope.Notification({ method: "notifications/cancelled", progressToken: undefined, cancels: '"x"' })
    )
  })

  it("a batch is seen message by message (2025-03-26)", () => {
    const batch = peek('[{"id":1,"method":"ping"},{"id":2,"result":{}},{"method":"n"}]')

    assert.deepStrictEqual(batch === undefined ? [] : JsonRpcPeek.requests(batch).map(({ id }) => id), ["1"])
    assert.deepStrictEqual(batch === undefined ? [] : JsonRpcPeek.responses(batch).map(({ id }) => id), ["2"])
    assert.strictEqual(reason(Bytes.fromUtf8(`[${Array(257).fill("{}").join(",")}]`)), "BatchTooLong")
  })

  it("what two readers could understand differently is no message", () => {
    for (const text of [
      '{"id":1,"method":"tools/list","method":"tools/call"}',
      '{"id":1,"method":"tools/list","\\u006dethod":"tools/call"}',
      '{"id":1,"id":2,"result":{}}',
      '{"id":1,"method":"tools/call","params":{"name":"a","name":"b"}}'
    ]) {
      assert.strictEqual(reason(Bytes.fromUtf8(text)), "Ambiguous", text)
    }
  })

  it("bytes that are no UTF-8, no JSON or no message are refused", () => {
    assert.strictEqual(reason(Uint8Array.of(0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d)), "Utf8")
    assert.strictEqual(reason(Uint8Array.of(0xef, 0xbb, 0xbf, 0x7b, 0x7d)), "Json")
    assert.strictEqual(reason(Bytes.fromUtf8('{"id":1,}')), "Json")
    assert.strictEqual(reason(Bytes.fromUtf8("42")), "Scalar")
    assert.strictEqual(reason(Bytes.fromUtf8("[1]")), "Scalar")
  })

  it.prop(
    "no bytes make it throw",
    { bytes: Schema.Array(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 255 }))) },
    ({ bytes }) => {
      JsonRpcPeek.peek(Uint8Array.from(bytes))
    }
  )
})

const Members = Schema.Struct({
  id: Schema.optionalKey(Schema.Json),
  method: Schema.optionalKey(Schema.String),
  params: Schema.optionalKey(
    Schema.Struct({ _meta: Schema.optionalKey(Schema.Struct({ progressToken: Schema.optionalKey(Schema.Json) })) })
  )
})

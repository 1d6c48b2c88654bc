import { assert, describe, it } from "@effect/vitest"
import * as Bytes from "../../../src/core/data/Bytes.ts"
import * as BridgeError from "../../../src/protocol/relay/BridgeError.ts"

describe("BridgeError", () => {
  it("is a JSON-RPC error with the id as it was and what a program must know (mcp §1.3)", () => {
    const error = {
      kind: "denied",
      message: 'say "please"',
      retryable: false,
      delivered: false,
      service: "s",
      peer: "p"
    } as const

    assert.strictEqual(
      Bytes.toUtf8(BridgeError.encode(error, '"a\\u0062"')),
      '{"jsonrpc":"2.0","id":"a\\u0062","error":{"code":-31003,"message":"say \\"please\\"","data":' +
        '{"retryable":false,"delivered":false,"service":"s","peer":"p"}}}'
    )
  })

  it("no code lies where the specification reserves them (mcp §1.3)", () => {
    for (const code of Object.values(BridgeError.CODE)) assert.isTrue(code < -31_000 + 1 && code > -32_000)
  })
})

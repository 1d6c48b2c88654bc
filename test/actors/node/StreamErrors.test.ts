import { assert, describe, it } from "@effect/vitest"
import { ConnectionReset, DialError } from "../../../src/actors/node/Node.ts"
import * as StreamErrors from "../../../src/actors/node/StreamErrors.ts"
import * as ResetReason from "../../../src/protocol/wire/ResetReason.ts"

describe("StreamErrors", () => {
  it("say in a sentence why a stream ended, for every reason", () => {
    const messages = StreamErrors.resetCauses.map((reason) => new ConnectionReset({ reason }).message)
    assert.isTrue(messages.every((message) => message.length > 10))
    assert.strictEqual(new Set(messages).size, messages.length)
  })

  it("name the target of a dial, and the detail where there is one", () => {
    const dial = (detail: string) => new DialError({ reason: "Timeout", target: "bob", detail }).message
    assert.strictEqual(dial(""), "cannot connect to bob: no answer in time")
    assert.strictEqual(dial("the peer is offline"), "cannot connect to bob: the peer is offline")
  })

  it("tell every reason of a peer apart from a reset without one, except what cannot follow an opening", () => {
    const causes = ResetReason.reasons.map((reason) => StreamErrors.resetCause("Reset", reason))
    assert.notInclude(causes, "PeerReset")
    assert.strictEqual(StreamErrors.resetCause("Reset", undefined), "PeerReset")
  })

  it("give the peer a reason for every reset of ours", () => {
    for (const cause of StreamErrors.resetCauses)
      assert.include(ResetReason.reasons, StreamErrors.resetReason(cause), cause)
  })

  it("encode every reason of the wire in one byte, and read it back (wire §17)", () => {
    for (const reason of ResetReason.reasons) {
      assert.lengthOf(ResetReason.encode(reason), 1)
      assert.strictEqual(ResetReason.decode(ResetReason.encode(reason)), reason)
    }
    for (const bytes of [[], [0], [11], [255]]) assert.isUndefined(ResetReason.decode(Uint8Array.from(bytes)))
  })
})

import { assert, describe, expect, it } from "@effect/vitest"
import * as ConnectionState from "../../../src/protocol/stream/ConnectionState.ts"

describe("ConnectionState", () => {
  it("has this state × input matrix (RFC 9293 §3.3.2, wire §9.3)", () => {
    const rows = ConnectionState.states.map((state) => [
      state,
      ConnectionState.inputs.map((input) => `${input} → ${ConnectionState.next(state, input)}`)
    ])

    expect(Object.fromEntries(rows)).toMatchSnapshot()
  })

  it("reaches closed from every state that a dial or a listen leads to", () => {
    for (const state of ConnectionState.states) {
      const seen = new Set<ConnectionState.ConnectionState>([state])
      for (const reached of seen) {
        for (const input of ConnectionState.inputs) seen.add(ConnectionState.next(reached, input))
      }
      assert.isTrue(seen.has("closed"), state)
    }
  })

  it("takes no bytes in a state in which a FIN was asked for, sent or received by both ends (wire §9.4)", () => {
    assert.deepStrictEqual(ConnectionState.states.filter(ConnectionState.canWrite), [
      "synSent",
      "synReceived",
      "established",
      "closeWait"
    ])
  })

  it("shows the names of node §1.7", () => {
    assert.deepStrictEqual(ConnectionState.states.map(ConnectionState.label), [
      "CLOSED",
      "LISTEN",
      "SYN_SENT",
      "SYN_RECV",
      "ESTABLISHED",
      "FIN_WAIT",
      "CLOSE_WAIT",
      "TIME_WAIT"
    ])
  })
})

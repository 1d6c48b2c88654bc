import { assert, describe, it } from "@effect/vitest"
import * as AddressDiscovery from "../../src/nat/AddressDiscovery.ts"
import { NodeId } from "../../src/protocol/wire/Address.ts"

const beacon = { host: "192.0.2.1", port: 9001 }
const mapped = { host: "198.51.100.7", port: 4000 }
const moved = { host: "198.51.100.7", port: 5000 }
const config = AddressDiscovery.defaults

/** Runs every deadline until the round is over, or `untilMs`; the times at which questions were sent. */
const questions = (self: AddressDiscovery.AddressDiscovery, untilMs: number) => {
  const sentAtMs: Array<number> = []
  let state = self
  for (let dueMs = AddressDiscovery.deadlineMs(state); dueMs !== undefined && dueMs <= untilMs; ) {
    const { next, send } = AddressDiscovery.timeout(state, config, dueMs)
    if (send !== undefined) sentAtMs.push(dueMs)
    state = next
    dueMs = AddressDiscovery.deadlineMs(state)
  }
  return { state, sentAtMs }
}

describe("AddressDiscovery", () => {
  it("asks three times at one second and then gives up (rendezvous §9.1)", () => {
    const { sentAtMs, state } = questions(AddressDiscovery.start(beacon, NodeId(7), undefined, 100), 10_000)
    assert.deepStrictEqual(sentAtMs, [100, 1100, 2100])
    assert.strictEqual(state.phase._tag, "Failed")
  })

  it("is done with the first answer of the beacon", () => {
    const { state } = questions(AddressDiscovery.start(beacon, NodeId(7), undefined, 0), 0)
    const done = AddressDiscovery.received(state, config, beacon, mapped, 20)
    assert.deepStrictEqual(done.mapped, mapped)
    assert.isUndefined(AddressDiscovery.deadlineMs(done))
  })

  it("believes nobody but the beacon, and nothing it did not ask", () => {
    const start = AddressDiscovery.start(beacon, NodeId(7), undefined, 0)
    assert.strictEqual(AddressDiscovery.received(start, config, beacon, mapped, 0), start)
    const { state } = questions(start, 0)
    for (const from of [
      { ...beacon, port: 9002 },
      { ...beacon, host: "192.0.2.2" }
    ]) {
      assert.strictEqual(AddressDiscovery.received(state, config, from, mapped, 1), state)
    }
  })

  it("announces a changed address twice, because a beacon waits for the second (rendezvous §8, better 1)", () => {
    const { state } = questions(AddressDiscovery.start(beacon, NodeId(7), mapped, 0), 0)
    const confirming = AddressDiscovery.received(state, config, beacon, moved, 20)
    const { sentAtMs, state: done } = questions(confirming, 10_000)
    assert.deepStrictEqual(sentAtMs, [20 + config.confirmMs])
    assert.strictEqual(done.phase._tag, "Done")
    assert.deepStrictEqual(done.mapped, moved)
  })
})

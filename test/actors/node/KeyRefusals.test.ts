import { assert, describe, it } from "@effect/vitest"
import { KeyRefusals } from "../../../src/actors/node/KeyRefusals.ts"
import { NodeId } from "../../../src/protocol/wire/Address.ts"

describe("KeyRefusals", () => {
  it("counts by node and reason, the most recent last", () => {
    const refusals = new KeyRefusals()
    for (const reason of ["KeyChanged", "BadSignature", "KeyChanged"] as const) refusals.note(NodeId(1), reason)

    assert.deepStrictEqual(refusals.rows, [
      { node: NodeId(1), reason: "BadSignature", count: 1 },
      { node: NodeId(1), reason: "KeyChanged", count: 2 }
    ])
  })

  it("keeps the newest 64, whoever is claimed to be sending", () => {
    const refusals = new KeyRefusals()
    for (let node = 1; node <= 1000; node++) refusals.note(NodeId(node), "BadSignature")

    assert.deepStrictEqual([refusals.rows.length, refusals.rows[0]?.node], [64, NodeId(937)])
  })
})

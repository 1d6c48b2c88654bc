import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import * as Address from "../../../src/protocol/wire/Address.ts"
import * as LocalNode from "../../../src/protocol/wire/LocalNode.ts"

const Slot = Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: LocalNode.SLOT_MAX }))
const Id = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 0xffff_ffff }))

describe("LocalNode", () => {
  it.prop("ids of a further slot come back as they were, or have no room", { slot: Slot, id: Id }, ({ id, slot }) => {
    const node = Address.NodeId(id)
    const local = LocalNode.make(slot, node)

    if (id > LocalNode.REGISTRY_ID_MAX) return assert.isUndefined(local)
    assert.strictEqual(LocalNode.slotOf(local!), slot)
    assert.strictEqual(LocalNode.registryIdOf(local!), node)
    assert.strictEqual(LocalNode.registryIdIn(local!), node)
  })

  it("home's ids and the broadcast's are what they are on the wire", () => {
    for (const id of [0, 1, LocalNode.REGISTRY_ID_MAX, 0xffff_ffff])
      assert.strictEqual(LocalNode.make(LocalNode.HOME_SLOT, Address.NodeId(id)), id)
    assert.isAbove(LocalNode.slotOf(Address.NodeId(0xffff_ffff)), LocalNode.SLOT_MAX)
    assert.deepStrictEqual(LocalNode.address(2, Address.make(7, 5)), Address.make(7, 0x2000_0005))
  })
})

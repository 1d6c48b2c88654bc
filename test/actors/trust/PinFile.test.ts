import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import * as PinFile from "../../../src/actors/trust/PinFile.ts"
import * as Bytes from "../../../src/core/data/Bytes.ts"
import { NodeId } from "../../../src/protocol/wire/Address.ts"

const Pins = Schema.Array(
  Schema.Struct({
    node: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 0xffffffff })),
    name: Schema.Literals(["alpha", "b-2", "x<y"]),
    key: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 255 })),
    later: Schema.Boolean
  })
)
const key = (fill: number) => new Uint8Array(32).fill(fill)

describe("PinFile", () => {
  it.prop("reads what it wrote, in order", { pins: Pins }, ({ pins }) => {
    const nodes = new Map(pins.map(({ node, key: fill }) => [NodeId(node), key(fill)]))
    const names = new Map(pins.map(({ name, key: fill }) => [name as string, key(fill)]))
    const laterOnly = new Set(pins.filter(({ later }) => later).map(({ key: fill }) => Bytes.toHex(key(fill))))
    const read = PinFile.decode(PinFile.encode({ nodes, names, laterOnly }))

    assert.deepStrictEqual(read?.nodes, nodes)
    assert.deepStrictEqual([...(read?.names ?? [])], [...names])
    assert.deepStrictEqual([...(read?.laterOnly ?? [])], [...laterOnly])
  })

  it("does not read a damaged file in part, for a lost pin lets another key in (security rule 1)", () => {
    const whole = PinFile.encode({ nodes: new Map([[NodeId(1), key(1)]]), names: new Map(), laterOnly: new Set() })
    assert.isDefined(PinFile.decode(whole))
    for (const bad of [
      "",
      "{}",
      whole.slice(0, -1),
      whole.replace('"node_id": 1', '"node_id": "1"'),
      whole.replace('"node_id": 1', '"node_id": 4294967297'),
      whole.replace("AQEB", "AQ"),
      whole.replace('"names": []', '"names": [1]'),
      whole.replace('"later_only": []', '"later_only": [{"public_key": "AQ=="}]'),
      whole.replace('"names": []', '"names": [{"public_key": "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE="}]'),
      whole.replace(/"nodes": \[[^\]]*\]/, '"nodes": null')
    ])
      assert.isUndefined(PinFile.decode(bad), bad)
  })
})

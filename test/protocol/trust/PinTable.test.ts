import { assert, describe, it } from "@effect/vitest"
import { Result, Schema } from "effect"
import * as Bytes from "../../../src/core/data/Bytes.ts"
import * as PinTable from "../../../src/protocol/trust/PinTable.ts"
import { NodeId } from "../../../src/protocol/wire/Address.ts"

const key = (fill: number) => new Uint8Array(32).fill(fill)
const bounds: PinTable.Bounds = {
  nodesMax: 3,
  namesMax: 2,
  laterMax: 3,
  isProtected: (publicKey) => publicKey[0] === 9
}

const pinAll = (pins: ReadonlyArray<readonly [number, number]>) =>
  pins.reduce(
    (table, [node, fill]) => Result.getOrElse(PinTable.pinNode(table, NodeId(node), key(fill), bounds), () => table),
    PinTable.empty
  )

const Pins = Schema.Array(
  Schema.Struct({
    node: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 8 })),
    fill: Schema.Int.check(Schema.isBetween({ minimum: 7, maximum: 9 }))
  })
)

describe("PinTable", () => {
  it("pins a first key, confirms the same one, refuses another (security rule 1)", () => {
    const table = pinAll([[1, 1]])

    assert.deepStrictEqual(table.nodes.get(NodeId(1)), key(1))
    assert.strictEqual(Result.getOrThrow(PinTable.pinNode(table, NodeId(1), key(1), bounds)), table)
    assert.deepStrictEqual(PinTable.pinNode(table, NodeId(1), key(2), bounds), Result.fail({ pinned: key(1) }))
  })

  it("pins a name whatever its case", () => {
    const table = Result.getOrThrow(PinTable.pinName(PinTable.empty, "Alpha", key(1), bounds))

    assert.deepStrictEqual(PinTable.pinName(table, "alphA", key(2), bounds), Result.fail({ pinned: key(1) }))
  })

  it("guesses the node behind a name by its key, the newest if it has had several", () => {
    const named = Result.getOrThrow(PinTable.pinName(pinAll([[1, 1]]), "Alpha", key(2), bounds))
    assert.strictEqual(PinTable.nodeBehind(named, "alpha"), undefined)
    assert.strictEqual(PinTable.nodeBehind(named, "bravo"), undefined)

    const both = [5, 3].reduce(
      (table, node) => Result.getOrThrow(PinTable.pinNode(table, NodeId(node), key(2), bounds)),
      named
    )
    assert.strictEqual(PinTable.nodeBehind(both, "ALPHA"), NodeId(3))
  })

  it.prop("never exceeds its bound by unprotected pins and never drops a protected one", { pins: Pins }, ({ pins }) => {
    let table = PinTable.empty
    for (const { node, fill } of pins) {
      const before = table
      table = Result.getOrElse(PinTable.pinNode(table, NodeId(node), key(fill), bounds), () => before)
      const unprotected = [...table.nodes.values()].filter((pinned) => !bounds.isProtected(pinned))
      assert.isAtMost(unprotected.length, bounds.nodesMax)
      for (const [pinnedNode, pinned] of before.nodes)
        if (bounds.isProtected(pinned)) assert.deepStrictEqual(table.nodes.get(pinnedNode), pinned)
    }
  })

  it.prop("never changes a key without a person", { pins: Pins }, ({ pins }) => {
    let table = PinTable.empty
    for (const { node, fill } of pins) {
      const pinned = table.nodes.get(NodeId(node))
      const result = PinTable.pinNode(table, NodeId(node), key(fill), bounds)
      assert.strictEqual(Result.isSuccess(result), pinned === undefined || Bytes.equals(pinned, key(fill)))
      if (Result.isSuccess(result)) table = result.success
    }
  })

  it("lets the oldest unprotected pin make room", () => {
    const table = pinAll([
      [1, 1],
      [2, 9],
      [3, 3],
      [4, 4],
      [5, 5]
    ])

    assert.deepStrictEqual([...table.nodes.keys()], [2, 3, 4, 5].map(NodeId))
  })

  it("accepts a new key for an address and every name that led to the old one", () => {
    const named = ["a", "b"].reduce(
      (table, name, index) => Result.getOrThrow(PinTable.pinName(table, name, key(index + 1), bounds)),
      pinAll([[1, 1]])
    )
    const accepted = PinTable.acceptKey(named, NodeId(1), key(5))

    assert.deepStrictEqual(accepted.nodes.get(NodeId(1)), key(5))
    assert.deepStrictEqual(
      [...accepted.names],
      [
        ["a", key(5)],
        ["b", key(2)]
      ]
    )
  })

  it("accepts the key behind a name that has moved, and invents no name", () => {
    const named = Result.getOrThrow(PinTable.pinName(pinAll([[2, 7]]), "Bravo", key(1), bounds))
    const accepted = PinTable.acceptName(PinTable.acceptName(named, "bravo", key(7)), "other", key(7))

    assert.deepStrictEqual([...accepted.names], [["bravo", key(7)]])
    assert.deepStrictEqual(accepted.nodes, named.nodes)
  })

  describe("who has left the earlier key scheme (security rule 5)", () => {
    const opened = (table: PinTable.PinTable, ...fills: ReadonlyArray<number>) =>
      fills.reduce((known, fill) => PinTable.laterOpened(known, key(fill), bounds), table)
    const fills = (table: PinTable.PinTable) =>
      [...table.laterOnly].map((text) => Number.parseInt(text.slice(0, 2), 16))

    it("is remembered of strangers too, and once", () => {
      const table = opened(PinTable.empty, 1, 2)

      assert.deepStrictEqual(fills(table), [1, 2])
      assert.strictEqual(opened(table, 1), table)
    })

    it("is forgotten of the oldest stranger first, then of the oldest pinned key, never of a trusted one", () => {
      const pinned = pinAll([[1, 1]])

      assert.deepStrictEqual(fills(opened(pinned, 1, 9, 2, 3)), [1, 9, 3])
      assert.deepStrictEqual(fills(opened(pinned, 9, 1, 9, 4, 5, 6)), [9, 1, 6])
      assert.deepStrictEqual(
        fills(
          opened(
            pinAll([
              [1, 1],
              [2, 2],
              [3, 3]
            ]),
            1,
            2,
            3,
            9
          )
        ),
        [2, 3, 9]
      )
    })

    it("outlives the pin of its node, and says nothing of another key there", () => {
      const table = PinTable.acceptKey(opened(pinAll([[1, 1]]), 1), NodeId(1), key(2))

      assert.deepStrictEqual(fills(table), [1])
    })
  })
})

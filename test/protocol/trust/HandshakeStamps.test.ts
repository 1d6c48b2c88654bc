import { assert, describe, it } from "@effect/vitest"
import { HandshakeStamps } from "../../../src/protocol/trust/HandshakeStamps.ts"
import { NodeId } from "../../../src/protocol/wire/Address.ts"

const [A, B] = [NodeId(1), NodeId(2)]

describe("HandshakeStamps", () => {
  it("gives no peer the same second twice, and every peer the present one first", () => {
    const stamps = new HandshakeStamps()
    assert.deepStrictEqual(
      [stamps.next(A, 100), stamps.next(A, 100), stamps.next(B, 100), stamps.next(A, 101)],
      [100, 101, 100, 102]
    )
    assert.strictEqual(stamps.next(A, 110), 110)
  })

  it("runs ahead of the clock by ten seconds at most, and follows one that was set back", () => {
    const stamps = new HandshakeStamps()
    const given = Array.from({ length: 30 }, () => stamps.next(A, 100))
    assert.strictEqual(Math.max(...given), 110)
    assert.strictEqual(stamps.next(B, 1_000_000), 1_000_000)
    assert.strictEqual(stamps.next(B, 100), 100)
  })

  it("forgets who was written to longest ago", () => {
    const stamps = new HandshakeStamps()
    for (let node = 1; node <= 1_025; node++) stamps.next(NodeId(node), 100)
    assert.deepStrictEqual([stamps.next(NodeId(1_025), 100), stamps.next(A, 100)], [101, 100])
  })
})

import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import * as PathMtu from "../../src/nat/PathMtu.ts"

/** A path that carries datagrams up to a size, searched until nothing is due for a while. */
class Walk {
  state = PathMtu.initial
  nowMs = 0
  readonly probes: Array<number> = []
  carriesBytes: number

  constructor(carriesBytes: number) {
    this.carriesBytes = carriesBytes
  }

  step(input: PathMtu.Input): void {
    const { outputs, state } = PathMtu.machine.step(this.state, input, this.nowMs)
    this.state = state
    for (const { sizeBytes } of outputs) {
      this.probes.push(sizeBytes)
      if (sizeBytes <= this.carriesBytes) this.step(PathMtu.Input.ProbeAnswered({ sizeBytes }))
    }
  }

  start(mtuBytes: number, isIpv6 = false): this {
    this.step(PathMtu.Input.Started({ mtuBytes, isIpv6 }))
    return this
  }

  /** Goes to the deadline. */
  wake(): this {
    this.nowMs = PathMtu.machine.deadlineMs(this.state) ?? this.nowMs
    this.step(PathMtu.Input.TimerFired())
    return this
  }

  get sizeBytes(): number {
    return PathMtu.sizeBytes(this.state)
  }
}

const Size = Schema.Int.check(Schema.isBetween({ minimum: 1200, maximum: 66_000 }))

describe("PathMtu", () => {
  it("begins at 1200 bytes and asks for nothing", () => {
    assert.strictEqual(PathMtu.sizeBytes(PathMtu.initial), 1200)
    assert.strictEqual(PathMtu.machine.deadlineMs(PathMtu.initial), undefined)
  })

  it("searches upwards to the MTU of the interface and rests there (RFC 8899 §5.3)", () => {
    const walk = new Walk(1472).start(1500)

    assert.deepStrictEqual(walk.probes, [1252, 1372, 1392, 1464, 1472])
    assert.deepStrictEqual([walk.state.phase, walk.sizeBytes], ["SearchComplete", 1472])
    assert.strictEqual(PathMtu.machine.deadlineMs(walk.state), undefined)
  })

  it("leaves room for the headers of IPv6", () => {
    assert.strictEqual(new Walk(70_000).start(1500, true).sizeBytes, 1452)
  })

  it("uses what UDP can carry on a loopback of 65,536", () => {
    assert.strictEqual(new Walk(70_000).start(65_536).sizeBytes, 65_507)
    assert.strictEqual(new Walk(70_000).start(65_536, true).sizeBytes, 65_487)
  })

  it("stays at the base where the interface takes no more", () => {
    const walk = new Walk(70_000).start(1228)

    assert.deepStrictEqual(walk.probes, [])
    assert.deepStrictEqual([walk.state.phase, walk.sizeBytes], ["SearchComplete", 1200])
  })

  it("a lost probe caps the path for ten minutes, and no size is probed twice before", () => {
    const walk = new Walk(1400).start(9000).wake()

    assert.deepStrictEqual(walk.probes, [1252, 1372, 1392, 1464])
    assert.deepStrictEqual([walk.state.phase, walk.sizeBytes], ["SearchComplete", 1392])
    assert.strictEqual(PathMtu.machine.deadlineMs(walk.state), walk.nowMs + 600_000)

    walk.carriesBytes = 8972
    walk.wake()
    assert.deepStrictEqual([walk.state.phase, walk.sizeBytes], ["SearchComplete", 8972])
  })

  it("falls back to the base at once when large datagrams vanish (RFC 8899 §4.3), once for all who notice", () => {
    const walk = new Walk(1472).start(1500)

    walk.step(PathMtu.Input.BlackHoleFound({ sizeBytes: 1472 }))
    walk.step(PathMtu.Input.BlackHoleFound({ sizeBytes: 1472 }))
    assert.deepStrictEqual([walk.state.phase, walk.sizeBytes], ["SearchComplete", 1200])
    assert.strictEqual(PathMtu.machine.deadlineMs(walk.state), 600_000)

    walk.carriesBytes = 1392
    walk.wake().wake()
    assert.strictEqual(walk.sizeBytes, 1392)
  })

  it("goes below the base only when the base itself vanishes, and finds it again (RFC 8899 §5.2 Error)", () => {
    const walk = new Walk(1472).start(1500)
    walk.step(PathMtu.Input.BlackHoleFound({ sizeBytes: 1472 }))
    walk.step(PathMtu.Input.BlackHoleFound({ sizeBytes: 1200 }))

    assert.deepStrictEqual([walk.state.phase, walk.sizeBytes], ["Error", 548])
    assert.strictEqual(walk.wake().sizeBytes, 1472)
  })

  it("towards a peer that answers no probes the base is tried again without one", () => {
    const walk = new Walk(0)
    walk.step(PathMtu.Input.BlackHoleFound({ sizeBytes: 1200 }))

    assert.strictEqual(walk.sizeBytes, 548)
    assert.deepStrictEqual(walk.wake().state, PathMtu.initial)
    assert.deepStrictEqual(walk.probes, [])
  })

  it("another interface means another path: the search begins anew", () => {
    const walk = new Walk(70_000).start(9000)
    assert.strictEqual(walk.sizeBytes, 8972)

    assert.strictEqual(walk.start(1400).sizeBytes, 1372)
    assert.strictEqual(walk.start(9000).sizeBytes, 8972)
  })

  it("a late answer, another size, and an early wake-up change nothing", () => {
    const walk = new Walk(1252).start(1500)
    const searching = walk.state

    walk.step(PathMtu.Input.ProbeAnswered({ sizeBytes: 1252 }))
    walk.step(PathMtu.Input.ProbeAnswered({ sizeBytes: 1472 }))
    walk.step(PathMtu.Input.TimerFired())
    walk.step(PathMtu.Input.Started({ mtuBytes: 1500, isIpv6: false }))
    assert.deepStrictEqual(walk.state, searching)

    const rested = walk.wake().state
    walk.step(PathMtu.Input.ProbeAnswered({ sizeBytes: 1372 }))
    assert.deepStrictEqual(walk.state, rested)
  })

  it.prop(
    "ends at a size that the path carries, with the next one lost or none",
    { mtu: Size, carries: Size },
    (of) => {
      const walk = new Walk(of.carries).start(of.mtu).wake()
      const { phase, sizes, level } = walk.state
      const next = sizes[level + 1]

      assert.strictEqual(phase, "SearchComplete")
      assert.isAtMost(walk.sizeBytes, Math.max(1200, Math.min(of.carries, of.mtu - 28)))
      assert.isTrue(next === undefined || next > of.carries)
      assert.deepStrictEqual([...new Set(walk.probes)], walk.probes)
      assert.deepStrictEqual(
        [...sizes].sort((a, b) => a - b),
        [...sizes]
      )
    }
  )
})

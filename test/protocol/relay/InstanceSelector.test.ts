import { assert, describe, it } from "@effect/vitest"
import { Arbitrary } from "effect"
import * as InstanceSelector from "../../../src/protocol/relay/InstanceSelector.ts"
import { element, integer, oneOf } from "../../support/Arbitraries.ts"

const { Input } = InstanceSelector
const config = InstanceSelector.CONFIG_DEFAULT
const machine = InstanceSelector.make(config)

/** Three instances and a clock. */
class Bench {
  state = InstanceSelector.initial(3)
  nowMs = 0
  readonly used: Array<number> = []

  step(input: InstanceSelector.Input): void {
    const { outputs, state } = machine.step(this.state, input, this.nowMs)
    this.state = state
    for (const { index } of outputs) this.used.push(index)
  }

  /** Every instance is measured every 5 s; undefined is one that fails. */
  pass(seconds: number, rtts: ReadonlyArray<number | undefined>): void {
    for (let at = 0; at < seconds / 5; at++) {
      this.nowMs += 5000
      for (const [index, rttMs] of rtts.entries()) {
        this.step(rttMs === undefined ? Input.Failed({ index }) : Input.Measured({ index, rttMs }))
      }
    }
  }
}

describe("InstanceSelector", () => {
  it("moves to the fastest, leaves it when it degrades, and returns when it is better again, each once", () => {
    const bench = new Bench()
    bench.pass(60, [10, 40, 80])
    bench.pass(120, [300, 40, 80])
    bench.pass(120, [10, 40, 80])

    assert.deepStrictEqual(bench.used, [0, 1, 0])
  })

  it("leaves one that is away without waiting, but not one that fails for a moment", () => {
    const bench = new Bench()
    bench.pass(10, [10, 40, 80])
    bench.step(Input.Failed({ index: 0 }))
    bench.nowMs += config.graceMs - 1
    bench.step(Input.Failed({ index: 0 }))
    assert.deepStrictEqual(bench.used, [0])
    bench.nowMs += 1
    bench.step(Input.Failed({ index: 0 }))
    assert.deepStrictEqual(bench.used, [0, 1])
  })

  it("leaves one whose server failed at once, and comes back after a time that doubles", () => {
    const bench = new Bench()
    bench.pass(10, [10, 40, 80])
    for (const distrustMs of [config.distrustMs, 2 * config.distrustMs]) {
      bench.used.length = 0
      bench.step(Input.ServerFailed({ index: 0 }))
      assert.deepStrictEqual(bench.used, [1])
      bench.pass(distrustMs / 1000, [10, 40, 80])
      assert.deepStrictEqual(bench.used, [1])
      bench.pass(config.settleMs / 1000 + 5, [10, 40, 80])
      assert.deepStrictEqual(bench.used, [1, 0])
    }
  })

  it("leaves one that is gone at once, or as soon as there is another, and never goes back to it", () => {
    const bench = new Bench()
    bench.pass(10, [10, 40, undefined])
    bench.step(Input.Removed({ index: 0 }))
    bench.pass(60, [10, 40, undefined])
    assert.deepStrictEqual(bench.used, [0, 1])
    bench.step(Input.Removed({ index: 1 }))
    assert.deepStrictEqual(bench.used, [0, 1])
    bench.pass(10, [10, 40, 80])
    assert.deepStrictEqual(bench.used, [0, 1, 2])
  })

  it("one whose server failed is better than none that can be reached", () => {
    const bench = new Bench()
    bench.pass(10, [10, 40, undefined])
    bench.step(Input.ServerFailed({ index: 0 }))
    bench.pass(10, [10, undefined, undefined])
    assert.deepStrictEqual(bench.used, [0, 1, 0])
  })

  const move = Arbitrary.all({
    index: integer(0, 2),
    rttMs: oneOf<number | undefined | "server" | "gone" | "new">(
      integer(1, 400),
      oneOf<undefined | "server" | "gone" | "new">(
        element(undefined),
        element("server"),
        element("gone"),
        element("new")
      )
    ),
    passMs: oneOf(integer(0, 3000), integer(0, 40_000))
  })

  it.prop(
    "never moves to what failed last, and moves from one that is there only after the dwell time (any trace)",
    { trace: Arbitrary.array(move, { maxLength: 150 }) },
    ({ trace }) => {
      const bench = new Bench()
      let movedAtMs = Number.NEGATIVE_INFINITY
      for (const { index, passMs, rttMs } of trace) {
        bench.nowMs += passMs
        const before = bench.state.current
        const moves = bench.used.length
        if (rttMs === "server") bench.step(Input.ServerFailed({ index }))
        else if (rttMs === "gone") bench.step(Input.Removed({ index }))
        else if (rttMs !== "new")
          bench.step(rttMs === undefined ? Input.Failed({ index }) : Input.Measured({ index, rttMs }))
        // Another one comes into the place of one that is gone and left.
        else if (bench.state.instances[index]?.isGone === true && index !== before) {
          bench.state = InstanceSelector.renewed(bench.state, index)
        }
        if (bench.used.length === moves) continue
        const now = bench.state.instances[bench.state.current ?? 0]
        assert.isUndefined(now?.failedSinceMs)
        assert.isDefined(now?.rttMs)
        assert.isFalse(now?.isGone)
        const left = before === undefined ? undefined : bench.state.instances[before]
        const isLeft = left === undefined || left.isAway || left.distrustedUntilMs > bench.nowMs
        if (!isLeft) assert.isAtLeast(bench.nowMs - movedAtMs, config.dwellMs)
        movedAtMs = bench.nowMs
      }
    }
  )

  it.prop(
    "noise within a third moves nothing",
    { noise: Arbitrary.array(integer(90, 120), { maxLength: 200 }) },
    ({ noise }) => {
      const bench = new Bench()
      bench.pass(5, [100, 100, 100])
      for (const [at, rttMs] of noise.entries()) {
        bench.nowMs += 2000
        bench.step(Input.Measured({ index: at % 3, rttMs }))
      }
      assert.deepStrictEqual(bench.used, [0])
    }
  )
})

import { assert, describe, it } from "@effect/vitest"
import { Arbitrary } from "effect"
import * as CircuitBreaker from "../../../src/protocol/relay/CircuitBreaker.ts"
import { element, integer, oneOf } from "../../support/Arbitraries.ts"

const { Input, Output, State } = CircuitBreaker
const config = CircuitBreaker.CONFIG_DEFAULT
const machine = CircuitBreaker.make(config)

/** A breaker and a clock. */
class Bench {
  state: CircuitBreaker.State = CircuitBreaker.initial
  nowMs = 1000

  step(input: CircuitBreaker.Input): ReadonlyArray<CircuitBreaker.Output> {
    const { outputs, state } = machine.step(this.state, input, this.nowMs)
    this.state = state
    return outputs
  }

  fail(reason = "It died.") {
    this.nowMs += config.incidentMs
    return this.step(Input.Failed({ reason }))
  }

  ask() {
    const [output] = this.step(Input.Asked())
    return output
  }
}

const opened = (): Bench => {
  const bench = new Bench()
  for (let at = 0; at < config.failuresMax; at++) bench.fail()
  return bench
}

describe("CircuitBreaker", () => {
  it("opens at the third incident in a row, and tells calls the last reason and how long to wait", () => {
    const bench = new Bench()
    bench.fail()
    bench.fail()
    assert.deepStrictEqual(bench.ask(), Output.Admit({ isProbe: false }))
    assert.deepStrictEqual(bench.fail("It hangs."), [Output.ReportOpened({ reason: "It hangs.", pauseMs: 5000 })])
    bench.nowMs += 2000
    assert.deepStrictEqual(bench.ask(), Output.Refuse({ reason: "It hangs.", retryInMs: 3000 }))
  })

  it("counts what fails at once as one incident, and forgets one that was long ago", () => {
    const bench = new Bench()
    bench.fail()
    for (let call = 0; call < 50; call++) bench.step(Input.Failed({ reason: "" }))
    bench.fail()
    assert.strictEqual(bench.state._tag, "Closed")
    bench.nowMs += config.windowMs + 1
    bench.fail()
    bench.fail()
    assert.strictEqual(bench.state._tag, "Closed")
    bench.fail()
    assert.strictEqual(bench.state._tag, "Open")
  })

  it("lets exactly one call through after the pause; its success closes, its failure doubles the pause", () => {
    const bench = opened()
    bench.nowMs += 5000
    assert.deepStrictEqual(bench.ask(), Output.Admit({ isProbe: true }))
    assert.strictEqual(bench.ask()?._tag, "Refuse")
    assert.deepStrictEqual(bench.fail("Again."), [Output.ReportOpened({ reason: "Again.", pauseMs: 10_000 })])
    bench.nowMs += 10_000
    assert.deepStrictEqual(bench.ask(), Output.Admit({ isProbe: true }))
    assert.deepStrictEqual(bench.step(Input.Succeeded()), [Output.ReportClosed()])
    assert.deepStrictEqual(bench.ask(), Output.Admit({ isProbe: false }))
  })

  it("lets another call try when the probe has no answer for long", () => {
    const bench = opened()
    bench.nowMs += 5000
    bench.ask()
    bench.nowMs += config.probeMs - 1
    assert.strictEqual(bench.ask()?._tag, "Refuse")
    bench.nowMs += 1
    assert.deepStrictEqual(bench.ask(), Output.Admit({ isProbe: true }))
  })

  it("needs no pause once the way is there again, and a late answer is as good as a probe", () => {
    const bench = opened()
    bench.step(Input.PathRestored())
    assert.deepStrictEqual(bench.ask(), Output.Admit({ isProbe: true }))
    const other = opened()
    other.step(Input.Succeeded())
    assert.deepStrictEqual(other.state, CircuitBreaker.initial)
  })

  const input = oneOf<CircuitBreaker.Input>(
    element<CircuitBreaker.Input>(Input.Asked(), Input.Asked(), Input.Succeeded(), Input.TimerFired()),
    element<CircuitBreaker.Input>(Input.Failed({ reason: "a" }), Input.Failed({ reason: "b" }), Input.PathRestored())
  )
  const trace = Arbitrary.array(
    Arbitrary.all({ input, passMs: oneOf(integer(0, 700), integer(0, 70_000), element(-1)) }),
    { maxLength: 120 }
  )

  it.prop(
    "answers every call once; while it does not let all through, at most one passes per pause (any trace)",
    { trace },
    ({ trace }) => {
      const bench = new Bench()
      let probedAtMs = Number.NEGATIVE_INFINITY
      let restoredAtMs = Number.NEGATIVE_INFINITY
      for (const { input, passMs } of trace) {
        const deadlineMs = machine.deadlineMs(bench.state)
        bench.nowMs = passMs < 0 ? Math.max(bench.nowMs, deadlineMs ?? 0) : bench.nowMs + passMs
        const before = bench.state._tag
        const outputs = bench.step(input)
        const verdicts = outputs.filter(({ _tag }) => _tag === "Admit" || _tag === "Refuse")
        assert.lengthOf(verdicts, input._tag === "Asked" ? 1 : 0)
        for (const verdict of verdicts) {
          if (verdict._tag === "Refuse") assert.isAbove(verdict.retryInMs, 0)
          if (verdict._tag !== "Admit" || before === "Closed") continue
          assert.isTrue(verdict.isProbe)
          assert.isAtLeast(bench.nowMs - probedAtMs, probedAtMs < restoredAtMs ? 0 : config.pauseMs)
          probedAtMs = bench.nowMs
        }
        const next = machine.deadlineMs(bench.state)
        if (next !== undefined) assert.isAbove(next, bench.nowMs)
        if (bench.state._tag === "Open") assert.isAtMost(bench.state.untilMs - bench.nowMs, config.pauseMaxMs)
        if (input._tag === "PathRestored" || input._tag === "Succeeded") restoredAtMs = bench.nowMs + 0.1
        if (input._tag === "Succeeded") assert.deepStrictEqual(bench.state, CircuitBreaker.initial)
      }
    }
  )

  it.prop(
    "never opens while calls succeed in between",
    { runs: Arbitrary.array(integer(0, 2), { maxLength: 40 }) },
    ({ runs }) => {
      const bench = new Bench()
      for (const failures of runs) {
        for (let at = 0; at < failures; at++) bench.fail()
        assert.strictEqual(bench.ask()?._tag, "Admit")
        bench.step(Input.Succeeded())
      }
    }
  )

  it("has this table of states and inputs", () => {
    const states: ReadonlyArray<readonly [string, CircuitBreaker.State]> = [
      ["closed", CircuitBreaker.initial],
      ["failing", State.Closed({ failures: 2, failedAtMs: 0, reason: "r" })],
      ["open", State.Open({ untilMs: 9000, openings: 1, reason: "r" })],
      ["rested", State.Open({ untilMs: 500, openings: 1, reason: "r" })],
      ["half-open", State.HalfOpen({ probeUntilMs: undefined, openings: 1, reason: "r" })],
      ["probing", State.HalfOpen({ probeUntilMs: 9000, openings: 1, reason: "r" })]
    ]
    const inputs: ReadonlyArray<CircuitBreaker.Input> = [
      Input.Asked(),
      Input.Succeeded(),
      Input.Failed({ reason: "f" }),
      Input.PathRestored(),
      Input.TimerFired()
    ]
    const rows = states.flatMap(([name, state]) =>
      inputs.map((input) => {
        const { outputs, state: next } = machine.step(state, input, 1000)
        return `${name} + ${input._tag} -> ${next._tag} ${outputs.map(({ _tag }) => _tag).join(" ")}`.trim()
      })
    )
    assert.deepStrictEqual(rows, [
      "closed + Asked -> Closed Admit",
      "closed + Succeeded -> Closed",
      "closed + Failed -> Closed",
      "closed + PathRestored -> Closed",
      "closed + TimerFired -> Closed",
      "failing + Asked -> Closed Admit",
      "failing + Succeeded -> Closed",
      "failing + Failed -> Open ReportOpened",
      "failing + PathRestored -> Closed",
      "failing + TimerFired -> Closed",
      "open + Asked -> Open Refuse",
      "open + Succeeded -> Closed ReportClosed",
      "open + Failed -> Open",
      "open + PathRestored -> HalfOpen",
      "open + TimerFired -> Open",
      "rested + Asked -> HalfOpen Admit",
      "rested + Succeeded -> Closed ReportClosed",
      "rested + Failed -> Open ReportOpened",
      "rested + PathRestored -> HalfOpen",
      "rested + TimerFired -> HalfOpen",
      "half-open + Asked -> HalfOpen Admit",
      "half-open + Succeeded -> Closed ReportClosed",
      "half-open + Failed -> Open ReportOpened",
      "half-open + PathRestored -> HalfOpen",
      "half-open + TimerFired -> HalfOpen",
      "probing + Asked -> HalfOpen Refuse",
      "probing + Succeeded -> Closed ReportClosed",
      "probing + Failed -> Open ReportOpened",
      "probing + PathRestored -> HalfOpen",
      "probing + TimerFired -> HalfOpen"
    ])
  })
})

import { assert, describe, it } from "@effect/vitest"
import { Arbitrary } from "effect"
import { defaults } from "../../src/nat/Birthday.ts"
import * as Guesser from "../../src/nat/BirthdayGuesser.ts"
import { BirthdayMessage } from "../../src/protocol/wire/BirthdayMessage.ts"
import * as Arb from "../support/Arbitraries.ts"

const machine = Guesser.make(defaults)
const OWN = { host: "198.51.100.9", port: 5000 }
const asked = Guesser.Input.Asked({ round: 1, answer: OWN })
const opened = Guesser.Input.Opened({ round: 1 })
const timer = Guesser.Input.TimerFired()

/** One guesser and what it has asked for. */
class Run {
  nowMs = 0
  guesses = 0
  state: Guesser.State = Guesser.initial
  readonly outputs: Array<Guesser.Output> = []

  step(input: Guesser.Input): ReadonlyArray<Guesser.Output> {
    const { outputs, state } = machine.step(this.state, input, this.nowMs)
    this.state = state
    this.outputs.push(...outputs)
    for (const output of outputs) if (output._tag === "Guess") this.guesses += output.count
    return outputs
  }

  /** So long; `isHeard`: the peer goes on saying that its sockets are open. */
  wait(ms: number, isHeard = false): void {
    const untilMs = this.nowMs + ms
    let heardAtMs = this.nowMs
    for (let dueAtMs = machine.deadlineMs(this.state); dueAtMs !== undefined && dueAtMs <= untilMs; ) {
      this.nowMs = Math.max(this.nowMs, dueAtMs)
      if (isHeard && this.nowMs - heardAtMs >= defaults.tellMs) {
        heardAtMs = this.nowMs
        this.step(opened)
      }
      this.step(timer)
      dueAtMs = machine.deadlineMs(this.state)
    }
    this.nowMs = untilMs
  }

  told(): ReadonlyArray<BirthdayMessage> {
    return this.outputs.flatMap((output) => (output._tag === "Tell" ? [output.message] : []))
  }
}

const guessing = (): Run => {
  const run = new Run()
  run.step(asked)
  run.step(opened)
  return run
}

describe("BirthdayGuesser", () => {
  it("agrees as often as it is asked, and guesses when the sockets are open, a hundred times a second", () => {
    const run = new Run()
    run.step(asked)
    run.step(asked)
    assert.deepStrictEqual(
      run.told(),
      [1, 1].map((round) => BirthdayMessage.Agreed({ round, place: OWN }))
    )
    run.wait(900)
    assert.strictEqual(run.guesses, 0)

    run.step(opened)
    run.wait(1_000)
    assert.approximately(run.guesses, 100, defaults.guessesPerTick)
  })

  it("stops at its budget, says so, and waits a little for the last answers", () => {
    const run = guessing()
    run.wait(11_000, true)
    assert.strictEqual(run.guesses, defaults.guesses)
    assert.deepStrictEqual(run.told().at(-1), BirthdayMessage.Ended({ round: 1, probes: defaults.guesses }))
    assert.strictEqual(run.state._tag, "Guessing")

    run.wait(defaults.lingerMs, true)
    assert.deepStrictEqual(run.outputs.at(-1), Guesser.Output.Over({ outcome: "missed", detail: "" }))
    assert.strictEqual(run.guesses, defaults.guesses)
  })

  it("stops when the peer does not say any more that its sockets are open", () => {
    const run = guessing()
    run.wait(60_000)

    assert.isAtMost(run.guesses, (defaults.leaseMs / defaults.tickMs + 1) * defaults.guessesPerTick)
    assert.deepStrictEqual(run.outputs.at(-1), Guesser.Output.Over({ outcome: "broken off", detail: "" }))
  })

  it("stops where nothing more may be sent, and when a path is there", () => {
    const limited = guessing()
    limited.wait(100)
    const { guesses } = limited
    limited.step(Guesser.Input.Exhausted())
    limited.wait(10_000)
    assert.strictEqual(limited.guesses, guesses)
    assert.strictEqual(limited.state._tag, "Resting")

    const hit = guessing()
    hit.step(Guesser.Input.Found({ isHit: true }))
    assert.deepStrictEqual(hit.outputs.at(-1), Guesser.Output.Over({ outcome: "hit", detail: "" }))
  })

  it("declines for a reason, a second round while one is on, and is not moved by other rounds", () => {
    const run = new Run()
    run.step(Guesser.Input.Asked({ round: 1, answer: "NotPredictable" }))
    assert.deepStrictEqual(run.told(), [BirthdayMessage.Declined({ round: 1, reason: "NotPredictable" })])
    assert.strictEqual(run.state._tag, "Resting")

    const on = guessing()
    on.step(Guesser.Input.Asked({ round: 2, answer: OWN }))
    assert.deepStrictEqual(on.told().at(-1), BirthdayMessage.Declined({ round: 2, reason: "Busy" }))
    const { state } = on
    on.step(Guesser.Input.Ended({ round: 2 }))
    on.step(Guesser.Input.Opened({ round: 2 }))
    assert.strictEqual(on.state, state)
  })

  const Inputs = Arbitrary.array(
    Arb.oneOf<Guesser.Input | "wait">(
      Arb.element<Guesser.Input>(asked, opened, timer, Guesser.Input.Exhausted()),
      Arb.element<Guesser.Input>(
        Guesser.Input.BrokenOff(),
        Guesser.Input.Ended({ round: 2 }),
        Guesser.Input.Found({ isHit: false })
      ),
      Arb.element("wait"),
      Arb.element("wait"),
      Arb.element("wait")
    ),
    { maxLength: 200 }
  )

  it.prop(
    "whatever happens: guesses only after the peer's sockets are open, never more than its budget, and ends",
    { inputs: Inputs },
    ({ inputs }) => {
      const run = new Run()
      for (const input of inputs) {
        const before = run.state
        const { guesses } = run
        if (input === "wait") {
          run.nowMs = machine.deadlineMs(run.state) ?? run.nowMs
          run.step(timer)
          assert.isAbove(machine.deadlineMs(run.state) ?? Number.POSITIVE_INFINITY, run.nowMs)
        } else run.step(input)
        if (run.guesses > guesses) assert.strictEqual(before._tag, "Guessing")
        assert.isAtMost(run.guesses - guesses, defaults.guessesPerTick)
        if (run.state._tag === "Guessing") assert.isAtMost(run.state.guessed, defaults.guesses)
      }
      run.wait(defaults.lastsMs)
      assert.strictEqual(run.state._tag, "Resting")
    },
    { arbitrary: { runs: 300 } }
  )
})

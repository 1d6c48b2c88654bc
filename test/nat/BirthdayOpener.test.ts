import { assert, describe, it } from "@effect/vitest"
import { Arbitrary } from "effect"
import { defaults } from "../../src/nat/Birthday.ts"
import * as Opener from "../../src/nat/BirthdayOpener.ts"
import { BirthdayMessage } from "../../src/protocol/wire/BirthdayMessage.ts"
import * as Arb from "../support/Arbitraries.ts"

const machine = Opener.make(defaults)
const OWN = { host: "198.51.100.7", port: 4000 }
const PEER = { host: "198.51.100.9", port: 5000 }
const wanted = Opener.Input.Wanted({ round: 1, place: OWN })
const told = (message: BirthdayMessage) => Opener.Input.Told({ message })
const timer = Opener.Input.TimerFired({ place: OWN })

/** One opener and what it has asked for. */
class Run {
  nowMs = 0
  state: Opener.State = Opener.initial
  readonly outputs: Array<Opener.Output> = []

  step(input: Opener.Input): ReadonlyArray<Opener.Output> {
    const { outputs, state } = machine.step(this.state, input, this.nowMs)
    this.state = state
    this.outputs.push(...outputs)
    return outputs
  }

  /** Until nothing is due any more, or so long. */
  wait(ms: number): void {
    const untilMs = this.nowMs + ms
    for (let dueAtMs = machine.deadlineMs(this.state); dueAtMs !== undefined && dueAtMs <= untilMs; ) {
      this.nowMs = Math.max(this.nowMs, dueAtMs)
      this.step(timer)
      dueAtMs = machine.deadlineMs(this.state)
    }
    this.nowMs = untilMs
  }

  tags(): ReadonlyArray<string> {
    return this.outputs.map((output) => (output._tag === "Tell" ? output.message._tag : output._tag))
  }
}

const agreed = (): Run => {
  const run = new Run()
  run.step(wanted)
  run.step(told(BirthdayMessage.Agreed({ round: 1, place: PEER })))
  return run
}

const knocks = (run: Run): number =>
  run.outputs.reduce((sum, output) => sum + (output._tag === "Knock" ? output.count : 0), 0)

describe("BirthdayOpener", () => {
  it("asks, opens sockets when the peer agrees, lets all of them knock, and then says so each second", () => {
    const run = agreed()
    assert.deepStrictEqual(run.tags(), ["Asked", "OpenSockets"])

    run.step(Opener.Input.SocketsOpened({ sockets: 256 }))
    run.wait(349)
    assert.notInclude(run.tags(), "Opened")
    run.wait(1)
    assert.strictEqual(knocks(run), 256)
    assert.strictEqual(run.tags().at(-1), "Opened")
    run.wait(3_000)
    assert.strictEqual(run.tags().filter((tag) => tag === "Opened").length, 4)
    assert.strictEqual(knocks(run), 256)
  })

  it("knocks again before mappings go, and gives up in time", () => {
    const run = agreed()
    run.step(Opener.Input.SocketsOpened({ sockets: 256 }))
    run.wait(60_000)

    assert.isAtMost(knocks(run), 256 * 5)
    assert.deepStrictEqual(run.outputs.at(-1), Opener.Output.Over({ outcome: "missed", detail: "" }))
    assert.deepStrictEqual(run.state, Opener.initial)
  })

  it("lets the last answers come when the peer has tried all", () => {
    const run = agreed()
    run.step(Opener.Input.SocketsOpened({ sockets: 256 }))
    run.wait(1_000)
    run.step(told(BirthdayMessage.Ended({ round: 1, probes: 1_024 })))
    assert.strictEqual(run.state._tag, "Knocking")
    run.wait(defaults.lingerMs)

    assert.strictEqual(run.state._tag, "Resting")
  })

  it("asks a silent peer a few times, and one that declines no more", () => {
    const silent = new Run()
    silent.step(wanted)
    silent.wait(60_000)
    assert.strictEqual(silent.tags().filter((tag) => tag === "Asked").length, defaults.asks)
    assert.deepStrictEqual(silent.outputs.at(-1), Opener.Output.Over({ outcome: "silent", detail: "" }))

    const declined = new Run()
    declined.step(wanted)
    declined.step(told(BirthdayMessage.Declined({ round: 1, reason: "NotPredictable" })))
    assert.deepStrictEqual(declined.outputs.slice(1), [
      Opener.Output.Over({ outcome: "declined", detail: "NotPredictable" })
    ])
  })

  it("ends quietly where the host has no sockets, and at once when a path is there", () => {
    const refused = agreed()
    refused.step(Opener.Input.SocketsRefused())
    assert.deepStrictEqual(refused.tags(), ["Asked", "OpenSockets", "Ended", "Over"])

    const hit = agreed()
    hit.step(Opener.Input.SocketsOpened({ sockets: 256 }))
    hit.step(Opener.Input.Found({ isHit: true }))
    assert.deepStrictEqual(hit.outputs.at(-1), Opener.Output.Over({ outcome: "hit", detail: "" }))
  })

  it("is not moved by words about another round", () => {
    const run = agreed()
    const { state } = run
    for (const message of [
      BirthdayMessage.Agreed({ round: 2, place: PEER }),
      BirthdayMessage.Declined({ round: 2, reason: "Busy" }),
      BirthdayMessage.Ended({ round: 2, probes: 1 })
    ])
      assert.deepStrictEqual(run.step(told(message)), [])
    assert.strictEqual(run.state, state)
  })

  const Inputs = Arbitrary.array(
    Arb.oneOf<Opener.Input | "wait">(
      Arb.element<Opener.Input>(wanted, timer, Opener.Input.BrokenOff(), Opener.Input.SocketsRefused()),
      Arbitrary.map(Arb.birthdayMessage, (message) => told({ ...message, round: message.round % 2 })),
      Arb.element<Opener.Input>(
        told(BirthdayMessage.Agreed({ round: 1, place: PEER })),
        Opener.Input.SocketsOpened({ sockets: 256 })
      ),
      Arb.element("wait")
    ),
    { maxLength: 120 }
  )

  it.prop(
    "whatever happens: knocks only by sockets that are open, ends in time, and is due later after each waking",
    { inputs: Inputs },
    ({ inputs }) => {
      const run = new Run()
      for (const input of inputs) {
        const before = run.state
        if (input === "wait") {
          run.nowMs = machine.deadlineMs(run.state) ?? run.nowMs
          run.step(timer)
          assert.isAbove(machine.deadlineMs(run.state) ?? Number.POSITIVE_INFINITY, run.nowMs)
        } else run.step(input)
        for (const output of run.outputs.splice(0)) {
          if (output._tag !== "Knock") continue
          assert.strictEqual(before._tag, "Knocking")
          assert.isAtMost(output.first + output.count, 256)
          assert.isAtMost(output.count, defaults.knocksPerTick)
        }
        if (run.state._tag === "Knocking") assert.isAtMost(run.state.endsAtMs, run.nowMs + defaults.lastsMs)
      }
      run.wait(defaults.lastsMs + defaults.asks * defaults.tellMs)
      assert.strictEqual(run.state._tag, "Resting")
    },
    { arbitrary: { runs: 300 } }
  )
})

import { assert, describe, it } from "@effect/vitest"
import { Arbitrary } from "effect"
import * as BeaconTransport from "../../src/nat/BeaconTransport.ts"
import { element, integer } from "../support/Arbitraries.ts"

const { Input } = BeaconTransport
const machine = BeaconTransport.make()
const endpoint = { host: "192.0.2.1", port: 4000 }
const heard = Input.Heard()
const seen = Input.Seen({ endpoint })
const UNANSWERED = Input.Unanswered({ isNew: false })
const MOVED = Input.Moved({ isDone: true })
const tick = Input.TimerFired()

/** Steps at the given times; a tick without a time comes at the deadline. */
const play = (...inputs: ReadonlyArray<BeaconTransport.Input>) => {
  let state: BeaconTransport.State = BeaconTransport.initial
  let nowMs = 0
  const outputs: Array<string> = []
  for (const input of inputs) {
    if (input._tag === "TimerFired") nowMs = machine.deadlineMs(state) ?? nowMs
    const step = machine.step(state, input, nowMs)
    state = step.state
    outputs.push(...step.outputs.map((output) => (output._tag === "Carry" ? `Carry ${output.by}` : output._tag)))
  }
  return { state: state._tag, outputs, nowMs }
}

const OPEN = [UNANSWERED, tick, tick, tick, Input.Opened()] as const

describe("BeaconTransport", () => {
  it("asks three times before it opens a WebSocket, and stays with UDP when that answers", () => {
    assert.deepStrictEqual(play(...OPEN), {
      state: "Bridged",
      outputs: ["Ask", "Ask", "Ask", "Open", "Carry websocket"],
      nowMs: 1500
    })
    assert.deepStrictEqual(play(UNANSWERED, tick, heard).state, "Udp")
    assert.deepStrictEqual(play(...OPEN.slice(0, 4), seen), {
      state: "Udp",
      outputs: ["Ask", "Ask", "Ask", "Open", "Close"],
      nowMs: 1500
    })
  })

  it("asks once more where nothing has ever answered", () => {
    assert.deepStrictEqual(play(Input.Unanswered({ isNew: true }), tick, Input.Opened()), {
      state: "Bridged",
      outputs: ["Ask", "Open", "Carry websocket"],
      nowMs: 500
    })
  })

  it("tries a WebSocket again later and later, at most once a minute", () => {
    const failures = Array.from({ length: 12 }, () => [Input.Lost(), tick]).flat()
    assert.strictEqual(
      play(...OPEN.slice(0, 4), ...failures).nowMs,
      1500 + 1000 * (1 + 2 + 4 + 8 + 16 + 32) + 6 * 60_000
    )
  })

  it("goes back to UDP when the beacon has moved, and reads the WebSocket a little longer", () => {
    const { outputs, state } = play(...OPEN, tick, seen, seen, Input.Moved({ isDone: true }), tick)
    assert.deepStrictEqual(outputs.slice(5), ["Refresh", "Ask", "Announce", "Move", "Carry udp", "Close"])
    assert.strictEqual(state, "Udp")
    assert.strictEqual(play(...OPEN, seen, seen, Input.Moved({ isDone: false })).state, "Bridged")
    assert.strictEqual(play(...OPEN, seen, tick).state, "Bridged", "the announcement was lost")
    assert.deepStrictEqual(
      play(...OPEN, seen, seen, Input.Moved({ isDone: true }), UNANSWERED).outputs.at(-1),
      "Carry websocket",
      "UDP was back for a moment only"
    )
  })

  it("opens another WebSocket at once when one is lost", () => {
    assert.deepStrictEqual(play(...OPEN, Input.Lost()).outputs.slice(5), ["Carry udp", "Open"])
  })

  const inputs: ReadonlyArray<BeaconTransport.Input> = [
    UNANSWERED,
    heard,
    seen,
    Input.Opened(),
    Input.Lost(),
    MOVED,
    tick
  ]
  /** A trace: which input, and how long after the last one; beyond the deadline the timer fires first. */
  const trace = Arbitrary.array(
    Arbitrary.all({
      input: element(...inputs),
      after: integer(0, 5000)
    })
  )

  it.prop(
    "whatever happens, it wakes later than it was woken, and a WebSocket that carries was opened",
    { trace },
    ({ trace }) => {
      let state: BeaconTransport.State = BeaconTransport.initial
      let nowMs = 0
      let by = "udp"
      const step = (input: BeaconTransport.Input) => {
        const next = machine.step(state, input, nowMs)
        for (const output of next.outputs) if (output._tag === "Carry") by = output.by
        state = next.state
        assert.isAbove(machine.deadlineMs(state) ?? Number.POSITIVE_INFINITY, nowMs)
        const carries = state._tag === "Bridged" || state._tag === "Returning"
        assert.strictEqual(by, carries ? "websocket" : "udp", state._tag)
      }
      for (const { after, input } of trace) {
        const untilMs = nowMs + after
        for (let dueAtMs = machine.deadlineMs(state); dueAtMs !== undefined && dueAtMs <= untilMs; ) {
          nowMs = dueAtMs
          step(tick)
          dueAtMs = machine.deadlineMs(state)
        }
        nowMs = untilMs
        step(input)
      }
    }
  )
})

import { assert, describe, it } from "@effect/vitest"
import { Data, Effect, Schedule, type Scope } from "effect"
import { TestClock } from "effect/testing"
import { ActorExit } from "../../../src/core/actor/ActorRef.ts"
import * as StateMachineActor from "../../../src/core/actor/StateMachineActor.ts"
import { type StateMachine, stay } from "../../../src/core/data/StateMachine.ts"

/** Silent for `INTERVAL_MS`: probe; `PROBES_MAX` probes unanswered: lost. */
type State = Data.TaggedEnum<{
  Alive: { readonly nextProbeAtMs: number; readonly unanswered: number }
  Lost: { readonly sinceMs: number }
}>
const State = Data.taggedEnum<State>()

type Input = "datagramReceived" | "timerFired"

type Output = Data.TaggedEnum<{
  SendProbe: { readonly number: number }
  ReportLost: { readonly atMs: number }
}>
const Output = Data.taggedEnum<Output>()

const INTERVAL_MS = 100
const PROBES_MAX = 2

const initial = (nowMs: number): State => State.Alive({ nextProbeAtMs: nowMs + INTERVAL_MS, unanswered: 0 })

const keepalive: StateMachine<State, Input, Output> = {
  deadlineMs: State.$match({ Alive: ({ nextProbeAtMs }) => nextProbeAtMs, Lost: () => undefined }),
  step: (state, input, nowMs) => {
    if (input === "datagramReceived") return stay(initial(nowMs))
    if (state._tag === "Lost" || nowMs < state.nextProbeAtMs) return stay(state)
    const number = state.unanswered + 1
    if (state.unanswered === PROBES_MAX) {
      return { state: State.Lost({ sinceMs: nowMs }), outputs: [Output.ReportLost({ atMs: nowMs })] }
    }
    const waiting = { nextProbeAtMs: nowMs + INTERVAL_MS, unanswered: number }
    return { state: State.Alive(waiting), outputs: [Output.SendProbe({ number })] }
  }
}

class NoRoute extends Data.TaggedError("NoRoute")<{ readonly host: string }> {}

const spawn = (options: {
  readonly sendProbe: (number: number) => Effect.Effect<void, NoRoute>
  readonly pathLost: (atMs: number) => Effect.Effect<void>
}): Effect.Effect<StateMachineActor.ActorRef<Input>, never, Scope.Scope> =>
  StateMachineActor.spawn({
    name: "path/test",
    mailboxCapacity: 64,
    stateMachine: keepalive,
    initial,
    timerFired: "timerFired",
    perform: Output.$match({
      SendProbe: ({ number }) => options.sendProbe(number),
      ReportLost: ({ atMs }) => options.pathLost(atMs)
    }),
    restart: Schedule.recurs(1)
  })

const note = (log: Array<string>, line: string) => Effect.sync(() => void log.push(line))

describe("StateMachineActor", () => {
  it.effect("steps with the monotonic clock and performs the outputs in order", () =>
    Effect.gen(function* () {
      const log: Array<string> = []
      yield* TestClock.adjust(1000)
      const ref = yield* spawn({
        sendProbe: (number) => note(log, `probe ${number}`),
        pathLost: (atMs) => note(log, `lost ${atMs}`)
      })
      yield* TestClock.adjust(99)
      assert.deepStrictEqual(log, [])
      yield* TestClock.adjust(51)
      assert.deepStrictEqual(log, ["probe 1"])
      yield* ref.tell("datagramReceived")
      yield* TestClock.adjust(1000)

      assert.deepStrictEqual(log, ["probe 1", "probe 1", "probe 2", "lost 1450"])
    })
  )

  it.effect("restarts from its initial state, then gives up as its policy says", () =>
    Effect.gen(function* () {
      const log: Array<string> = []
      const ref = yield* spawn({
        sendProbe: (number) => (number === 1 ? note(log, "probe 1") : Effect.fail(new NoRoute({ host: "192.0.2.1" }))),
        pathLost: () => note(log, "lost")
      })
      yield* TestClock.adjust(1000)

      assert.deepStrictEqual(log, ["probe 1", "probe 1"])
      assert.isTrue(ActorExit.$is("Failed")(yield* ref.exit))
    })
  )
})

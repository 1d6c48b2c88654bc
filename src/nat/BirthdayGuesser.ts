/**
 * The guesser's half of birthday probing: agrees, waits until the peer's sockets are open, and tries ports of its host, a few at a
 * time, for as long as the peer keeps saying that they are.
 *
 * ```
 * Resting ──Asked, admitted──► Waiting ──Opened──► Guessing ──Found, all tried, silence of the peer──► Resting
 * ```
 */
import { Data } from "effect"
import type { Endpoint } from "../core/data/Endpoint.ts"
import { type StateMachine, type Step, stay } from "../core/data/StateMachine.ts"
import type { BirthdayOutcome } from "../protocol/ProtocolEvent.ts"
import { BirthdayMessage, type Reason } from "../protocol/wire/BirthdayMessage.ts"
import type { Config } from "./Birthday.ts"

/** `leaseAtMs`: when the peer's word does not hold any more. */
export type State = Data.TaggedEnum<{
  Resting: {}
  Waiting: { readonly round: number; readonly place: Endpoint; readonly leaseAtMs: number }
  Guessing: {
    readonly round: number
    readonly guessed: number
    readonly nextAtMs: number
    readonly leaseAtMs: number
    /** Infinite until all has been tried. */
    readonly endsAtMs: number
  }
}>
/** Constructors of `State`. */
export const State = Data.taggedEnum<State>()

/** What happened. */
export type Input = Data.TaggedEnum<{
  /** With this node's answer: where it is, or why not. */
  Asked: { readonly round: number; readonly answer: Endpoint | Reason }
  /** The beacon has placed the peer where it is probed; the owner sees to that. */
  Opened: { readonly round: number }
  Ended: { readonly round: number }
  /** Nothing more may be sent there. */
  Exhausted: {}
  /** A direct path is there; `isHit` if to the host whose ports were tried. */
  Found: { readonly isHit: boolean }
  BrokenOff: {}
  TimerFired: {}
}>
/** Constructors of `Input`. */
export const Input = Data.taggedEnum<Input>()

/** What the owner must do. */
export type Output = Data.TaggedEnum<{
  Tell: { readonly message: BirthdayMessage }
  /** A probe to each of so many ports. */
  Guess: { readonly count: number }
  Over: { readonly outcome: BirthdayOutcome; readonly detail: string }
}>
/** Constructors of `Output`. */
export const Output = Data.taggedEnum<Output>()

/** Nothing is going on. */
export const initial: State = State.Resting()

/** Total; what does not belong to the try that is under way changes nothing, and a second one is declined. */
export const make = (config: Config): StateMachine<State, Input, Output> => ({
  deadlineMs: State.$match({
    Resting: () => undefined,
    Waiting: ({ leaseAtMs }) => leaseAtMs,
    Guessing: ({ endsAtMs, leaseAtMs, nextAtMs }) => Math.min(endsAtMs, leaseAtMs, nextAtMs)
  }),
  step: (state, input, nowMs) => {
    if (input._tag === "Asked") return asked(config, state, input, nowMs)
    if (state._tag === "Resting") return stay(state)
    switch (input._tag) {
      case "Opened":
        return input.round === state.round ? opened(config, state, nowMs) : stay(state)
      case "Ended":
        return input.round === state.round ? over(state, "missed") : stay(state)
      case "Exhausted":
        return state._tag === "Guessing" ? spent(config, state, nowMs) : stay(state)
      case "Found":
        return over(state, input.isHit ? "hit" : "needless")
      case "BrokenOff":
        return over(state, "broken off")
      case "TimerFired":
        if (nowMs >= state.leaseAtMs) return over(state, "broken off")
        return state._tag === "Guessing" ? guess(config, state, nowMs) : stay(state)
    }
  }
})

type Waiting = Extract<State, { readonly _tag: "Waiting" }>
type Guessing = Extract<State, { readonly _tag: "Guessing" }>

const asked = (
  config: Config,
  state: State,
  { answer, round }: { readonly round: number; readonly answer: Endpoint | Reason },
  nowMs: number
): Step<State, Output> => {
  const decline = (reason: Reason) => ({
    state,
    outputs: [Output.Tell({ message: BirthdayMessage.Declined({ round, reason }) })]
  })
  if (state._tag === "Waiting" && state.round === round)
    return { state, outputs: [Output.Tell({ message: BirthdayMessage.Agreed({ round, place: state.place }) })] }
  if (state._tag !== "Resting") return state.round === round ? stay(state) : decline("Busy")
  if (typeof answer === "string") return decline(answer)
  return {
    state: State.Waiting({ round, place: answer, leaseAtMs: nowMs + config.lastsMs / 2 }),
    outputs: [Output.Tell({ message: BirthdayMessage.Agreed({ round, place: answer }) })]
  }
}

const opened = (config: Config, state: Waiting | Guessing, nowMs: number): Step<State, Output> => {
  const leaseAtMs = nowMs + config.leaseMs
  if (state._tag === "Guessing") return stay({ ...state, leaseAtMs })
  const { round } = state
  const endsAtMs = Number.POSITIVE_INFINITY
  return stay(State.Guessing({ round, guessed: 0, nextAtMs: nowMs, leaseAtMs, endsAtMs }))
}

const guess = (config: Config, state: Guessing, nowMs: number): Step<State, Output> => {
  if (nowMs >= state.endsAtMs) return over(state, "missed")
  if (nowMs < state.nextAtMs) return stay(state)
  const count = Math.min(config.guessesPerTick, config.guesses - state.guessed)
  const next = { ...state, guessed: state.guessed + count, nextAtMs: nowMs + config.tickMs }
  const ending = next.guessed < config.guesses ? stay<State>(next) : spent(config, next, nowMs)
  return { state: ending.state, outputs: [Output.Guess({ count }), ...ending.outputs] }
}

/** The last answers may still come. */
const spent = (config: Config, state: Guessing, nowMs: number): Step<State, Output> => {
  if (state.endsAtMs < Number.POSITIVE_INFINITY) return stay(state)
  return {
    state: { ...state, nextAtMs: Number.POSITIVE_INFINITY, endsAtMs: nowMs + config.lingerMs },
    outputs: [Output.Tell({ message: BirthdayMessage.Ended({ round: state.round, probes: state.guessed }) })]
  }
}

const over = (state: Waiting | Guessing, outcome: BirthdayOutcome): Step<State, Output> => {
  const probes = state._tag === "Guessing" ? state.guessed : 0
  const isTold = state._tag === "Guessing" && state.endsAtMs < Number.POSITIVE_INFINITY
  const ended = Output.Tell({ message: BirthdayMessage.Ended({ round: state.round, probes }) })
  return { state: State.Resting(), outputs: [...(isTold ? [] : [ended]), Output.Over({ outcome, detail: "" })] }
}

/**
 * The opener's half of birthday probing: asks the peer whether it guesses, has sockets opened when it does, lets each of them
 * knock, says so, and goes on until one is met, the peer has tried all, or time is up.
 *
 * ```
 * Resting ──Wanted──► Asking ──Agreed──► Knocking (sockets are opened, then each sends) ──Found, Ended, time──► Resting
 * ```
 */
import { Data } from "effect"
import type { Endpoint } from "../core/data/Endpoint.ts"
import { type StateMachine, type Step, stay } from "../core/data/StateMachine.ts"
import type { BirthdayOutcome } from "../protocol/ProtocolEvent.ts"
import { BirthdayMessage } from "../protocol/wire/BirthdayMessage.ts"
import type { Config } from "./Birthday.ts"

/** `knocked` counts datagrams of all sockets; `tellAtMs` is infinite until every socket has sent once. */
export type State = Data.TaggedEnum<{
  Resting: {}
  Asking: { readonly round: number; readonly asked: number; readonly nextAtMs: number }
  Knocking: {
    readonly round: number
    /** 0 while they are being opened. */
    readonly sockets: number
    readonly knocked: number
    readonly nextAtMs: number
    readonly tellAtMs: number
    readonly endsAtMs: number
  }
}>
/** Constructors of `State`. */
export const State = Data.taggedEnum<State>()

/** What happened. A place that the peer agrees with counts only if it may be sent to; the owner sees to that. */
export type Input = Data.TaggedEnum<{
  Wanted: { readonly round: number; readonly place: Endpoint }
  Told: { readonly message: BirthdayMessage }
  SocketsOpened: { readonly sockets: number }
  SocketsRefused: {}
  /** A direct path is there; `isHit` if by one of the sockets. */
  Found: { readonly isHit: boolean }
  BrokenOff: {}
  TimerFired: { readonly place: Endpoint }
}>
/** Constructors of `Input`. */
export const Input = Data.taggedEnum<Input>()

/** What the owner must do. `Knock`: a probe from each of `count` sockets, from the one with number `first`. */
export type Output = Data.TaggedEnum<{
  Tell: { readonly message: BirthdayMessage }
  OpenSockets: { readonly to: Endpoint }
  Knock: { readonly first: number; readonly count: number }
  Over: { readonly outcome: BirthdayOutcome; readonly detail: string }
}>
/** Constructors of `Output`. */
export const Output = Data.taggedEnum<Output>()

/** Nothing is going on. */
export const initial: State = State.Resting()

/** Total; what does not belong to the try that is under way changes nothing. */
export const make = (config: Config): StateMachine<State, Input, Output> => ({
  deadlineMs: State.$match({
    Resting: () => undefined,
    Asking: ({ nextAtMs }) => nextAtMs,
    Knocking: ({ endsAtMs, nextAtMs, tellAtMs }) => Math.min(endsAtMs, nextAtMs, tellAtMs)
  }),
  step: (state, input, nowMs) => {
    if (input._tag === "Wanted")
      return state._tag === "Resting" ? ask(config, input.round, 0, input.place, nowMs) : stay(state)
    if (state._tag === "Resting") return stay(state)
    switch (input._tag) {
      case "Told":
        return told(config, state, input.message, nowMs)
      case "SocketsOpened":
        if (state._tag !== "Knocking" || state.sockets > 0) return stay(state)
        return stay({ ...state, sockets: input.sockets, nextAtMs: nowMs })
      case "SocketsRefused":
        return over(state, "refused")
      case "Found":
        return over(state, input.isHit ? "hit" : "needless")
      case "BrokenOff":
        return over(state, "broken off")
      case "TimerFired":
        return state._tag === "Asking" ? askAgain(config, state, input.place, nowMs) : knock(config, state, nowMs)
    }
  }
})

type Asking = Extract<State, { readonly _tag: "Asking" }>
type Knocking = Extract<State, { readonly _tag: "Knocking" }>

const ask = (config: Config, round: number, asked: number, place: Endpoint, nowMs: number): Step<State, Output> => ({
  state: State.Asking({ round, asked: asked + 1, nextAtMs: nowMs + config.tellMs }),
  outputs: [Output.Tell({ message: BirthdayMessage.Asked({ round, place }) })]
})

const askAgain = (config: Config, state: Asking, place: Endpoint, nowMs: number): Step<State, Output> => {
  if (nowMs < state.nextAtMs) return stay(state)
  return state.asked < config.asks ? ask(config, state.round, state.asked, place, nowMs) : over(state, "silent")
}

const told = (
  config: Config,
  state: Asking | Knocking,
  message: BirthdayMessage,
  nowMs: number
): Step<State, Output> => {
  if (message.round !== state.round) return stay(state)
  if (message._tag === "Declined") return over(state, "declined", message.reason)
  if (message._tag === "Agreed" && state._tag === "Asking") {
    const waiting = { nextAtMs: Number.POSITIVE_INFINITY, tellAtMs: Number.POSITIVE_INFINITY }
    const knocking = { round: state.round, sockets: 0, knocked: 0, ...waiting, endsAtMs: nowMs + config.lastsMs }
    return { state: State.Knocking(knocking), outputs: [Output.OpenSockets({ to: message.place })] }
  }
  if (message._tag === "Ended" && state._tag === "Knocking")
    return stay({ ...state, endsAtMs: Math.min(state.endsAtMs, nowMs + config.lingerMs) })
  return stay(state)
}

const knock = (config: Config, state: Knocking, nowMs: number): Step<State, Output> => {
  if (nowMs >= state.endsAtMs) return over(state, "missed")
  const outputs: Array<Output> = []
  let next = state
  if (nowMs >= state.nextAtMs) {
    const first = state.knocked % state.sockets
    const count = Math.min(config.knocksPerTick, state.sockets - first)
    const isRoundOver = first + count === state.sockets
    outputs.push(Output.Knock({ first, count }))
    next = {
      ...state,
      knocked: state.knocked + count,
      nextAtMs: nowMs + (isRoundOver ? config.knockPauseMs : config.tickMs),
      // The peer may begin: every socket lets it in.
      tellAtMs: isRoundOver ? Math.min(state.tellAtMs, nowMs) : state.tellAtMs
    }
  }
  if (nowMs >= next.tellAtMs) {
    outputs.push(Output.Tell({ message: BirthdayMessage.Opened({ round: state.round, sockets: state.sockets }) }))
    next = { ...next, tellAtMs: nowMs + config.tellMs }
  }
  return { state: next, outputs }
}

const over = (state: Asking | Knocking, outcome: BirthdayOutcome, detail = ""): Step<State, Output> => {
  const probes = state._tag === "Knocking" ? state.knocked : 0
  const ended = Output.Tell({ message: BirthdayMessage.Ended({ round: state.round, probes }) })
  return {
    state: State.Resting(),
    outputs: [...(outcome === "declined" ? [] : [ended]), Output.Over({ outcome, detail })]
  }
}

/**
 * Lets calls to a service end at once when it keeps failing, instead of one after the other learning the same: closed lets
 * calls through, open refuses them with the reason, half-open lets one through that proves it.
 *
 * A failure is a call that no server answered: it could not be reached or started, or was lost during the call. What a
 * server answers is a success, an error or a result with `isError` included: those are the tool's own.
 */
import { Data } from "effect"
import { type StateMachine, type Step, stay } from "../../core/data/StateMachine.ts"

/** When it opens, and for how long. All lengths in milliseconds. */
export interface Config {
  /** Incidents in a row that open it. */
  readonly failuresMax: number
  /** An incident this long after the one before begins a new row. */
  readonly windowMs: number
  /** Failures this close together are one incident: the death of a server ends all of its calls. */
  readonly incidentMs: number
  /** The first pause; each failed probe doubles it. */
  readonly pauseMs: number
  readonly pauseMaxMs: number
  /** A probe without an answer for so long lets another call try: calls may take hours. */
  readonly probeMs: number
}

/** What holds unless somebody says otherwise. */
export const CONFIG_DEFAULT: Config = {
  failuresMax: 3,
  windowMs: 60_000,
  incidentMs: 500,
  pauseMs: 5_000,
  pauseMaxMs: 60_000,
  probeMs: 30_000
}

/** `reason` is that of the last failure, `openings` how often it opened since a call last succeeded. */
export type State = Data.TaggedEnum<{
  Closed: { readonly failures: number; readonly failedAtMs: number; readonly reason: string }
  Open: { readonly untilMs: number; readonly openings: number; readonly reason: string }
  /** `probeUntilMs` is undefined while no call is under way that proves anything. */
  HalfOpen: { readonly probeUntilMs: number | undefined; readonly openings: number; readonly reason: string }
}>
export const State = Data.taggedEnum<State>()

/** What happened. */
export type Input = Data.TaggedEnum<{
  /** A call wants through. */
  Asked: {}
  Succeeded: {}
  Failed: { readonly reason: string }
  /** The way to the service is there again: nobody needs to wait for the end of a pause. */
  PathRestored: {}
  TimerFired: {}
}>
export const Input = Data.taggedEnum<Input>()

/** What the owner must do; `Admit` and `Refuse` answer `Asked`, which always gets one of them. */
export type Output = Data.TaggedEnum<{
  Admit: { readonly isProbe: boolean }
  Refuse: { readonly reason: string; readonly retryInMs: number }
  ReportOpened: { readonly reason: string; readonly pauseMs: number }
  ReportClosed: {}
}>
export const Output = Data.taggedEnum<Output>()

/** A service of which nothing is known. */
export const initial: State = State.Closed({ failures: 0, failedAtMs: Number.NEGATIVE_INFINITY, reason: "" })

/** Total; a wake-up before the deadline changes nothing. */
export const make = (config: Config = CONFIG_DEFAULT): StateMachine<State, Input, Output> => ({
  deadlineMs: State.$match({
    Closed: () => undefined,
    Open: ({ untilMs }) => untilMs,
    HalfOpen: ({ probeUntilMs }) => probeUntilMs
  }),
  step: (before, input, nowMs) => {
    const state = rested(before, nowMs)
    switch (input._tag) {
      case "Asked":
        return asked(config, state, nowMs)
      case "Succeeded":
        return succeeded(state)
      case "Failed":
        return failed(config, state, input.reason, nowMs)
      case "PathRestored":
        return stay(state._tag === "Open" ? halfOpen(state) : state)
      case "TimerFired":
        return stay(state)
    }
  }
})

/** The state once what is due has happened, so that an owner without a timer is right, too. */
const rested = (state: State, nowMs: number): State => {
  if (state._tag === "Closed") return state
  const untilMs = state._tag === "Open" ? state.untilMs : state.probeUntilMs
  if (untilMs === undefined || nowMs < untilMs) return state
  return halfOpen(state)
}

const halfOpen = ({ openings, reason }: Pick<Extract<State, { _tag: "Open" }>, "openings" | "reason">): State =>
  State.HalfOpen({ probeUntilMs: undefined, openings, reason })

const asked = (config: Config, state: State, nowMs: number): Step<State, Output> => {
  switch (state._tag) {
    case "Closed":
      return { state, outputs: ADMIT }
    case "Open":
      return { state, outputs: [Output.Refuse({ reason: state.reason, retryInMs: state.untilMs - nowMs })] }
    case "HalfOpen":
      return state.probeUntilMs === undefined
        ? {
            state: State.HalfOpen({
              openings: state.openings,
              reason: state.reason,
              probeUntilMs: nowMs + config.probeMs
            }),
            outputs: [Output.Admit({ isProbe: true })]
          }
        : { state, outputs: [Output.Refuse({ reason: state.reason, retryInMs: state.probeUntilMs - nowMs })] }
  }
}

/** Also while open: a call from before that is answered after all proves as much as a probe. */
const succeeded = (state: State): Step<State, Output> =>
  state._tag === "Closed"
    ? stay(state.failures === 0 ? state : initial)
    : { state: initial, outputs: [Output.ReportClosed()] }

const failed = (config: Config, state: State, reason: string, nowMs: number): Step<State, Output> => {
  switch (state._tag) {
    case "Open":
      // A call from before it opened.
      return stay(state)
    case "HalfOpen":
      return open(config, state.openings, reason, nowMs)
    case "Closed": {
      const sinceMs = nowMs - state.failedAtMs
      if (state.failures > 0 && sinceMs < config.incidentMs) return stay(state)
      const failures = sinceMs > config.windowMs ? 1 : state.failures + 1
      return failures >= config.failuresMax
        ? open(config, 0, reason, nowMs)
        : stay(State.Closed({ failures, failedAtMs: nowMs, reason }))
    }
  }
}

const open = (config: Config, openings: number, reason: string, nowMs: number): Step<State, Output> => {
  const pauseMs = Math.min(config.pauseMaxMs, config.pauseMs * 2 ** Math.min(openings, DOUBLINGS_MAX))
  return {
    state: State.Open({ untilMs: nowMs + pauseMs, openings: openings + 1, reason }),
    outputs: [Output.ReportOpened({ reason, pauseMs })]
  }
}

const ADMIT: ReadonlyArray<Output> = [Output.Admit({ isProbe: false })]
/** Keeps the power finite; the pause has reached its bound long before. */
const DOUBLINGS_MAX = 30

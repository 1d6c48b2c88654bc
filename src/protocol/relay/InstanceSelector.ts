/**
 * Which of several instances of one service a mount uses: the fastest that can be reached, measured again and again. It
 * leaves one that stays unreachable, and one that has been clearly slower than another for a while; never sooner than that,
 * so that a mount does not go back and forth.
 */
import { Data } from "effect"
import { type StateMachine, type Step, stay } from "../../core/data/StateMachine.ts"

/** All lengths in milliseconds. */
export interface Config {
  /** Another is better when it takes less than this part of the time, and less by so much. */
  readonly betterRatio: number
  readonly betterByMs: number
  /** It has to be better for so long. */
  readonly settleMs: number
  /** Between two moves that nothing forces. */
  readonly dwellMs: number
  /** An instance that fails for so long is away: a daemon that restarts is back sooner, and resumes without loss. */
  readonly graceMs: number
  /** A server that failed is not tried again for so long, doubled each time, and at most for the second. */
  readonly distrustMs: number
  readonly distrustMaxMs: number
}

/** What holds unless somebody says otherwise. */
export const CONFIG_DEFAULT: Config = {
  betterRatio: 0.7,
  betterByMs: 5,
  settleMs: 15_000,
  dwellMs: 30_000,
  graceMs: 2_000,
  distrustMs: 60_000,
  distrustMaxMs: 960_000
}

/** What is known of one instance. `rttMs` is smoothed; undefined while it was never measured. */
export interface Instance {
  readonly rttMs: number | undefined
  readonly failedSinceMs: number | undefined
  readonly isAway: boolean
  /** Its server is not believed before then, however fast the way is; and how often that has been so in a row. */
  readonly distrustedUntilMs: number
  readonly strikes: number
  /** It is none any more, and nothing that is heard of it changes that. */
  readonly isGone: boolean
}

/** `current` is undefined until the first measurement. */
export interface State {
  readonly instances: ReadonlyArray<Instance>
  readonly current: number | undefined
  readonly movedAtMs: number
  /** Since when another has been better. */
  readonly betterSinceMs: number | undefined
}

/** What happened. Indexes are those of the instances. */
export type Input = Data.TaggedEnum<{
  Measured: { readonly index: number; readonly rttMs: number }
  /** `sinceMs` is when the attempt began, which may have waited for long. */
  Failed: { readonly index: number; readonly sinceMs?: number }
  /** Its way and its keeper answer, its server does not. */
  ServerFailed: { readonly index: number }
  /** It is none any more. */
  Removed: { readonly index: number }
}>
export const Input = Data.taggedEnum<Input>()

/** Why it is left: it cannot be reached, is none any more, has a server that does not work, or is slower; `first` leaves nobody. */
export type Reason = "first" | "away" | "gone" | "failing" | "slower"

/** What the owner must do. */
export type Output = Data.TaggedEnum<{ Use: { readonly index: number; readonly reason: Reason } }>
export const Output = Data.taggedEnum<Output>()

/** Instances of which nothing is known. */
export const initial = (count: number): State => ({
  instances: Array.from({ length: count }, () => UNKNOWN),
  current: undefined,
  movedAtMs: Number.NEGATIVE_INFINITY,
  betterSinceMs: undefined
})

/** The same with one more instance, the last, of which nothing is known. */
export const grown = (state: State): State => ({ ...state, instances: [...state.instances, UNKNOWN] })

/** The same with another instance in the place of one that is gone. */
export const renewed = (state: State, index: number): State => ({
  ...state,
  instances: state.instances.map((instance, at) => (at === index ? UNKNOWN : instance))
})

/** Total; it needs no timer, because instances are measured for ever. */
export const make = (config: Config = CONFIG_DEFAULT): StateMachine<State, Input, Output> => ({
  deadlineMs: () => undefined,
  step: (state, input, nowMs) => {
    if (state.instances[input.index] === undefined) return stay(state)
    const instances = state.instances.map((instance, index) =>
      index === input.index ? learned(config, instance, input, nowMs) : instance
    )
    return choose(config, { ...state, instances }, nowMs)
  }
})

/** An instance of which nothing is known. */
export const UNKNOWN: Instance = {
  rttMs: undefined,
  failedSinceMs: undefined,
  isAway: false,
  distrustedUntilMs: Number.NEGATIVE_INFINITY,
  strikes: 0,
  isGone: false
}

/** Whether it was neither measured nor found to be away. */
export const isUnheardOf = ({ failedSinceMs, rttMs }: Instance): boolean =>
  rttMs === undefined && failedSinceMs === undefined

const learned = (config: Config, instance: Instance, input: Input, nowMs: number): Instance => {
  if (instance.isGone) return instance
  if (input._tag === "Removed") return { ...UNKNOWN, failedSinceMs: nowMs, isAway: true, isGone: true }
  if (input._tag === "Measured") {
    const rttMs = instance.rttMs === undefined ? input.rttMs : (1 - GAIN) * instance.rttMs + GAIN * input.rttMs
    // One that was away starts anew: what it was like before says little.
    return { ...instance, rttMs: instance.isAway ? input.rttMs : rttMs, failedSinceMs: undefined, isAway: false }
  }
  if (input._tag === "ServerFailed") {
    if (instance.distrustedUntilMs > nowMs) return instance
    const hasRecovered = nowMs - instance.distrustedUntilMs >= config.distrustMaxMs
    const strikes = hasRecovered ? 0 : instance.strikes
    const distrustMs = Math.min(config.distrustMaxMs, config.distrustMs * 2 ** strikes)
    return { ...instance, strikes: strikes + 1, distrustedUntilMs: nowMs + distrustMs }
  }
  const failedSinceMs = instance.failedSinceMs ?? input.sinceMs ?? nowMs
  return { ...instance, failedSinceMs, isAway: instance.isAway || nowMs - failedSinceMs >= config.graceMs }
}

const choose = (config: Config, state: State, nowMs: number): Step<State, Output> => {
  const current = state.current === undefined ? undefined : state.instances[state.current]
  // One whose server failed is better than none that can be reached.
  const last = current === undefined || current.isAway ? fastest(state.instances, Number.POSITIVE_INFINITY) : undefined
  const best = fastest(state.instances, nowMs) ?? last
  if (best === undefined || best.index === state.current) return stay({ ...state, betterSinceMs: undefined })
  if (current === undefined) return move(state, best.index, "first", nowMs)
  if (current.isAway) return move(state, best.index, current.isGone ? "gone" : "away", nowMs)
  if (current.distrustedUntilMs > nowMs) return move(state, best.index, "failing", nowMs)
  const currentMs = current.rttMs ?? Number.POSITIVE_INFINITY
  const isBetter = best.rttMs < currentMs * config.betterRatio && best.rttMs < currentMs - config.betterByMs
  if (!isBetter) return stay({ ...state, betterSinceMs: undefined })
  const betterSinceMs = state.betterSinceMs ?? nowMs
  const isDue = nowMs - betterSinceMs >= config.settleMs && nowMs - state.movedAtMs >= config.dwellMs
  return isDue ? move(state, best.index, "slower", nowMs) : stay({ ...state, betterSinceMs })
}

const move = (state: State, index: number, reason: Reason, nowMs: number): Step<State, Output> => ({
  state: { ...state, current: index, movedAtMs: nowMs, betterSinceMs: undefined },
  outputs: [Output.Use({ index, reason })]
})

/** Of those that answered last and are trusted at that time; the first of equals. */
const fastest = (
  instances: ReadonlyArray<Instance>,
  nowMs: number
): { readonly index: number; readonly rttMs: number } | undefined => {
  let best: { readonly index: number; readonly rttMs: number } | undefined
  for (const [index, { distrustedUntilMs, failedSinceMs, rttMs }] of instances.entries()) {
    if (distrustedUntilMs > nowMs || rttMs === undefined || failedSinceMs !== undefined) continue
    if (best === undefined || rttMs < best.rttMs) best = { index, rttMs }
  }
  return best
}

/** The weight of the newest measurement. */
const GAIN = 0.4

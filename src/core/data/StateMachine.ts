/**
 * The shape of every pure state machine: one input in, the next state and what the owner must do out, time as an
 * argument. After each step the owner performs the outputs in order and wakes the machine at `deadlineMs`.
 */

/** What one input led to. `outputs` are performed in order. */
export interface Step<State, Output> {
  readonly state: State
  readonly outputs: ReadonlyArray<Output>
}

/** Total: every input has an answer in every state. `nowMs` is monotonic and may be fractional. */
export interface StateMachine<State, Input, Output> {
  readonly step: (state: State, input: Input, nowMs: number) => Step<State, Output>
  /** When to step it with its timer input; `undefined` while nothing is due. */
  readonly deadlineMs: (state: State) => number | undefined
}

/** The state, and nothing to do. */
export const stay = <State>(state: State): Step<State, never> => ({ state, outputs: NOTHING })

const NOTHING: ReadonlyArray<never> = []

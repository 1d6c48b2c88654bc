/**
 * An actor that is nothing but a pure state machine: inputs come from the mailbox, time from the monotonic clock, and
 * outputs are performed in order before the next input. A restart begins at `initial` again.
 */
import { Effect, type Scope } from "effect"
import type { StateMachine } from "../data/StateMachine.ts"
import * as Actor from "./Actor.ts"
import type { ActorExit, ActorRef } from "./ActorRef.ts"
import type { Handlers } from "./Behaviour.ts"
import type { Overflow } from "./Mailbox.ts"
import * as MonotonicTime from "./MonotonicTime.ts"
import type { RestartPolicy } from "./Restart.ts"

export type { ActorRef } from "./ActorRef.ts"

/** The machine and how to live with it. */
export interface Options<State, Input, Output, E, R> {
  readonly name: string
  readonly mailboxCapacity: number
  /** `dropNewest` unless given. */
  readonly overflow?: Overflow
  readonly stateMachine: StateMachine<State, Input, Output>
  readonly initial: (nowMs: number) => State
  /** The input for a deadline that is due. */
  readonly timerFired: NoInfer<Input>
  /** Does what one output says. A failure ends the life, and the outputs after it are not performed. */
  readonly perform: (output: Output) => Effect.Effect<void, E, R>
  readonly restart: RestartPolicy
  readonly onExit?: (exit: ActorExit) => Effect.Effect<void>
}

/** Starts the actor in the surrounding scope; closing the scope stops it. */
export const spawn = <State, Input, Output, E, R>(
  options: Options<State, Input, Output, E, R>
): Effect.Effect<ActorRef<Input>, never, R | Scope.Scope> =>
  Actor.spawn<Input, E, R>({
    name: options.name,
    mailbox: { capacity: options.mailboxCapacity, overflow: options.overflow ?? "dropNewest" },
    start: begin(options),
    restart: options.restart,
    ...(options.onExit === undefined ? {} : { onExit: options.onExit })
  })

const begin = <State, Input, Output, E, R>({
  initial,
  perform,
  stateMachine,
  timerFired
}: Options<State, Input, Output, E, R>): Effect.Effect<Handlers<Input, E, R>> =>
  Effect.clockWith((clock) =>
    Effect.sync(() => {
      const nowMs = () => MonotonicTime.nowMsUnsafe(clock)
      let state = initial(nowMs())
      const receive = (input: Input): Effect.Effect<void, E, R> | void => {
        const next = stateMachine.step(state, input, nowMs())
        state = next.state
        if (next.outputs.length > 0) return Effect.forEach(next.outputs, perform, { discard: true })
      }
      return { receive, deadlineMs: () => stateMachine.deadlineMs(state), timerFired: () => receive(timerFired) }
    })
  )

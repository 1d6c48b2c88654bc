/**
 * What carries a node's datagrams to and from its beacon: UDP, or where that gets no answers a WebSocket (rendezvous §14.5),
 * and UDP again as soon as it does. The streams inside notice nothing: both carry the same frames.
 *
 * ```
 *   Udp ──(sent into silence)──► Doubted ──(nobody answers)──► Opening ◄──(delay)── Waiting
 *    ▲                              │ heard                      │ opened      ▲ refused
 *    │◄─────────────────────────────┘                            ▼             │
 *   Lingering ◄──(moved)── Returning ◄──(UDP answers)── Bridged ──(lost)──► Opening
 * ```
 *
 * Make before break: the beacon is asked over the WebSocket to go on at the UDP address that it has just answered, and for a
 * few seconds after it has, the WebSocket is still read.
 */
import { Data } from "effect"
import type { Endpoint } from "../core/data/Endpoint.ts"
import type { StateMachine } from "../core/data/StateMachine.ts"
import { stay } from "../core/data/StateMachine.ts"

/** Patience. */
export interface Config {
  /** Between the questions to a silent beacon, and how many there are. */
  readonly askIntervalMs: number
  readonly asks: number
  /** After the first attempt at a WebSocket that fails; doubles up to the other. */
  readonly retryMinMs: number
  readonly retryMaxMs: number
  /** Between two questions over UDP while a WebSocket carries; the first comes sooner. */
  readonly probeMinMs: number
  readonly probeMaxMs: number
  /** For the beacon to move. */
  readonly movingMs: number
  /** How long a WebSocket is read after it was left: as long as the beacon delivers to both. */
  readonly lingerMs: number
}

/** A beacon that is silent for three and a half seconds while it is spoken to is looked for elsewhere. */
export const defaults: Config = {
  askIntervalMs: 500,
  asks: 3,
  retryMinMs: 1_000,
  retryMaxMs: 60_000,
  probeMinMs: 2_000,
  probeMaxMs: 30_000,
  movingMs: 3_000,
  lingerMs: 5_000
}

/** `delayMs` is the wait after the next failure; `probeMs` the last pause between two questions over UDP. */
export type State = Data.TaggedEnum<{
  Udp: {}
  Doubted: { readonly asked: number; readonly nextAtMs: number }
  Opening: { readonly delayMs: number }
  Waiting: { readonly delayMs: number; readonly nextAtMs: number }
  Bridged: { readonly probeMs: number; readonly nextAtMs: number }
  Returning: { readonly untilMs: number }
  Lingering: { readonly untilMs: number }
}>
export const State = Data.taggedEnum<State>()

/** What happened. */
export type Input = Data.TaggedEnum<{
  /** Datagrams have gone to the beacon by UDP for a while, and nothing has come from it; `isNew`: nothing ever has. */
  Unanswered: { readonly isNew: boolean }
  /** Something came from the beacon by UDP. */
  Heard: {}
  /** An answer to a question came by UDP: the beacon sees the node there. */
  Seen: { readonly endpoint: Endpoint }
  /** The WebSocket is open, and the beacon has taken the node's proof. */
  Opened: {}
  /** It was not opened, or has ended. */
  Lost: {}
  /** The beacon's answer to `Move`. */
  Moved: { readonly isDone: boolean }
  TimerFired: {}
}>
export const Input = Data.taggedEnum<Input>()

/** What the owner must do. */
export type Output = Data.TaggedEnum<{
  /** Asks the beacon by UDP where it sees the node. */
  Ask: {}
  /** Announces the node to the beacon by UDP. */
  Announce: {}
  Open: {}
  Close: {}
  /** From now on datagrams to the beacon go this way, and the node is announced over it. */
  Carry: { readonly by: "udp" | "websocket" }
  /** Announces the node over the WebSocket, which also keeps that open. */
  Refresh: {}
  /** Asks the beacon over the WebSocket to deliver there. */
  Move: { readonly endpoint: Endpoint }
}>
export const Output = Data.taggedEnum<Output>()

/** UDP until it fails. */
export const initial: State = State.Udp()

/** Total; a wake-up before the deadline changes nothing. */
export const make = (config: Config = defaults): StateMachine<State, Input, Output> => ({
  deadlineMs,
  step: (state, input, nowMs) => {
    if (input._tag === "TimerFired" && nowMs < (deadlineMs(state) ?? Number.POSITIVE_INFINITY)) return stay(state)
    switch (state._tag) {
      case "Udp":
        if (input._tag !== "Unanswered") return stay(state)
        // Where UDP was never seen to work, one more question is enough: the node waits to be reached at all.
        return doubted(config, input.isNew ? config.asks : 1, nowMs)
      case "Doubted":
        if (isHeard(input)) return stay(State.Udp())
        if (input._tag !== "TimerFired") return stay(state)
        return state.asked < config.asks
          ? doubted(config, state.asked + 1, nowMs)
          : { state: State.Opening({ delayMs: config.retryMinMs }), outputs: [Output.Open()] }
      case "Opening":
        return opening(config, state, input, nowMs)
      case "Waiting":
        if (isHeard(input)) return stay(State.Udp())
        return input._tag === "TimerFired"
          ? { state: State.Opening({ delayMs: state.delayMs }), outputs: [Output.Open()] }
          : stay(state)
      case "Bridged":
        return bridged(config, state, input, nowMs)
      case "Returning":
        return returning(config, state, input, nowMs)
      case "Lingering":
        return lingering(config, state, input, nowMs)
    }
  }
})

type Step = { readonly state: State; readonly outputs: ReadonlyArray<Output> }

const deadlineMs = (state: State): number | undefined => {
  switch (state._tag) {
    case "Udp":
    case "Opening":
      return undefined
    case "Doubted":
    case "Waiting":
    case "Bridged":
      return state.nextAtMs
    case "Returning":
    case "Lingering":
      return state.untilMs
  }
}

const isHeard = ({ _tag }: Input): boolean => _tag === "Heard" || _tag === "Seen"

const doubted = ({ askIntervalMs }: Config, asked: number, nowMs: number): Step => ({
  state: State.Doubted({ asked, nextAtMs: nowMs + askIntervalMs }),
  outputs: [Output.Ask()]
})

const opening = (
  config: Config,
  { delayMs }: State & { readonly _tag: "Opening" },
  input: Input,
  nowMs: number
): Step => {
  switch (input._tag) {
    case "Heard":
    case "Seen":
      return { state: State.Udp(), outputs: [Output.Close()] }
    case "Opened":
      return carried(config, nowMs)
    case "Lost":
      return stay(State.Waiting({ delayMs: Math.min(2 * delayMs, config.retryMaxMs), nextAtMs: nowMs + delayMs }))
    default:
      return stay(State.Opening({ delayMs }))
  }
}

const carried = ({ probeMinMs }: Config, nowMs: number): Step => ({
  state: State.Bridged({ probeMs: probeMinMs, nextAtMs: nowMs + probeMinMs }),
  outputs: [Output.Carry({ by: "websocket" })]
})

/** UDP carries in the meantime: it may be what has come back. */
const reopening = ({ retryMinMs }: Config): Step => ({
  state: State.Opening({ delayMs: retryMinMs }),
  outputs: [Output.Carry({ by: "udp" }), Output.Open()]
})

const bridged = (config: Config, state: State & { readonly _tag: "Bridged" }, input: Input, nowMs: number): Step => {
  switch (input._tag) {
    case "Seen":
      return { state: State.Returning({ untilMs: nowMs + config.movingMs }), outputs: [Output.Announce()] }
    case "Lost":
      return reopening(config)
    case "TimerFired": {
      const probeMs = Math.min(2 * state.probeMs, config.probeMaxMs)
      return {
        state: State.Bridged({ probeMs, nextAtMs: nowMs + probeMs }),
        outputs: [Output.Refresh(), Output.Ask()]
      }
    }
    default:
      return stay(state)
  }
}

const returning = (
  config: Config,
  state: State & { readonly _tag: "Returning" },
  input: Input,
  nowMs: number
): Step => {
  switch (input._tag) {
    case "Seen":
      return { state, outputs: [Output.Move({ endpoint: input.endpoint })] }
    case "Moved":
      return input.isDone
        ? {
            state: State.Lingering({ untilMs: nowMs + config.lingerMs }),
            outputs: [Output.Carry({ by: "udp" })]
          }
        : stay(stillBridged(config, nowMs))
    case "Lost":
      return { state: State.Udp(), outputs: [Output.Carry({ by: "udp" })] }
    case "TimerFired":
      return stay(stillBridged(config, nowMs))
    default:
      return stay(state)
  }
}

const stillBridged = ({ probeMaxMs }: Config, nowMs: number): State =>
  State.Bridged({ probeMs: probeMaxMs, nextAtMs: nowMs + probeMaxMs })

const lingering = (
  config: Config,
  state: State & { readonly _tag: "Lingering" },
  input: Input,
  nowMs: number
): Step => {
  switch (input._tag) {
    // UDP was back for a moment only; the WebSocket is still there.
    case "Unanswered":
      return carried(config, nowMs)
    case "Lost":
      return stay(State.Udp())
    case "TimerFired":
      return { state: State.Udp(), outputs: [Output.Close()] }
    default:
      return stay(state)
  }
}

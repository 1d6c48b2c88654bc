/**
 * The circuit breaker of one service at work: asked before each call, told how each ended (`CircuitBreaker` has the rules).
 * Mutable inside the one owner that makes it; it needs no timer, because nothing happens while nobody asks.
 */
import * as BridgeError from "../../../protocol/relay/BridgeError.ts"
import * as CircuitBreaker from "../../../protocol/relay/CircuitBreaker.ts"
import * as JsonRpcPeek from "../../../protocol/relay/JsonRpcPeek.ts"

/** Whether a call may go on. */
export type Verdict = Extract<CircuitBreaker.Output, { _tag: "Admit" | "Refuse" }>

/** What is known of a service, for people. Times are of the wall clock, in milliseconds since 1970. */
export interface ServiceHealth {
  readonly breaker: "closed" | "open" | "half-open"
  /** Why the last call without an answer had none; empty if there was none since a call succeeded. */
  readonly reason: string
  /** Until the next call is let through; 0 if it is. */
  readonly retryInMs: number
  readonly answeredAtMs: number | undefined
  readonly failedAtMs: number | undefined
  /** Calls refused because it was open. */
  readonly refused: number
}

/** The breaker of one service. */
export class ServiceBreaker {
  readonly #machine: ReturnType<typeof CircuitBreaker.make>
  readonly #nowMs: () => number
  readonly #wallMs: () => number
  readonly #report: (text: string) => void
  #state: CircuitBreaker.State = CircuitBreaker.initial
  #answeredAtMs: number | undefined
  #failedAtMs: number | undefined
  #refused = 0

  /** `nowMs` is monotonic; `report` hears a sentence when it opens and closes. */
  constructor(options: {
    readonly nowMs: () => number
    readonly wallMs: () => number
    readonly report: (text: string) => void
    readonly config?: CircuitBreaker.Config
  }) {
    this.#machine = CircuitBreaker.make(options.config)
    this.#nowMs = options.nowMs
    this.#wallMs = options.wallMs
    this.#report = options.report
  }

  /** A call wants through. */
  ask(): Verdict {
    // The ordinary case, of every call.
    if (this.#state === CircuitBreaker.initial) return ADMIT
    for (const output of this.#step(CircuitBreaker.Input.Asked())) {
      if (output._tag === "Refuse") this.#refused++
      if (output._tag === "Admit" || output._tag === "Refuse") return output
    }
    return ADMIT
  }

  /** A call has its answer: one of the bridge says that no server gave any, another proves that one is there. */
  answered(isError: boolean, bytes: Uint8Array): void {
    const isFailure = isError && FAILURES.has(Number(JsonRpcPeek.member(bytes, ["error", "code"])))
    if (isFailure) return this.failed(JsonRpcPeek.string(bytes, ["error", "message"]) ?? "it cannot be reached")
    this.#answeredAtMs = this.#wallMs()
    // The ordinary case, of every call.
    if (this.#state === CircuitBreaker.initial) return
    this.#step(CircuitBreaker.Input.Succeeded())
  }

  /** A connection to whoever has the server was made. */
  pathRestored(): void {
    this.#step(CircuitBreaker.Input.PathRestored())
  }

  /** No server answered. */
  failed(reason: string): void {
    this.#failedAtMs = this.#wallMs()
    this.#step(CircuitBreaker.Input.Failed({ reason }))
  }

  /** What is known now. */
  health(): ServiceHealth {
    this.#step(CircuitBreaker.Input.TimerFired())
    const state = this.#state
    const deadlineMs = this.#machine.deadlineMs(state)
    return {
      breaker: state._tag === "Closed" ? "closed" : state._tag === "Open" ? "open" : "half-open",
      reason: state.reason,
      retryInMs: deadlineMs === undefined ? 0 : Math.max(0, Math.round(deadlineMs - this.#nowMs())),
      answeredAtMs: this.#answeredAtMs,
      failedAtMs: this.#failedAtMs,
      refused: this.#refused
    }
  }

  #step(input: CircuitBreaker.Input): ReadonlyArray<CircuitBreaker.Output> {
    const { outputs, state } = this.#machine.step(this.#state, input, this.#nowMs())
    this.#state = state
    for (const output of outputs) {
      if (output._tag === "ReportOpened") this.#report(`keeps failing (${output.reason}); calls are refused`)
      if (output._tag === "ReportClosed") this.#report("answers again")
    }
    return outputs
  }
}

/** Those of all services: one per name that somebody admitted has asked for, so their number is that of services. */
export class ServiceBreakers {
  readonly #all = new Map<string, ServiceBreaker>()
  readonly #make: (service: string) => ServiceBreaker

  constructor(make: (service: string) => ServiceBreaker) {
    this.#make = make
  }

  /** The breaker of a service. */
  of(service: string): ServiceBreaker {
    const breaker = this.#all.get(service) ?? this.#make(service)
    this.#all.set(service, breaker)
    return breaker
  }

  /** Something changed that may have been what was wrong. */
  pathRestored(): void {
    for (const breaker of this.#all.values()) breaker.pathRestored()
  }
}

/** What is told to a call that is refused. */
export const refusalOf = (
  { peer, service }: { readonly peer: string; readonly service: string },
  { reason, retryInMs }: Extract<Verdict, { _tag: "Refuse" }>
): BridgeError.BridgeError => ({
  kind: "unreachable",
  message:
    `The server ${service} on ${peer} keeps failing, so this call was not tried: ${reason} ` +
    `A call is let through again in ${Math.max(1, Math.ceil(retryInMs / 1000))} s.`,
  retryable: true,
  delivered: false,
  service,
  peer
})

const ADMIT: Verdict = { _tag: "Admit", isProbe: false }
/** No server answered, and not because of what was asked. */
const FAILURES: ReadonlySet<number> = new Set([
  BridgeError.CODE.unreachable,
  BridgeError.CODE.outcomeUnknown,
  BridgeError.CODE.credentials
])

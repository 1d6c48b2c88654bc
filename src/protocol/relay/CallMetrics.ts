/**
 * Counts of MCP calls by service, peer and tool, as plain numbers: they change with every call. Names come from peers, so
 * each peer's are bounded, and so are all of them; what is beyond is counted under `OTHER`.
 */
import { Schema } from "effect"

/** How a call ended, as in the record of calls. */
export const Outcome = Schema.Literals(["ok", "toolError", "error", "cancelled", "unknown", "denied"])
/** How a call ended. */
export type Outcome = typeof Outcome.Type

/**
 * One line of the count. `tool` is empty for other methods than `tools/call`. `durationCounts[i]` are the calls that took at
 * most `DURATION_BOUNDS_SECONDS[i]` and are not in an earlier slot; the last slot has no bound. Calls that did not reach the
 * server are in `outcomes` and `bytesIn` only. Each request of a batch counts the whole batch's bytes.
 */
export const CallCounts = Schema.Struct({
  service: Schema.String,
  peer: Schema.String,
  method: Schema.String,
  tool: Schema.String,
  inFlight: Schema.Int,
  outcomes: Schema.Record(Outcome, Schema.Int),
  bytesIn: Schema.Int,
  bytesOut: Schema.Int,
  durationSumSeconds: Schema.Number,
  durationCounts: Schema.Array(Schema.Int)
})
/** One line of the count. */
export type CallCounts = typeof CallCounts.Type

/** The same while it counts. Mutable, with one owner. */
export class CallSeries implements CallCounts {
  readonly service: string
  readonly peer: string
  readonly method: string
  readonly tool: string
  inFlight = 0
  readonly outcomes: Record<Outcome, number> = { ok: 0, toolError: 0, error: 0, cancelled: 0, unknown: 0, denied: 0 }
  bytesIn = 0
  bytesOut = 0
  durationSumSeconds = 0
  readonly durationCounts: Array<number> = new Array<number>(DURATION_BOUNDS_SECONDS.length + 1).fill(0)

  constructor({ method, peer, service, tool }: Labels) {
    this.service = service
    this.peer = peer
    this.method = method
    this.tool = tool
  }

  /** It goes to the server. */
  started(): void {
    this.inFlight++
  }

  /** It goes on as another call, which is started. */
  replaced(): void {
    this.inFlight--
  }

  /** One that was started is over. */
  ended(outcome: Outcome, durationMs: number, bytesIn: number, bytesOut: number): void {
    this.inFlight--
    this.outcomes[outcome]++
    this.bytesIn += bytesIn
    this.bytesOut += bytesOut
    const seconds = durationMs / 1000
    this.durationSumSeconds += seconds
    let slot = 0
    while (seconds > (DURATION_BOUNDS_SECONDS[slot] ?? Number.POSITIVE_INFINITY)) slot++
    this.durationCounts[slot] = (this.durationCounts[slot] ?? 0) + 1
  }

  /** It was answered here, and never started. */
  refused(outcome: "denied" | "error" | "cancelled", bytesIn: number): void {
    this.outcomes[outcome]++
    this.bytesIn += bytesIn
  }
}

interface Labels {
  readonly service: string
  readonly peer: string
  readonly method: string
  readonly tool: string
}

/** All counts of one process. */
export class CallMetrics {
  readonly #named = new Map<string, CallSeries>()
  /** Names of each service and peer that has any. */
  readonly #names = new Map<string, number>()
  /** What is beyond the bounds, by service. */
  readonly #others = new Map<string, CallSeries>()

  /** Everything counted, in the order in which it first was. */
  all(): ReadonlyArray<CallSeries> {
    return [...this.#named.values(), ...this.#others.values()]
  }

  /** Where a call counts. */
  series(labels: Labels): CallSeries {
    const key = JSON.stringify([labels.service, labels.peer, labels.method, labels.tool])
    const known = this.#named.get(key)
    if (known !== undefined) return known
    const pair = JSON.stringify([labels.service, labels.peer])
    const names = this.#names.get(pair) ?? 0
    if (!isShowable(labels.method) || !isShowable(labels.tool) || names >= NAMES_MAX || this.#named.size >= SERIES_MAX)
      return this.#other(labels.service)
    const series = new CallSeries(labels)
    this.#named.set(key, series)
    this.#names.set(pair, names + 1)
    return series
  }

  #other(service: string): CallSeries {
    const name = this.#others.has(service) || this.#others.size < SERVICES_MAX ? service : OTHER
    const known = this.#others.get(name)
    if (known !== undefined) return known
    const series = new CallSeries({ service: name, peer: OTHER, method: OTHER, tool: OTHER })
    this.#others.set(name, series)
    return series
  }
}

/** The counts of one client's session, which finds its tools again without making a key. */
export class PeerCalls {
  readonly #metrics: CallMetrics
  readonly #labels: Pick<Labels, "service" | "peer">
  readonly #tools = new Map<string, CallSeries>()
  readonly #methods = new Map<string, CallSeries>()

  constructor(metrics: CallMetrics, labels: Pick<Labels, "service" | "peer">) {
    this.#metrics = metrics
    this.#labels = labels
  }

  /** Where a request counts. */
  of(method: string, target: string | undefined): CallSeries {
    const isTool = method === "tools/call"
    const tool = isTool ? (target ?? "") : ""
    const known = isTool ? this.#tools.get(tool) : this.#methods.get(method)
    if (known !== undefined) return known
    const series = this.#metrics.series({ ...this.#labels, method, tool })
    // A name that is counted elsewhere is not kept: there may be any number of them.
    if (series.method === method && isTool) this.#tools.set(tool, series)
    else if (series.method === method) this.#methods.set(method, series)
    return series
  }
}

/** Names are made by peers, and shown in terminals and pages. */
const isShowable = (name: string): boolean => name.length <= NAME_CHARACTERS_MAX && !UNSEEN.test(name)

const UNSEEN = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u
/** Under these names counts what is beyond the bounds. */
export const OTHER = "_other"
/** Upper bounds of the slots of durations. */
export const DURATION_BOUNDS_SECONDS: ReadonlyArray<number> = [
  0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300
]
/** Tools and methods of one peer of one service. */
export const NAMES_MAX = 64
/** Of all peers of all services. */
export const SERIES_MAX = 512
/** Services that have a count of their own for what is beyond. */
export const SERVICES_MAX = 64
/** Longer names, and those with characters that nobody can see, are counted under `OTHER`. */
export const NAME_CHARACTERS_MAX = 128

/**
 * A client's stream of MCP lines whose calls are counted at the mount: from the line that asks to the line that answers,
 * with everything in between. Only used where somebody wants the counts.
 *
 * Owns the open calls of one client; those that were never answered count as `unknown` when the stream ends.
 */
import { type Clock, Effect, Result } from "effect"
import * as MonotonicTime from "../../../core/actor/MonotonicTime.ts"
import type { Duplex } from "../../../core/net/Duplex.ts"
import { type CallMetrics, type CallSeries, type Outcome, PeerCalls } from "../../../protocol/relay/CallMetrics.ts"
import * as CallResult from "../../../protocol/relay/CallResult.ts"
import * as JsonRpcPeek from "../../../protocol/relay/JsonRpcPeek.ts"
import type { Target } from "../Target.ts"
import * as WatchedStream from "./WatchedStream.ts"

/** The stream of a client of that target, counted in `metrics`; the stream itself if there are none. */
export const counted = <E>(
  stream: Duplex<E>,
  target: Target,
  metrics: CallMetrics | undefined
): Effect.Effect<Duplex<E>> =>
  metrics === undefined
    ? Effect.succeed(stream)
    : Effect.clockWith((clock) => {
        // Of several instances, the one that the session is at when it is asked.
        const peers = new Map<string, PeerCalls>()
        const callsNow = () => {
          const { peer, service } = target
          const calls = peers.get(peer) ?? new PeerCalls(metrics, { peer, service })
          peers.set(peer, calls)
          return calls
        }
        return Effect.succeed(WatchedStream.watched(stream, "read", new OpenCalls(callsNow, clock)))
      })

interface Open {
  readonly series: CallSeries
  readonly startedAtMs: number
  readonly bytesIn: number
}

/** The open calls of one client, by the raw text of the request's id. */
class OpenCalls implements WatchedStream.Watcher {
  readonly #calls: () => PeerCalls
  readonly #clock: Clock.Clock
  readonly #open = new Map<string, Open>()

  constructor(calls: () => PeerCalls, clock: Clock.Clock) {
    this.#calls = calls
    this.#clock = clock
  }

  readonly asked = (message: Uint8Array): Uint8Array => {
    const envelope = Result.getOrUndefined(JsonRpcPeek.peek(message))
    if (envelope === undefined) return message
    for (const item of JsonRpcPeek.messages(envelope)) {
      if (item._tag === "Notification" && item.cancels !== undefined) this.#ended(item.cancels, "cancelled", 0)
      if (item._tag !== "Request" || this.#open.size >= OPEN_MAX) continue
      // The id of a call that still waits: only one of them can be told by its answer.
      this.#ended(item.id, "unknown", 0)
      const series = this.#calls().of(item.method, item.target)
      series.started()
      const startedAtMs = MonotonicTime.nowMsUnsafe(this.#clock)
      this.#open.set(item.id, { series, startedAtMs, bytesIn: message.length })
    }
    return message
  }

  readonly answered = (message: Uint8Array): Uint8Array => {
    const envelope = Result.getOrUndefined(JsonRpcPeek.peek(message))
    const answers = envelope === undefined ? [] : JsonRpcPeek.responses(envelope)
    for (const { id, isError } of answers) {
      if (!this.#open.has(id)) continue
      const isOne = envelope?._tag === "Response"
      const became = isOne ? CallResult.bridged(CallResult.read(message)) : isError ? "error" : "ok"
      this.#ended(id, became, message.length)
    }
    return message
  }

  readonly end = (): void => {
    for (const id of [...this.#open.keys()]) this.#ended(id, "unknown", 0)
  }

  #ended(id: string, outcome: Outcome, bytesOut: number): void {
    const call = this.#open.get(id)
    if (call === undefined) return
    this.#open.delete(id)
    const durationMs = MonotonicTime.nowMsUnsafe(this.#clock) - call.startedAtMs
    call.series.ended(outcome, durationMs, call.bytesIn, bytesOut)
  }
}

/** Open calls of one client; those beyond are carried uncounted. */
const OPEN_MAX = 512

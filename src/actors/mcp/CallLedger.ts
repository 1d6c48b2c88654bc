/**
 * The calls of one client's session as they are counted and recorded (mcp §6.10), at either end of the relay: what asked,
 * how it went on, how it ended. Told by whoever decides about the calls; it decides nothing itself.
 *
 * Mutable, with one owner. It holds a call from its start to its end, so at most as many as the session has in flight.
 */
import { Result } from "effect"
import * as Bytes from "../../core/data/Bytes.ts"
import type * as AuditChain from "../../protocol/relay/AuditChain.ts"
import * as CallArguments from "../../protocol/relay/CallArguments.ts"
import type { CallSeries, PeerCalls } from "../../protocol/relay/CallMetrics.ts"
import * as CallResult from "../../protocol/relay/CallResult.ts"
import * as JsonRpcPeek from "../../protocol/relay/JsonRpcPeek.ts"
import * as JsonScanner from "../../protocol/relay/JsonScanner.ts"
import type * as Policy from "../../protocol/relay/Policy.ts"
import * as RawJson from "../../protocol/relay/RawJson.ts"
import * as ToolPattern from "../../protocol/relay/ToolPattern.ts"
import * as TraceMeta from "../../protocol/relay/TraceMeta.ts"
import type * as PeerUsage from "./keeper/PeerUsage.ts"

/** What became of a call. `resent` is none: the same call goes on under another mark. */
export type Outcome = "answered" | "cancelled" | "unknown" | "resent"

/** Where calls are recorded. */
export interface Audit {
  readonly sha256: AuditChain.Sha256
  readonly record: (call: AuditChain.Call) => void
  /** Wall clock. */
  readonly time: () => string
}

/** Whose calls they are. */
export interface Options {
  readonly service: string
  /** The node that calls, where that is another one; at the mount, `peer` is the one that is called. */
  readonly node: number | undefined
  readonly peer: string | undefined
  readonly nowMs: () => number
  readonly audit: Audit | undefined
  /** Counts the calls; absent: somebody else does. */
  readonly calls?: PeerCalls
}

/** The message that carried a call: both ends of a session number them alike. */
export interface Place {
  readonly session: string
  readonly epoch: number
  readonly seq: number
}

/** Where a call comes from, and, if somebody had to approve it, who did. */
export interface Origin {
  readonly place: Place
  readonly approval?: Approval
}

/** Why a call that needs an approval may pass. */
export interface Approval {
  readonly decision: "approved" | "always"
  /** Of the question, or of what was remembered. */
  readonly id: string
  readonly definitionHash: string | undefined
}

/** Why a call did not reach the server. `code` is that of the error that it was answered with. */
export interface Refusal {
  readonly outcome: "denied" | "error" | "cancelled"
  readonly code?: number
  readonly decision: AuditChain.Call["decision"]
  readonly approval?: string | undefined
  readonly definitionHash?: string | undefined
}

/** One request of a message. */
export type Request = Extract<JsonRpcPeek.Envelope, { _tag: "Request" }>

/** The calls of one session. */
export class CallLedger {
  readonly #options: Options
  #rules: Pick<Policy.Rules, "audit"> | undefined
  #started = 0
  readonly #running = new Map<number, Running>()

  constructor(options: Options) {
    this.#options = options
  }

  /** What is recorded from now on. */
  configure(rules: Pick<Policy.Rules, "audit"> | undefined): void {
    this.#rules = rules
  }

  /** The requests of a message go on; gives the mark of the first, those of the others follow. `usage` counts them. */
  started(
    message: Uint8Array,
    requests: ReadonlyArray<Request>,
    origin: Origin,
    usage?: PeerUsage.PeerUsage,
    deadlineMs?: (request: Request) => number | undefined
  ): number {
    const first = this.#started + 1
    if (requests.length === 0) return first
    if (usage !== undefined) usage.bytes += message.length
    for (const [index, begun] of this.#begin(message, requests).entries()) {
      if (usage !== undefined) {
        usage.calls++
        usage.concurrent++
      }
      begun.series?.started()
      const request = requests[index]
      const lastsMs = request === undefined ? undefined : deadlineMs?.(request)
      const dueAtMs = lastsMs === undefined ? undefined : begun.atMs + lastsMs
      this.#running.set(begun.mark, { ...begun, ...origin, usage, dueAtMs })
    }
    return first
  }

  /** The message that carries the call from now on. */
  carried(mark: number, place: Place): void {
    const call = this.#running.get(mark)
    if (call !== undefined) this.#running.set(mark, { ...call, place })
  }

  /** The calls whose time is over, and when the next one's is. */
  overdue(nowMs: number): { readonly due: ReadonlyArray<Due>; readonly nextMs: number | undefined } {
    const due: Array<Due> = []
    let nextMs: number | undefined
    for (const { atMs, dueAtMs, id, mark, method } of this.#running.values()) {
      if (dueAtMs === undefined) continue
      if (dueAtMs <= nowMs) due.push({ mark, id, method, lastedMs: dueAtMs - atMs })
      else nextMs = Math.min(nextMs ?? dueAtMs, dueAtMs)
    }
    return { due, nextMs }
  }

  /** When the time of that call is over; undefined if it has no end. */
  dueAtMs(mark: number): number | undefined {
    return this.#running.get(mark)?.dueAtMs
  }

  /** The requests of a message did not go on. */
  refused(message: Uint8Array, requests: ReadonlyArray<Request>, place: Place, refusal: Refusal): void {
    const audit = this.#audit()
    for (const begun of this.#begin(message, requests)) {
      begun.series?.refused(refusal.outcome, message.length)
      if (audit !== undefined) audit.record({ ...this.#recordOf({ ...begun, place }, audit), ...refusal })
    }
  }

  /**
   * The call with this mark waits no longer; `answer` is the message that answered it, if one did. Gives where it came from,
   * for one that is sent again.
   */
  ended(mark: number, outcome: Outcome, answer?: Uint8Array): Origin | undefined {
    const call = this.#running.get(mark)
    if (call === undefined) return undefined
    this.#running.delete(mark)
    const bytesOut = answer?.length ?? 0
    if (call.usage !== undefined) {
      call.usage.concurrent--
      call.usage.bytes += bytesOut
    }
    const { approval, place } = call
    const origin: Origin = approval === undefined ? { place } : { place, approval }
    if (outcome === "resent") {
      call.series?.replaced()
      return origin
    }
    const said = answer === undefined ? CallResult.NONE : CallResult.read(answer)
    const became = outcome === "answered" ? CallResult.outcome(said) : outcome
    call.series?.ended(became, this.#options.nowMs() - call.atMs, call.bytesIn, bytesOut)
    const audit = this.#audit()
    if (audit === undefined) return origin
    const { code, result } = said
    const resultHash =
      answer === undefined || result === undefined
        ? undefined
        : Bytes.toHex(audit.sha256(answer.subarray(result.start, result.end)))
    audit.record({ ...this.#recordOf(call, audit), outcome: became, code, resultHash, bytesOut })
    return origin
  }

  /** Nothing of the session runs any more. */
  close(): void {
    for (const mark of [...this.#running.keys()]) this.ended(mark, "unknown")
  }

  #audit(): Audit | undefined {
    return this.#rules?.audit === "off" ? undefined : this.#options.audit
  }

  #begin(message: Uint8Array, requests: ReadonlyArray<Request>): ReadonlyArray<Begun> {
    const audit = this.#audit()
    const members = audit === undefined ? undefined : membersOf(message)
    const spans = audit === undefined || members !== undefined ? [] : RawJson.messages(message)
    const keeps = this.#rules?.audit === "arguments"
    return requests.map((request) => {
      const { id, method, target } = request
      const span = spans.find((item) => isOf(message, item, id))
      const one = span === undefined ? undefined : CallArguments.raw(message, span)
      const found = members === undefined ? one : CallArguments.of(members)
      const args =
        found === undefined || found === ToolPattern.UNCLEAR ? undefined : message.subarray(found.start, found.end)
      return {
        series: this.#options.calls?.of(method, target),
        mark: ++this.#started,
        id,
        method,
        target,
        bytesIn: message.length,
        atMs: this.#options.nowMs(),
        argumentsHash: audit === undefined || args === undefined ? undefined : Bytes.toHex(audit.sha256(args)),
        traceparent: members === undefined ? undefined : TraceMeta.traceparentIn(message, members),
        arguments: keeps && args !== undefined ? DECODER.decode(args.subarray(0, ARGUMENTS_BYTES_MAX)) : undefined
      }
    })
  }

  #recordOf(call: Begun & Origin, audit: Audit): AuditChain.Call {
    const { node, nowMs, peer, service } = this.#options
    const { approval, place } = call
    return {
      time: audit.time(),
      ...place,
      node,
      peer,
      service,
      method: call.method,
      target: call.target,
      id: call.id,
      argumentsHash: call.argumentsHash,
      definitionHash: approval?.definitionHash,
      resultHash: undefined,
      bytesIn: call.bytesIn,
      bytesOut: 0,
      durationMs: Math.round((nowMs() - call.atMs) * 1000) / 1000,
      outcome: "ok",
      code: undefined,
      decision: approval?.decision ?? "allow",
      approval: approval?.id,
      traceparent: call.traceparent,
      arguments: call.arguments
    }
  }
}

/** A call whose time is over. */
export interface Due {
  readonly mark: number
  /** Raw JSON text. */
  readonly id: string
  readonly method: string
  readonly lastedMs: number
}

/** A request as its record begins. */
interface Begun
  extends Pick<
    AuditChain.Call,
    "id" | "method" | "target" | "bytesIn" | "argumentsHash" | "traceparent" | "arguments"
  > {
  readonly mark: number
  readonly atMs: number
  readonly series: CallSeries | undefined
}

interface Running extends Begun, Origin {
  readonly usage: PeerUsage.PeerUsage | undefined
  readonly dueAtMs: number | undefined
}

/** Of a single message, which somebody has looked at already. */
const membersOf = (message: Uint8Array): JsonRpcPeek.Look["members"] | undefined => {
  const looked = Result.getOrUndefined(JsonRpcPeek.look(message))
  return looked === undefined || looked.envelope._tag === "Batch" ? undefined : looked.members
}

const isOf = (bytes: Uint8Array, message: JsonScanner.Span, id: string): boolean => {
  const found = RawJson.only(bytes, message, "id")
  return found !== undefined && found !== RawJson.TWICE && JsonScanner.text(bytes, found) === id
}

/** More of the arguments than this is not recorded, even if the owner wants them; their hash is of all. */
const ARGUMENTS_BYTES_MAX = 16_384
const DECODER = new TextDecoder()

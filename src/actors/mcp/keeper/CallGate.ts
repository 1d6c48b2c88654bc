/**
 * The owner's rules at work in one client's session (mcp §6.10): what may pass to the server, what is answered here, what
 * of the server's lists is shown. Told by the session's `Upstream` how every call goes on; the rules may change while the
 * session lives. Without rules it looks at nothing.
 */

import * as Bytes from "../../../core/data/Bytes.ts"
import type { JsonObject } from "../../../core/data/Json.ts"
import * as CallerHeaders from "../../../protocol/mcp/CallerHeaders.ts"
import type * as AuditChain from "../../../protocol/relay/AuditChain.ts"
import * as BridgeError from "../../../protocol/relay/BridgeError.ts"
import * as CallArguments from "../../../protocol/relay/CallArguments.ts"
import * as CallerMeta from "../../../protocol/relay/CallerMeta.ts"
import type { CallSeries, PeerCalls } from "../../../protocol/relay/CallMetrics.ts"
import * as CallResult from "../../../protocol/relay/CallResult.ts"
import * as JsonRpcPeek from "../../../protocol/relay/JsonRpcPeek.ts"
import * as JsonScanner from "../../../protocol/relay/JsonScanner.ts"
import * as Policy from "../../../protocol/relay/Policy.ts"
import * as RawJson from "../../../protocol/relay/RawJson.ts"
import * as SafeCalls from "../../../protocol/relay/SafeCalls.ts"
import * as ToolFilter from "../../../protocol/relay/ToolFilter.ts"
import * as ToolPattern from "../../../protocol/relay/ToolPattern.ts"
import * as TraceMeta from "../../../protocol/relay/TraceMeta.ts"
import * as PeerUsage from "./PeerUsage.ts"

/** What became of a call. `resent` is none: the same call goes on under another mark. */
export type Outcome = "answered" | "cancelled" | "unknown" | "resent"

/** Where calls are recorded. */
export interface Audit {
  readonly sha256: AuditChain.Sha256
  readonly record: (call: AuditChain.Call) => void
  /** Wall clock. */
  readonly time: () => string
}

/** What a gate needs. */
export interface Options {
  readonly service: string
  /** How this host is called in errors. */
  readonly self: string
  /** The peer's use of the service, at this instant. */
  readonly usage: () => PeerUsage.PeerUsage
  readonly nowMs: () => number
  readonly node: number
  /** How the record calls this session. */
  readonly session: string
  readonly audit: Audit | undefined
  /** Counts the calls. */
  readonly calls: PeerCalls
}

/** What becomes of a message: it passes, or these answers go back instead, none for what has no id. */
export type Verdict =
  | { readonly _tag: "Pass"; readonly message: Uint8Array }
  | { readonly _tag: "Refused"; readonly answers: ReadonlyArray<Uint8Array> }

/** Mutable, with one owner. */
export class CallGate {
  readonly #options: Options
  #rules: Policy.Rules | undefined
  #patterns: ReadonlyArray<ToolPattern.ToolPattern> = []
  #started = 0
  #caller: JsonObject | undefined
  readonly #running = new Map<number, Running>()
  readonly #safe = new SafeCalls.SafeCalls()

  constructor(options: Options) {
    this.#options = options
  }

  /** The rules, and what the server is told of the caller, from now on. */
  configure(rules: Policy.Rules | undefined, caller: JsonObject | undefined): void {
    this.#rules = rules
    this.#caller = rules?.identify === true ? caller : undefined
    this.#patterns = rules === undefined ? [] : Policy.patternsOf(rules)
    this.#safe.configure(rules ?? {})
  }

  /** Who calls, as headers, if the owner wants the server to know. */
  callerHeaders(): Readonly<Record<string, string>> {
    return this.#caller === undefined ? {} : CallerHeaders.of(this.#caller)
  }

  /** What the owner declares harmless, for the other end of the session. */
  get declared(): SafeCalls.Declared {
    return SafeCalls.declaredIn(this.#rules ?? {})
  }

  /** Whether a message may go to another server when one dies with it: a single request that is safe (mcp §6.3). */
  mayRepeat(message: Uint8Array, envelope: JsonRpcPeek.Envelope): boolean {
    return envelope._tag === "Request" && this.#safe.isSafe(message, envelope.method, envelope.target)
  }

  /** Whether a call may outlive its client: a single one of a tool that the owner itself declares safe (mcp §6.7). */
  mayPark(message: Uint8Array, envelope: JsonRpcPeek.Envelope): boolean {
    if (this.#rules?.park !== true || envelope._tag !== "Request" || envelope.method !== "tools/call") return false
    return this.#safe.isDeclared(message, envelope.target)
  }

  /** Decides about a message of the client. A batch passes as a whole or not at all. */
  judge(message: Uint8Array, envelope: JsonRpcPeek.Envelope): Verdict {
    const rules = this.#rules
    if (rules === undefined) return { _tag: "Pass", message }
    const items = JsonRpcPeek.messages(envelope)
    const spans = this.#patterns.length === 0 ? [] : RawJson.messages(message)
    const ahead = { calls: 0, bytes: 0 }
    const { quota } = rules
    const usage = quota === undefined ? NOTHING : PeerUsage.current(this.#options.usage(), this.#options.nowMs())
    let denied: Extract<Policy.Decision, { _tag: "Deny" }> | undefined
    for (const [index, item] of items.entries()) {
      const span = spans[index]
      const decision = Policy.decide(rules, this.#patterns, {
        kind: item._tag === "Batch" ? "Other" : item._tag,
        method: "method" in item ? item.method : "",
        target: item._tag === "Request" ? item.target : undefined,
        argument: span === undefined ? () => ToolPattern.UNCLEAR : CallArguments.reader(message, span),
        sizeBytes: Math.ceil(message.length / items.length),
        usage: {
          calls: usage.calls + ahead.calls,
          concurrent: usage.concurrent + ahead.calls,
          bytes: usage.bytes + ahead.bytes
        }
      })
      if (decision._tag === "Deny") denied ??= decision
      if (item._tag !== "Request") continue
      ahead.calls++
      ahead.bytes += Math.ceil(message.length / items.length)
    }
    if (denied !== undefined) {
      this.refused(message, envelope, denied.reason)
      return { _tag: "Refused", answers: this.#refusals(envelope, denied) }
    }
    const caller = this.#caller
    return { _tag: "Pass", message: caller === undefined ? message : CallerMeta.write(message, caller) }
  }

  /** The requests of a message did not reach the server: by a rule, or by an error of ours with that code. */
  refused(message: Uint8Array, envelope: JsonRpcPeek.Envelope, why: AuditChain.Call["decision"] | number): void {
    const audit = this.#audit()
    const outcome = typeof why === "number" ? "error" : "denied"
    for (const begun of this.#begin(message, JsonRpcPeek.requests(envelope))) {
      begun.series.refused(outcome, message.length)
      if (audit === undefined) continue
      audit.record({
        ...this.#recordOf(begun, audit),
        outcome,
        code: typeof why === "number" ? why : undefined,
        decision: typeof why === "number" ? "allow" : why
      })
    }
  }

  /** The requests of a message go to the server; gives the mark of the first, those of the others follow. */
  started(message: Uint8Array, requests: ReadonlyArray<Request>): number {
    const first = this.#started + 1
    if (requests.length === 0) return first
    const usage = this.#rules?.quota === undefined ? undefined : this.#options.usage()
    if (usage !== undefined) usage.bytes += message.length
    for (const begun of this.#begin(message, requests)) {
      if (usage !== undefined) {
        usage.calls++
        usage.concurrent++
      }
      begun.series.started()
      this.#running.set(begun.seq, { ...begun, usage })
    }
    return first
  }

  /** The call with this mark waits no longer; `answer` is the message that answered it, if one did. */
  ended(mark: number, outcome: Outcome, answer?: Uint8Array): void {
    const call = this.#running.get(mark)
    if (call === undefined) return
    this.#running.delete(mark)
    const bytesOut = answer?.length ?? 0
    if (call.usage !== undefined) {
      call.usage.concurrent--
      call.usage.bytes += bytesOut
    }
    if (outcome === "resent") return call.series.replaced()
    const said = answer === undefined ? CallResult.NONE : CallResult.read(answer)
    const became = outcome === "answered" ? CallResult.outcome(said) : outcome
    call.series.ended(became, this.#options.nowMs() - call.atMs, call.bytesIn, bytesOut)
    const audit = this.#audit()
    if (audit === undefined) return
    const { code, result } = said
    const resultHash =
      answer === undefined || result === undefined
        ? undefined
        : Bytes.toHex(audit.sha256(answer.subarray(result.start, result.end)))
    audit.record({ ...this.#recordOf(call, audit), outcome: became, code, resultHash, bytesOut })
  }

  /** The session is over: nothing of it runs any more. */
  close(): void {
    for (const mark of [...this.#running.keys()]) this.ended(mark, "unknown")
  }

  /** A message of the server without the tools that the client may not call. */
  shown(message: Uint8Array, envelope: JsonRpcPeek.Envelope): Uint8Array {
    if (this.#rules?.trustHints === true && envelope._tag === "Response") this.#safe.listed(message)
    if (this.#patterns.length === 0 || JsonRpcPeek.responses(envelope).length === 0) return message
    return ToolFilter.cut(message, ({ name }) => name !== undefined && ToolPattern.shows(this.#patterns, name))
  }

  #audit(): Audit | undefined {
    return this.#rules?.audit === "off" ? undefined : this.#options.audit
  }

  #begin(message: Uint8Array, requests: ReadonlyArray<Request>): ReadonlyArray<Begun> {
    const audit = this.#audit()
    const spans = audit === undefined ? [] : RawJson.messages(message)
    const keeps = this.#rules?.audit === "arguments"
    return requests.map((request) => {
      const { id, method, target } = request
      const span = spans.length === 1 ? spans[0] : spans.find((item) => isOf(message, item, id))
      const found = span === undefined ? undefined : CallArguments.raw(message, span)
      const args =
        found === undefined || found === ToolPattern.UNCLEAR ? undefined : message.subarray(found.start, found.end)
      return {
        series: this.#options.calls.of(method, target),
        seq: ++this.#started,
        id,
        method,
        target,
        bytesIn: message.length,
        atMs: this.#options.nowMs(),
        argumentsHash: audit === undefined || args === undefined ? undefined : Bytes.toHex(audit.sha256(args)),
        traceparent: audit === undefined || spans.length !== 1 ? undefined : TraceMeta.traceparentOf(message),
        arguments: keeps && args !== undefined ? DECODER.decode(args.subarray(0, ARGUMENTS_BYTES_MAX)) : undefined
      }
    })
  }

  #recordOf({ atMs, ...begun }: Begun & { readonly usage?: unknown }, audit: Audit): AuditChain.Call {
    const { node, nowMs, service, session } = this.#options
    return {
      time: audit.time(),
      session,
      seq: begun.seq,
      node,
      service,
      method: begun.method,
      target: begun.target,
      id: begun.id,
      argumentsHash: begun.argumentsHash,
      resultHash: undefined,
      bytesIn: begun.bytesIn,
      bytesOut: 0,
      durationMs: Math.round((nowMs() - atMs) * 1000) / 1000,
      outcome: "ok",
      code: undefined,
      decision: "allow",
      traceparent: begun.traceparent,
      arguments: begun.arguments
    }
  }

  #refusals(
    envelope: JsonRpcPeek.Envelope,
    { reason, text }: Extract<Policy.Decision, { _tag: "Deny" }>
  ): ReadonlyArray<Uint8Array> {
    const { self, service } = this.#options
    const isQuota = reason === "quota"
    const kind = isQuota ? "overloaded" : "denied"
    const error = { kind, message: text, retryable: isQuota, delivered: false, service, peer: self } as const
    return JsonRpcPeek.requests(envelope).map(({ id, method }) =>
      method === "tools/call" ? toolError(id, text) : BridgeError.encode(error, id)
    )
  }
}

type Request = Extract<JsonRpcPeek.Envelope, { _tag: "Request" }>

/** A request as the record begins. `seq` is its mark. */
interface Begun
  extends Pick<
    AuditChain.Call,
    "seq" | "id" | "method" | "target" | "bytesIn" | "argumentsHash" | "traceparent" | "arguments"
  > {
  readonly atMs: number
  readonly series: CallSeries
}

interface Running extends Begun {
  readonly usage: PeerUsage.PeerUsage | undefined
}

const isOf = (bytes: Uint8Array, message: JsonScanner.Span, id: string): boolean => {
  const found = RawJson.only(bytes, message, "id")
  return found !== undefined && found !== RawJson.TWICE && JsonScanner.text(bytes, found) === id
}

/** A result that a model reads and can react to (mcp §6.10). `id` is raw text. */
const toolError = (id: string, text: string): Uint8Array =>
  UTF8.encode(
    `{"jsonrpc":"2.0","id":${id},"result":{"content":[{"type":"text","text":${JSON.stringify(text)}}],"isError":true}}`
  )

/** More of the arguments than this is not recorded, even if the owner wants them; their hash is of all. */
const ARGUMENTS_BYTES_MAX = 16_384
const DECODER = new TextDecoder()
const NOTHING: Policy.Usage = { calls: 0, concurrent: 0, bytes: 0 }
const UTF8 = new TextEncoder()

/**
 * The owner's rules at work in one client's session (mcp §6.10): what may pass to the server, what is answered here, what
 * of the server's lists is shown. Told by the session's `Upstream` how every call goes on; the rules may change while the
 * session lives. Without rules it looks at nothing.
 */
import type { JsonObject } from "../../../core/data/Json.ts"
import * as CallerHeaders from "../../../protocol/mcp/CallerHeaders.ts"
import * as BridgeError from "../../../protocol/relay/BridgeError.ts"
import * as BridgeReplies from "../../../protocol/relay/BridgeReplies.ts"
import * as CallArguments from "../../../protocol/relay/CallArguments.ts"
import * as CallerMeta from "../../../protocol/relay/CallerMeta.ts"
import type { PeerCalls } from "../../../protocol/relay/CallMetrics.ts"
import * as JsonRpcPeek from "../../../protocol/relay/JsonRpcPeek.ts"
import * as Policy from "../../../protocol/relay/Policy.ts"
import * as RawJson from "../../../protocol/relay/RawJson.ts"
import * as SafeCalls from "../../../protocol/relay/SafeCalls.ts"
import * as ToolFilter from "../../../protocol/relay/ToolFilter.ts"
import * as ToolPattern from "../../../protocol/relay/ToolPattern.ts"
import * as CallLedger from "../CallLedger.ts"
import type { CallPolicy } from "./CallPolicy.ts"
import * as PeerUsage from "./PeerUsage.ts"
import type { ToolDefinitions } from "./ToolDefinitions.ts"

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
  /** Which life of it this is. */
  readonly epoch: number
  readonly audit: CallLedger.Audit | undefined
  /** Counts the calls. */
  readonly calls: PeerCalls
  /** What the server's tools are; absent where nobody can be asked to approve calls. */
  readonly definitions: ToolDefinitions | undefined
  /** What the node's policy says of the peer's calls; absent: nothing. */
  readonly policy?: CallPolicy | undefined
}

/**
 * What becomes of a message: it passes, or these answers go back instead, none for what has no id. `Ask`: it passes, in the
 * form of `message`, when a person has approved it.
 */
export type Verdict =
  | { readonly _tag: "Pass" | "Ask"; readonly message: Uint8Array }
  | { readonly _tag: "Refused"; readonly answers: ReadonlyArray<Uint8Array> }

/** Mutable, with one owner. */
export class CallGate {
  readonly #options: Options
  readonly #ledger: CallLedger.CallLedger
  #rules: Policy.Rules | undefined
  #patterns = Policy.NO_PATTERNS
  #caller: JsonObject | undefined
  readonly #safe = new SafeCalls.SafeCalls()

  constructor(options: Options) {
    this.#options = options
    this.#ledger = new CallLedger.CallLedger({ ...options, peer: undefined })
  }

  /** The rules, and what the server is told of the caller, from now on. */
  configure(rules: Policy.Rules | undefined, caller: JsonObject | undefined): void {
    this.#rules = rules
    this.#ledger.configure(rules)
    this.#caller = rules?.identify === true ? caller : undefined
    this.#patterns = rules === undefined ? Policy.NO_PATTERNS : Policy.patternsOf(rules)
    this.#safe.configure(rules ?? {})
  }

  /** Who calls, as headers, if the owner wants the server to know. */
  callerHeaders(): Readonly<Record<string, string>> {
    return this.#caller === undefined ? {} : CallerHeaders.of(this.#caller)
  }

  /** What the owner declares harmless, and when calls are detached, for the other end of the session. */
  get declared(): SafeCalls.Declared & Pick<Policy.Rules, "detachAfterMs"> {
    const { detachAfterMs, ...others } = this.#rules ?? {}
    return { ...SafeCalls.declaredIn(others), ...(detachAfterMs === undefined ? {} : { detachAfterMs }) }
  }

  /** How long a call waits for a person. */
  get askMs(): number | undefined {
    return this.#rules?.askMs
  }

  /** What the server's tools are, by hash. */
  get definitions(): ToolDefinitions | undefined {
    return this.#options.definitions
  }

  /** The message of that number in this session. */
  place(seq: number): CallLedger.Place {
    const { epoch, session } = this.#options
    return { session, epoch, seq }
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

  /** Decides about a message of the client. A batch is denied as a whole; one that needs approval has to be taken apart. */
  judge(message: Uint8Array, envelope: JsonRpcPeek.Envelope, place: CallLedger.Place): Verdict {
    const rules = this.#rules
    const denied = this.#options.policy?.refusal(message, envelope)
    if (denied !== undefined)
      return this.#refuse(message, envelope, place, denied.isQuota ? "quota" : "tool", denied.text)
    if (rules === undefined) return { _tag: "Pass", message }
    const decision = this.#decide(rules, message, envelope)
    if (decision._tag === "Deny") return this.#refuse(message, envelope, place, decision.reason, decision.text)
    const caller = this.#caller
    const passed = caller === undefined ? message : CallerMeta.write(message, caller)
    return { _tag: decision._tag === "Ask" ? "Ask" : "Pass", message: passed }
  }

  #refuse(
    message: Uint8Array,
    envelope: JsonRpcPeek.Envelope,
    place: CallLedger.Place,
    reason: "method" | "tool" | "quota",
    text: string
  ): Verdict {
    const requests = JsonRpcPeek.requests(envelope)
    this.#options.policy?.withdrawn(requests)
    this.#ledger.refused(message, requests, place, { outcome: "denied", decision: reason })
    return { _tag: "Refused", answers: this.#refusals(envelope, reason === "quota", text) }
  }

  /** The requests of a message did not reach the server, because of an error of ours with that code. */
  failed(message: Uint8Array, envelope: JsonRpcPeek.Envelope, { approval, place }: CallLedger.Origin, code: number) {
    this.#options.policy?.withdrawn(JsonRpcPeek.requests(envelope))
    this.#ledger.refused(message, JsonRpcPeek.requests(envelope), place, {
      outcome: "error",
      code,
      decision: approval?.decision ?? "allow",
      approval: approval?.id,
      definitionHash: approval?.definitionHash
    })
  }

  /** A call was not approved; gives the answer that its client reads. */
  unapproved(
    message: Uint8Array,
    request: CallLedger.Request,
    place: CallLedger.Place,
    refusal: Omit<CallLedger.Refusal, "outcome">,
    text: string
  ): Uint8Array {
    this.#options.policy?.withdrawn([request])
    this.#ledger.refused(message, [request], place, { ...refusal, outcome: "denied" })
    return BridgeReplies.toolError(request.id, text)
  }

  /** A call was given up while it waited for a person. */
  withdrawn(message: Uint8Array, request: CallLedger.Request, place: CallLedger.Place): void {
    this.#options.policy?.withdrawn([request])
    this.#ledger.refused(message, [request], place, { outcome: "cancelled", decision: "asking" })
  }

  /** The requests of a message go to the server; gives the mark of the first, those of the others follow. */
  started(message: Uint8Array, requests: ReadonlyArray<CallLedger.Request>, origin: CallLedger.Origin): number {
    const rules = this.#rules
    const usage = rules?.quota === undefined ? undefined : this.#options.usage()
    const deadlineMs = ({ method, target }: CallLedger.Request) => Policy.deadlineMs(rules?.deadlines, method, target)
    const first = this.#ledger.started(message, requests, origin, usage, deadlineMs)
    this.#options.policy?.started(first, requests)
    return first
  }

  /** The call with this mark waits no longer; `answer` is the message that answered it, if one did. */
  ended(mark: number, outcome: CallLedger.Outcome, answer?: Uint8Array): CallLedger.Origin | undefined {
    this.#options.policy?.ended(mark)
    return this.#ledger.ended(mark, outcome, answer)
  }

  /** When the time of that call is over; undefined if it has no end. */
  dueAtMs(mark: number): number | undefined {
    return this.#ledger.dueAtMs(mark)
  }

  /** The calls whose time is over, and when the next one's is. */
  overdue(nowMs: number): ReturnType<CallLedger.CallLedger["overdue"]> {
    return this.#ledger.overdue(nowMs)
  }

  /** The session is over: nothing of it runs any more. */
  close(): void {
    this.#options.policy?.close()
    this.#ledger.close()
  }

  /** A message of the server without the tools that the client may not call. */
  shown(message: Uint8Array, envelope: JsonRpcPeek.Envelope): Uint8Array {
    this.#noteTools(message, envelope)
    const { policy } = this.#options
    const isOpen = policy?.isOpen !== false
    const { tools } = this.#patterns
    if ((tools.length === 0 && isOpen) || JsonRpcPeek.responses(envelope).length === 0) return message
    const shows = (name: string) =>
      (tools.length === 0 || ToolPattern.shows(tools, name)) && (isOpen || policy.shows(name))
    return ToolFilter.cut(message, ({ name }) => name !== undefined && shows(name))
  }

  #noteTools(message: Uint8Array, envelope: JsonRpcPeek.Envelope): void {
    if (envelope._tag === "Notification") {
      if (envelope.method === "notifications/tools/list_changed") this.definitions?.forget()
      return
    }
    if (this.#rules?.trustHints === true && envelope._tag === "Response") this.#safe.listed(message)
    if (this.#patterns.ask.length > 0 && JsonRpcPeek.responses(envelope).length > 0) this.definitions?.listed(message)
  }

  #decide(rules: Policy.Rules, message: Uint8Array, envelope: JsonRpcPeek.Envelope): Policy.Decision {
    const items = JsonRpcPeek.messages(envelope)
    const { ask, tools } = this.#patterns
    const spans = tools.length + ask.length === 0 ? [] : RawJson.messages(message)
    const ahead = { calls: 0, bytes: 0 }
    const usage = rules.quota === undefined ? NOTHING : PeerUsage.current(this.#options.usage(), this.#options.nowMs())
    let found: Policy.Decision = ALLOW
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
      if (found._tag !== "Deny" && decision._tag !== "Allow") found = decision
      if (item._tag !== "Request") continue
      ahead.calls++
      ahead.bytes += Math.ceil(message.length / items.length)
    }
    return found
  }

  #refusals(envelope: JsonRpcPeek.Envelope, isQuota: boolean, text: string): ReadonlyArray<Uint8Array> {
    const { self, service } = this.#options
    const kind = isQuota ? "overloaded" : "denied"
    const error = { kind, message: text, retryable: isQuota, delivered: false, service, peer: self } as const
    return JsonRpcPeek.requests(envelope).map(({ id, method }) =>
      method === "tools/call" ? BridgeReplies.toolError(id, text) : BridgeError.encode(error, id)
    )
  }
}

const ALLOW = Policy.Decision.Allow()
const NOTHING: Policy.Usage = { calls: 0, concurrent: 0, bytes: 0 }

/**
 * The owner's rules at work in one client's session (mcp §6.10): what may pass to the server, what is answered here, what
 * of the server's lists is shown. Told by the session's `Upstream` how every call goes on; the rules may change while the
 * session lives. Without rules it looks at nothing.
 */

import * as BridgeError from "../../protocol/relay/BridgeError.ts"
import * as CallArguments from "../../protocol/relay/CallArguments.ts"
import * as JsonRpcPeek from "../../protocol/relay/JsonRpcPeek.ts"
import * as Policy from "../../protocol/relay/Policy.ts"
import * as RawJson from "../../protocol/relay/RawJson.ts"
import * as ToolFilter from "../../protocol/relay/ToolFilter.ts"
import * as ToolPattern from "../../protocol/relay/ToolPattern.ts"
import * as PeerUsage from "./PeerUsage.ts"

/** What a gate needs. */
export interface Options {
  readonly service: string
  /** How this host is called in errors. */
  readonly self: string
  readonly rules: Policy.Rules | undefined
  /** The peer's use of the service, at this instant. */
  readonly usage: () => PeerUsage.PeerUsage
  readonly nowMs: () => number
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
  readonly #running = new Map<number, PeerUsage.PeerUsage>()

  constructor(options: Options) {
    this.#options = options
    this.rules = options.rules
  }

  /** The rules from now on. */
  set rules(rules: Policy.Rules | undefined) {
    this.#rules = rules
    this.#patterns = rules === undefined ? [] : Policy.patternsOf(rules)
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
    return denied === undefined
      ? { _tag: "Pass", message }
      : { _tag: "Refused", answers: this.#refusals(envelope, denied) }
  }

  /** The requests of a message go to the server; gives the mark of the first, those of the others follow. */
  started(requests: ReadonlyArray<unknown>, sizeBytes: number): number {
    const first = this.#started + 1
    if (this.#rules?.quota === undefined || requests.length === 0) return first
    const usage = this.#options.usage()
    usage.bytes += sizeBytes
    for (const _ of requests) {
      usage.calls++
      usage.concurrent++
      this.#running.set(++this.#started, usage)
    }
    return first
  }

  /** The call with this mark waits no longer: an answer of `sizeBytes` came, or none. */
  ended(mark: number, sizeBytes: number): void {
    const usage = this.#running.get(mark)
    if (usage === undefined) return
    this.#running.delete(mark)
    usage.concurrent--
    usage.bytes += sizeBytes
  }

  /** The session is over: nothing of it runs any more. */
  close(): void {
    for (const mark of [...this.#running.keys()]) this.ended(mark, 0)
  }

  /** A message of the server without the tools that the client may not call. */
  shown(message: Uint8Array, envelope: JsonRpcPeek.Envelope): Uint8Array {
    if (this.#patterns.length === 0 || JsonRpcPeek.responses(envelope).length === 0) return message
    return ToolFilter.cut(message, ({ name }) => name !== undefined && ToolPattern.shows(this.#patterns, name))
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

/** A result that a model reads and can react to (mcp §6.10). `id` is raw text. */
const toolError = (id: string, text: string): Uint8Array =>
  UTF8.encode(
    `{"jsonrpc":"2.0","id":${id},"result":{"content":[{"type":"text","text":${JSON.stringify(text)}}],"isError":true}}`
  )

const NOTHING: Policy.Usage = { calls: 0, concurrent: 0, bytes: 0 }
const UTF8 = new TextEncoder()

/**
 * The rules of whoever uses a service, at the mount (mcp §6.10): the same decision as beside the server, by the same
 * function, before anything leaves this node; and a record of the calls, whose lines meet those of the other end by session,
 * epoch and number.
 *
 * One per client's session, between the client and its `ShimSession`.
 */
import { Result } from "effect"
import * as BridgeError from "../../../protocol/relay/BridgeError.ts"
import * as BridgeReplies from "../../../protocol/relay/BridgeReplies.ts"
import * as CallArguments from "../../../protocol/relay/CallArguments.ts"
import * as RawRpc from "../../../protocol/relay/era/RawRpc.ts"
import * as JsonRpcPeek from "../../../protocol/relay/JsonRpcPeek.ts"
import * as Policy from "../../../protocol/relay/Policy.ts"
import * as RawJson from "../../../protocol/relay/RawJson.ts"
import * as ToolFilter from "../../../protocol/relay/ToolFilter.ts"
import * as ToolPattern from "../../../protocol/relay/ToolPattern.ts"
import * as CallLedger from "../CallLedger.ts"
import type { Target } from "../Target.ts"

/** What a mount lets out, and where that is recorded. */
export interface Egress {
  /** Patterns of `ToolPattern`; none means every tool. */
  readonly tools: ReadonlyArray<string>
  readonly audit: CallLedger.Audit | undefined
  /** The record holds arguments, not only their hashes. */
  readonly keepsArguments?: boolean
}

/** The patterns that say it, those of denied tools without their `!`; undefined if one is none. */
export const patterns = (
  tools: ReadonlyArray<string>,
  denied: ReadonlyArray<string>
): { readonly tools: ReadonlyArray<string> } | { readonly wrong: string } => {
  const wrong =
    tools.find((text) => ToolPattern.parse(text) === undefined) ??
    denied.find((text) => text.startsWith("!") || ToolPattern.parse(text) === undefined)
  return wrong === undefined ? { tools: [...tools, ...denied.map((text) => `!${text}`)] } : { wrong }
}

/** What a relay session is known by (`ShimLink.Credentials`). */
type Session = Pick<CallLedger.Place, "session" | "epoch">

/** One session's guard. */
export class EgressGuard {
  readonly #target: Target
  readonly #rules: Policy.Rules
  readonly #patterns: Policy.Patterns
  readonly #ledger: CallLedger.CallLedger
  readonly #isRecording: boolean
  /** Marks of the calls that wait, by id. */
  readonly #open = new Map<string, number>()

  constructor(target: Target, { audit, keepsArguments, tools }: Egress, nowMs: () => number) {
    this.#target = target
    this.#rules = { tools, transparent: true, identify: false }
    this.#patterns = Policy.patternsOf(this.#rules)
    this.#isRecording = audit !== undefined
    this.#ledger = new CallLedger.CallLedger({
      service: target.service,
      node: undefined,
      // Of several instances, the one in use when a line is written.
      get peer() {
        return target.peer
      },
      nowMs,
      audit
    })
    if (keepsArguments === true) this.#ledger.configure({ audit: "arguments" })
  }

  /** The answers that the client gets instead, if a message of it must not pass. */
  fromClient(message: Uint8Array): ReadonlyArray<Uint8Array> | undefined {
    const envelope = Result.getOrUndefined(JsonRpcPeek.peek(message))
    if (envelope === undefined) return undefined
    const denial = this.#decide(message, envelope)
    const requests = JsonRpcPeek.requests(envelope)
    if (denial !== undefined) {
      this.#ledger.refused(message, requests, NOWHERE, { outcome: "denied", decision: denial.reason })
      return requests.map(({ id, method }) => this.#refusal(id, method, denial.text))
    }
    if (!this.#isRecording) return undefined
    for (const item of JsonRpcPeek.messages(envelope)) {
      if (item._tag === "Notification" && item.cancels !== undefined) this.#ended(item.cancels, "cancelled")
    }
    // Beyond that the session refuses them, which is recorded nowhere else.
    const first = this.#ledger.started(message, requests, { place: NOWHERE })
    requests.forEach(({ id }, index) => {
      this.#ended(id, "unknown")
      this.#open.set(RawRpc.idKey(id), first + index)
    })
    return undefined
  }

  /** The calls go to the peer in the message of that number, perhaps not for the first time. */
  readonly carried = (requests: ReadonlyArray<CallLedger.Request>, { epoch, session }: Session, seq: number): void => {
    for (const { id } of requests) {
      const mark = this.#open.get(RawRpc.idKey(id))
      // Before the first WELCOME it is known already which epoch that one begins (`Keeper`).
      if (mark !== undefined) this.#ledger.carried(mark, { session, epoch: Math.max(1, epoch), seq })
    }
  }

  /** A message of the server as the client may see it. */
  toClient(message: Uint8Array): Uint8Array {
    const isFiltering = this.#patterns.tools.length > 0
    if (!isFiltering && !this.#isRecording) return message
    const envelope = Result.getOrUndefined(JsonRpcPeek.peek(message))
    const answers = envelope === undefined ? [] : JsonRpcPeek.responses(envelope)
    for (const { id } of answers) this.#ended(id, "answered", message)
    if (!isFiltering || answers.length === 0) return message
    return ToolFilter.cut(message, ({ name }) => name !== undefined && ToolPattern.shows(this.#patterns.tools, name))
  }

  /** The client is gone: what still waits has no end that anybody will know. */
  close(): void {
    this.#ledger.close()
  }

  #ended(id: string, outcome: CallLedger.Outcome, answer?: Uint8Array): void {
    const key = RawRpc.idKey(id)
    const mark = this.#open.get(key)
    if (mark === undefined) return
    this.#open.delete(key)
    this.#ledger.ended(mark, outcome, answer)
  }

  #decide(message: Uint8Array, envelope: JsonRpcPeek.Envelope) {
    const items = JsonRpcPeek.messages(envelope)
    const spans = this.#patterns.tools.length === 0 ? [] : RawJson.messages(message)
    for (const [index, item] of items.entries()) {
      const span = spans[index]
      const question: Policy.Question = {
        kind: item._tag === "Batch" ? "Other" : item._tag,
        method: "method" in item ? item.method : "",
        target: item._tag === "Request" ? item.target : undefined,
        argument: span === undefined ? () => ToolPattern.UNCLEAR : CallArguments.reader(message, span),
        sizeBytes: message.length,
        usage: NOTHING
      }
      const decision = Policy.decide(this.#rules, this.#patterns, question, Policy.MOUNT)
      if (decision._tag === "Deny") return decision
    }
    return undefined
  }

  #refusal(id: string, method: string, text: string): Uint8Array {
    if (method === "tools/call") return BridgeReplies.toolError(id, text)
    const { peer, service } = this.#target
    return BridgeError.encode({ kind: "denied", message: text, retryable: false, delivered: false, service, peer }, id)
  }
}

/** Where calls are that have not left this node. */
const NOWHERE: CallLedger.Place = { session: "", epoch: 0, seq: 0 }
const NOTHING: Policy.Usage = { calls: 0, concurrent: 0, bytes: 0 }

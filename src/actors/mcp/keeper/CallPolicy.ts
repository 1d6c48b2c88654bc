/**
 * The node's policy at work in one client's session: which calls may pass, and how many at a time. The owner's rules of the
 * service (`Policy` of the relay) are asked after it.
 *
 * Mutable, with one owner. It holds an answer for a call from its start to its end, at most as many as the session has in flight.
 */
import type { Action } from "../../../protocol/policy/Action.ts"
import * as CallArguments from "../../../protocol/relay/CallArguments.ts"
import * as JsonRpcPeek from "../../../protocol/relay/JsonRpcPeek.ts"
import * as RawJson from "../../../protocol/relay/RawJson.ts"
import { NodeId } from "../../../protocol/wire/Address.ts"
import type { Answer, Guard } from "../../policy/PolicyGuard.ts"

/** Why a message does not pass. */
export interface Refusal {
  readonly isQuota: boolean
  readonly text: string
}

/** Of one session. */
export class CallPolicy {
  readonly #guard: Guard
  readonly #service: string
  readonly #node: NodeId
  /** By the call's id, raw JSON text. */
  readonly #held = new Map<string, Answer>()
  readonly #ids = new Map<number, string>()

  constructor(guard: Guard, service: string, node: number) {
    this.#guard = guard
    this.#service = service
    this.#node = NodeId(node)
  }

  /** There is no rule about anything. */
  get isOpen(): boolean {
    return this.#guard.isOpen()
  }

  /** Decides about a message, which passes as a whole or not at all. What passes counts until it is `ended`. */
  refusal(message: Uint8Array, envelope: JsonRpcPeek.Envelope): Refusal | undefined {
    if (this.#guard.isOpen()) return undefined
    const taken: Array<string> = []
    const spans = RawJson.messages(message)
    for (const [index, item] of JsonRpcPeek.messages(envelope).entries()) {
      if (item._tag !== "Request" || !ASKED.has(item.method)) continue
      const span = spans[index]
      const isCall = item.method === "tools/call"
      const wish: Action = {
        service: "mcp",
        target: this.#service,
        tool: isCall ? (item.target ?? "") : `@${item.method}`,
        argument: span === undefined || !isCall ? () => undefined : CallArguments.reader(message, span),
        sizeBytes: message.length
      }
      const answer = this.#guard.ask(this.#node, wish, true, true)
      if (answer.isAllowed) {
        if (!answer.isBounded) continue
        this.#release(item.id)
        this.#held.set(item.id, answer)
        taken.push(item.id)
        continue
      }
      for (const id of taken) this.#release(id)
      return { isQuota: answer.reason === "limit", text: `Denied: ${answer.text}.` }
    }
    return undefined
  }

  /** Whether a tool is in lists: it could be called with some arguments. */
  shows(tool: string): boolean {
    return this.#guard.permits(this.#node, { service: "mcp", target: this.#service, tool }, true)
  }

  /** The requests go on under these marks. */
  started(first: number, requests: ReadonlyArray<{ readonly id: string }>): void {
    if (this.#held.size === 0) return
    for (const [index, { id }] of requests.entries()) if (this.#held.has(id)) this.#ids.set(first + index, id)
  }

  /** The call with this mark is over. */
  ended(mark: number): void {
    const id = this.#ids.get(mark)
    if (id === undefined) return
    this.#ids.delete(mark)
    this.#release(id)
  }

  /** These requests never went on. */
  withdrawn(requests: ReadonlyArray<{ readonly id: string }>): void {
    for (const { id } of requests) this.#release(id)
  }

  /** The session is over. */
  close(): void {
    for (const id of [...this.#held.keys()]) this.#release(id)
    this.#ids.clear()
  }

  #release(id: string): void {
    this.#held.get(id)?.release()
    this.#held.delete(id)
  }
}

/** What reaches content of the server; openings, lists and signs of life are part of the session. */
const ASKED: ReadonlySet<string> = new Set([
  "tools/call",
  "resources/read",
  "resources/subscribe",
  "prompts/get",
  "completion/complete"
])

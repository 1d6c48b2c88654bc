/**
 * Long calls for clients whose clock nothing stops (mcp §6.7): a tool that works longer than `afterMs` is answered with a
 * handle, and a tool of ours, added to the list, fetches its result later. The call itself goes on.
 *
 * Pure; mutable inside the session that owns it. At most `DETACHED_MAX` calls are detached, running or done; what is done is
 * kept for `KEPT_MS`, all results together up to `KEPT_BYTES_MAX`, the oldest goes first.
 */
import { Result } from "effect"
import type * as Json from "../../core/data/Json.ts"
import { type EraTranslator, KEY, META, type Output, type Outputs, toClient, toServer } from "./era/EraTranslator.ts"
import * as RawRpc from "./era/RawRpc.ts"
import * as JsonEdit from "./JsonEdit.ts"
import * as JsonRpcPeek from "./JsonRpcPeek.ts"
import * as JsonScanner from "./JsonScanner.ts"
import * as JsonSplice from "./JsonSplice.ts"

/** When a call is detached, and a text that nobody can guess. */
export interface Options {
  readonly afterMs: number
  readonly random: () => string
}

/** The calls of one session. */
export class DetachedCalls implements EraTranslator {
  readonly #options: Options
  /** By the key of the id that they have at the server. */
  readonly #calls = new Map<string, Call>()
  readonly #handles = new Map<string, Call>()
  /** Keys of requests for a list of tools. */
  readonly #lists = new Set<string>()
  #count = 0
  #keptBytes = 0

  constructor(options: Options) {
    this.#options = options
  }

  fromClient(message: Uint8Array, nowMs: number): Outputs {
    const envelope = Result.getOrUndefined(JsonRpcPeek.peek(message))
    if (envelope?._tag === "Notification" && envelope.cancels !== undefined)
      return this.#cancel(message, envelope.cancels)
    if (envelope?._tag !== "Request") return [toServer(message)]
    const { id, method, progressToken, target } = envelope
    if (method === "tools/list" && this.#lists.size < LISTS_MAX) this.#lists.add(RawRpc.idKey(id))
    if (method !== "tools/call") return [toServer(message)]
    const isModern = JsonRpcPeek.member(message, [...META, KEY.version]) !== undefined
    const asker = { id, isModern, dueAtMs: nowMs + this.#options.afterMs }
    if (target === TOOL) return this.#fetch(message, asker)
    const number = JSON.stringify(`${OWN_ID}${++this.#count}`)
    const token = progressToken === undefined ? undefined : RawRpc.idKey(progressToken)
    const call: Call = { number, token, asker, handle: undefined, result: undefined, untilMs: undefined }
    this.#calls.set(RawRpc.idKey(number), call)
    return [toServer(JsonSplice.replace(message, ["id"], number))]
  }

  fromServer(message: Uint8Array, nowMs: number): Outputs {
    const envelope = Result.getOrUndefined(JsonRpcPeek.peek(message))
    if (envelope?._tag === "Notification" && envelope.progressToken !== undefined) {
      const token = RawRpc.idKey(envelope.progressToken)
      const isDetached = [...this.#handles.values()].some((call) => call.token === token)
      return isDetached ? [] : [toClient(message)]
    }
    if (envelope?._tag !== "Response") return [toClient(message)]
    const key = RawRpc.idKey(envelope.id)
    if (this.#lists.delete(key)) return [toClient(envelope.isError ? message : listed(message))]
    const call = this.#calls.get(key)
    if (call === undefined) return key.startsWith(`s${OWN_ID}`) ? [] : [toClient(message)]
    this.#calls.delete(key)
    const { asker } = call
    if (call.handle === undefined)
      return asker === undefined ? [] : [toClient(JsonSplice.replace(message, ["id"], asker.id))]
    const needsInput = JsonRpcPeek.string(message, ["result", "resultType"]) === "input_required"
    this.#keep(call, needsInput ? said("null", NEEDS_INPUT, true, true) : message.slice(), nowMs)
    call.asker = undefined
    return asker === undefined ? [] : [toClient(JsonSplice.replace(call.result ?? message, ["id"], asker.id))]
  }

  deadlineMs(): number | undefined {
    let earliestMs: number | undefined
    const note = (atMs: number | undefined) => {
      if (atMs !== undefined) earliestMs = Math.min(earliestMs ?? Number.POSITIVE_INFINITY, atMs)
    }
    const isFull = this.#handles.size >= DETACHED_MAX
    for (const { asker, handle } of this.#calls.values()) if (handle !== undefined || !isFull) note(asker?.dueAtMs)
    for (const { untilMs } of this.#handles.values()) note(untilMs)
    return earliestMs
  }

  timeout(nowMs: number): Outputs {
    const outputs: Array<Output> = []
    for (const call of [...this.#handles.values()]) {
      if (call.untilMs === undefined || call.untilMs > nowMs) continue
      if (call.result === undefined) outputs.push(toServer(RawRpc.cancelled(call.number)))
      this.#forget(call)
    }
    for (const call of this.#calls.values()) {
      const { asker } = call
      if (asker === undefined || asker.dueAtMs > nowMs) continue
      if (call.handle === undefined && this.#handles.size >= DETACHED_MAX) continue
      call.handle ??= this.#options.random()
      call.untilMs ??= nowMs + RUNNING_MS
      this.#handles.set(call.handle, call)
      call.asker = undefined
      outputs.push(toClient(said(asker.id, running(call.handle), false, asker.isModern)))
    }
    return outputs
  }

  closed(): Outputs {
    // What the client still waits for may finish; what it would fetch, nobody will.
    const running = [...this.#calls.values()].filter(({ handle }) => handle !== undefined)
    return running.map(({ number }) => toServer(RawRpc.cancelled(number)))
  }

  /** Waits for the result as long as the client's clock allows. */
  #fetch(message: Uint8Array, asker: Asker): Outputs {
    const handle = JsonRpcPeek.string(message, ["params", "arguments", "handle"])
    const call = handle === undefined ? undefined : this.#handles.get(handle)
    if (call === undefined) return [toClient(said(asker.id, UNKNOWN, true, asker.isModern))]
    if (call.result !== undefined) return [toClient(JsonSplice.replace(call.result, ["id"], asker.id))]
    if (JsonRpcPeek.member(message, ["params", "arguments", "cancel"]) === "true") {
      this.#forget(call)
      const told = toClient(said(asker.id, "The call is cancelled.", false, asker.isModern))
      return [toServer(RawRpc.cancelled(call.number)), told]
    }
    if (call.asker !== undefined) return [toClient(said(asker.id, ASKED, true, asker.isModern))]
    call.asker = asker
    return []
  }

  /** A client that gives up a fetch leaves the call alone. */
  #cancel(message: Uint8Array, id: string): Outputs {
    const wanted = RawRpc.idKey(id)
    const call = [...this.#calls.values()].find(({ asker }) => asker !== undefined && RawRpc.idKey(asker.id) === wanted)
    if (call === undefined) return [toServer(message)]
    call.asker = undefined
    if (call.handle !== undefined) return []
    this.#calls.delete(RawRpc.idKey(call.number))
    return [toServer(JsonSplice.replace(message, ["params", "requestId"], call.number))]
  }

  #keep(call: Call, result: Uint8Array, nowMs: number): void {
    call.result = result
    call.untilMs = nowMs + KEPT_MS
    this.#keptBytes += result.length
    for (const old of [...this.#handles.values()]) {
      if (this.#keptBytes <= KEPT_BYTES_MAX) return
      if (old.result !== undefined && old !== call) this.#forget(old)
    }
  }

  #forget(call: Call): void {
    this.#keptBytes -= call.result?.length ?? 0
    if (call.handle !== undefined) this.#handles.delete(call.handle)
    this.#calls.delete(RawRpc.idKey(call.number))
  }
}

/** Whom an answer is for. */
interface Asker {
  readonly id: string
  readonly isModern: boolean
  readonly dueAtMs: number
}

interface Call {
  /** Raw id at the server. */
  readonly number: string
  readonly token: string | undefined
  asker: Asker | undefined
  /** Undefined until it is detached. */
  handle: string | undefined
  result: Uint8Array | undefined
  /** When it is forgotten; a running one is cancelled then. */
  untilMs: number | undefined
}

/** The list with the tool of ours at its end, and without output schemas: what a handle is said with meets none. */
const listed = (message: Uint8Array): Uint8Array => {
  const found = JsonEdit.find(message, ["result", "tools"])
  const tools = found.missing.length > 0 ? undefined : JsonScanner.read(message, found.span)
  if (tools?._tag !== "Array") return message
  const cuts = tools.elements.flatMap((tool) => JsonEdit.removals(message, tool, (key) => key === "outputSchema"))
  const isLast = JsonRpcPeek.string(message, ["result", "nextCursor"]) === undefined
  const at = tools.elements.at(-1)?.end ?? found.span.start + 1
  const text = `${tools.elements.length === 0 ? "" : ","}${JSON.stringify(DEFINITION)}`
  return JsonEdit.splice(message, isLast ? [...cuts, { start: at, end: at, text }] : cuts)
}

const said = (id: string, text: string, isError: boolean, isModern: boolean): Uint8Array => {
  const result = { content: [{ type: "text", text }], isError, ...(isModern ? { resultType: "complete" } : {}) }
  return RawRpc.result(id, JSON.stringify(result))
}

/** The tool that fetches results. */
export const TOOL = "pilot_fetch_result"

const running = (handle: string): string =>
  `Still running, handle ${handle}. Call the tool ${TOOL} with {"handle":"${handle}"} to wait for the result.`

const DEFINITION: Json.JsonObject = {
  name: TOOL,
  description:
    "Waits for the result of a call that was answered with a handle, and gives it as that call would have. It may be asked again.",
  inputSchema: {
    type: "object",
    properties: {
      handle: { type: "string", description: "The handle." },
      cancel: { type: "boolean", description: "Stop the call instead." }
    },
    required: ["handle"]
  }
}

const UNKNOWN = "There is no such handle. Results are kept for ten minutes."
const ASKED = "Another call waits for this result already."
const NEEDS_INPUT = "The tool asks for something that only a call in the foreground can answer. Call it again."
const OWN_ID = "dev.effect-pilot/call-"
/** Calls that were answered with a handle, running or done. */
const DETACHED_MAX = 64
/** How long a result waits to be fetched (mcp §6.7). */
const KEPT_MS = 600_000
const KEPT_BYTES_MAX = 16_777_216
/** The most that any call may take (mcp §6.7). */
const RUNNING_MS = 86_400_000
/** Unanswered requests for lists; those beyond are passed on as they are. */
const LISTS_MAX = 256

/**
 * Long calls for clients whose clock nothing stops (mcp §6.7): a tool that works longer than `afterMs` is answered with a
 * handle, and the call itself goes on. A client that declares the tasks extension is answered with a task of it; any other
 * finds a tool of ours in the list, which fetches the result.
 *
 * Pure; mutable inside the session that owns it. At most `DETACHED_MAX` calls are detached, running or done; what is done is
 * kept for `KEPT_MS`, all results together up to `KEPT_BYTES_MAX`, the oldest goes first.
 */
import { Result } from "effect"
import * as DetachedCall from "./DetachedCall.ts"
import * as DetachTool from "./DetachTool.ts"
import { type EraTranslator, KEY, META, type Output, type Outputs, toClient, toServer } from "./era/EraTranslator.ts"
import * as RawRpc from "./era/RawRpc.ts"
import * as JsonRpcPeek from "./JsonRpcPeek.ts"
import * as JsonSplice from "./JsonSplice.ts"
import * as TaskExtension from "./TaskExtension.ts"

/** When calls are detached, and what the outside world gives. */
export interface Options {
  /** Undefined: `configure` says it later; until then no call is detached. */
  readonly afterMs: number | undefined
  /** A text that nobody can guess. */
  readonly random: () => string
  /** An instant of the monotonic clock as ISO 8601. */
  readonly instant: (atMs: number) => string
}

type Call = DetachedCall.DetachedCall

/** The calls of one session. */
export class DetachedCalls implements EraTranslator {
  readonly #options: Options
  /** By the key of the id that they have at the server. */
  readonly #calls = new Map<string, Call>()
  readonly #handles = new Map<string, Call>()
  /** Requests whose answers are changed, by the keys of their ids. */
  readonly #watched = new Map<string, "tools/list" | "server/discover" | Call>()
  #after: "unknown" | "never" | number
  #count = 0
  #keptBytes = 0

  constructor(options: Options) {
    this.#options = options
    this.#after = options.afterMs ?? "unknown"
  }

  /** When calls are detached from now on, those that wait included; undefined: none is. */
  configure(afterMs: number | undefined): void {
    this.#after = afterMs ?? "never"
  }

  /** No call is detached, or waits under an id of ours: messages may pass unseen. */
  get isThrough(): boolean {
    return this.#after === "never" && this.#calls.size + this.#handles.size + this.#watched.size === 0
  }

  fromClient(message: Uint8Array, nowMs: number): Outputs {
    const envelope = Result.getOrUndefined(JsonRpcPeek.peek(message))
    if (envelope?._tag === "Notification" && envelope.cancels !== undefined)
      return this.#cancel(message, envelope.cancels)
    if (envelope?._tag !== "Request") return [toServer(message)]
    const { id, method, progressToken, target } = envelope
    if (TaskExtension.METHODS.has(method)) return this.#task(message, id, method, nowMs)
    if (this.#after === "never") return [toServer(message)]
    const isModern = JsonRpcPeek.member(message, [...META, KEY.version]) !== undefined
    const hasTasks = isModern && TaskExtension.isDeclared(message)
    if (method === "tools/list" && !hasTasks) this.#watch(id, method)
    if (method === "server/discover" && hasTasks) this.#watch(id, method)
    // A legacy client that wants a task of its own kind is answered with one soon, and with nothing else.
    const isTask = !isModern && JsonRpcPeek.member(message, ["params", "task"]) !== undefined
    if (method !== "tools/call" || isTask) return [toServer(message)]
    const asker = { id, isModern, sinceMs: nowMs }
    if (target === DetachTool.TOOL) return this.#fetch(message, asker)
    const call: Call = {
      number: this.#nextNumber(),
      token: progressToken === undefined ? undefined : RawRpc.idKey(progressToken),
      asker,
      handle: undefined,
      result: undefined,
      untilMs: undefined,
      task: hasTasks ? DetachedCall.task(nowMs, this.#kept(message)) : undefined
    }
    this.#calls.set(RawRpc.idKey(call.number), call)
    return [toServer(JsonSplice.replace(message, ["id"], call.number))]
  }

  fromServer(message: Uint8Array, nowMs: number): Outputs {
    const envelope = Result.getOrUndefined(JsonRpcPeek.peek(message))
    if (envelope?._tag === "Notification" && envelope.progressToken !== undefined) {
      const token = RawRpc.idKey(envelope.progressToken)
      const detached = [...this.#handles.values()].filter((call) => call.token === token && !isDone(call))
      const text = JsonRpcPeek.string(message, ["params", "message"])
      for (const { task } of detached)
        if (task?.status === "working") DetachedCall.changed(task, "working", nowMs, text)
      return detached.length > 0 ? [] : [toClient(message)]
    }
    if (envelope?._tag !== "Response") return [toClient(message)]
    const key = RawRpc.idKey(envelope.id)
    const watched = this.#watched.get(key)
    if (watched !== undefined) {
      this.#watched.delete(key)
      return [toClient(envelope.isError ? message : this.#changed(message, watched, nowMs))]
    }
    const call = this.#calls.get(key)
    if (call === undefined) return key.startsWith(`s${OWN_ID}`) ? [] : [toClient(message)]
    this.#calls.delete(key)
    return call.handle === undefined
      ? this.#direct(call, message)
      : this.#arrived(call, message, envelope.isError, nowMs)
  }

  deadlineMs(): number | undefined {
    let earliestMs: number | undefined
    const note = (atMs: number | undefined) => {
      if (atMs !== undefined) earliestMs = Math.min(earliestMs ?? Number.POSITIVE_INFINITY, atMs)
    }
    const isFull = this.#handles.size >= DETACHED_MAX
    for (const call of this.#calls.values()) if (call.handle !== undefined || !isFull) note(this.#dueAtMs(call))
    for (const { task, untilMs } of this.#handles.values()) {
      note(untilMs)
      note(task?.retryAtMs)
    }
    return earliestMs
  }

  timeout(nowMs: number): Outputs {
    const outputs: Array<Output> = []
    for (const call of [...this.#handles.values()]) {
      const { task, untilMs } = call
      if (task?.retryAtMs !== undefined && task.retryAtMs <= nowMs) outputs.push(...this.#again(call, task, nowMs))
      if (untilMs === undefined || untilMs > nowMs) continue
      if (!isDone(call)) outputs.push(toServer(RawRpc.cancelled(call.number, TOO_LONG)))
      outputs.push(...this.#stop(call, TOO_LONG))
    }
    for (const call of this.#calls.values()) {
      const dueAtMs = this.#dueAtMs(call)
      if (call.asker === undefined || dueAtMs === undefined || dueAtMs > nowMs) continue
      if (call.handle === undefined && this.#handles.size >= DETACHED_MAX) continue
      outputs.push(toClient(this.#detach(call, call.asker, nowMs)))
    }
    return outputs
  }

  closed(): Outputs {
    // What the client still waits for may finish; what it would fetch, nobody will. It vanished, and may park them.
    const running = [...this.#calls.values()].filter(({ handle }) => handle !== undefined)
    return running.map(({ number }) => toServer(RawRpc.cancelled(number)))
  }

  #dueAtMs({ asker }: Call): number | undefined {
    return asker === undefined || typeof this.#after !== "number" ? undefined : asker.sinceMs + this.#after
  }

  #watch(id: string, watched: "tools/list" | "server/discover" | Call): void {
    if (this.#watched.size < WATCHED_MAX) this.#watched.set(RawRpc.idKey(id), watched)
  }

  /** An answer of the server as the client shall see it. */
  #changed(message: Uint8Array, watched: "tools/list" | "server/discover" | Call, nowMs: number): Uint8Array {
    if (typeof watched === "object") {
      const status = JsonRpcPeek.string(message, ["result", "status"]) ?? ""
      if (!TaskExtension.isOpen(status)) watched.untilMs = nowMs + KEPT_MS
      return JsonSplice.replace(message, ["result", "taskId"], JSON.stringify(watched.handle))
    }
    if (typeof this.#after !== "number") return message
    return watched === "tools/list" ? DetachTool.listed(message) : TaskExtension.offered(message)
  }

  #kept(message: Uint8Array): Uint8Array | undefined {
    if (this.#keptBytes + message.length > KEPT_BYTES_MAX) return undefined
    this.#keptBytes += message.length
    return message.slice()
  }

  /** The answer to one that was never detached. */
  #direct(call: Call, message: Uint8Array): Outputs {
    this.#release(call)
    return call.asker === undefined ? [] : [toClient(JsonSplice.replace(message, ["id"], call.asker.id))]
  }

  #detach(call: Call, asker: DetachedCall.Asker, nowMs: number): Uint8Array {
    const { task } = call
    call.handle ??= task === undefined ? this.#options.random() : `${TASK}${this.#options.random()}`
    call.untilMs ??= nowMs + RUNNING_MS
    this.#handles.set(call.handle, call)
    call.asker = undefined
    return task === undefined
      ? DetachTool.said(asker.id, DetachTool.running(call.handle), false, asker.isModern)
      : TaskExtension.created(asker.id, this.#facts(call, task))
  }

  /** The answer to one that is detached. */
  #arrived(call: Call, message: Uint8Array, isError: boolean, nowMs: number): Outputs {
    const { asker, task } = call
    const type = isError ? undefined : JsonRpcPeek.string(message, ["result", "resultType"])
    if (task !== undefined) {
      if (task.status === "cancelled") return []
      if (type === "task") {
        task.serverTask = JsonRpcPeek.member(message, ["result", "taskId"])
        if (task.serverTask !== undefined) return []
      }
      if (type === "input_required" && DetachedCall.asked(task, message, nowMs)) return []
    }
    const said =
      type === "input_required" ? DetachTool.said("null", DetachTool.NEEDS_INPUT, true, true) : message.slice()
    if (task !== undefined) {
      const text = isError ? JsonRpcPeek.string(message, ["error", "message"]) : undefined
      DetachedCall.changed(task, isError ? "failed" : "completed", nowMs, text)
    }
    this.#keep(call, said, nowMs)
    call.asker = undefined
    return asker === undefined ? [] : [toClient(JsonSplice.replace(said, ["id"], asker.id))]
  }

  /** A request about a task; of others than ours it is for the server. */
  #task(message: Uint8Array, id: string, method: string, nowMs: number): Outputs {
    const handle = TaskExtension.idOf(message)
    if (handle?.startsWith(TASK) !== true) return [toServer(message)]
    if (!TaskExtension.isDeclared(message)) return [toClient(TaskExtension.undeclared(id))]
    const call = this.#handles.get(handle)
    if (call?.task === undefined) return [toClient(TaskExtension.unknown(id))]
    const { task } = call
    if (task.serverTask !== undefined && !isDone(call)) {
      if (method === "tasks/get") this.#watch(id, call)
      return [toServer(JsonSplice.replace(message, ["params", "taskId"], task.serverTask))]
    }
    if (method === "tasks/get")
      return [toClient(TaskExtension.told(id, this.#facts(call, task), DetachedCall.detail(call)))]
    const done = toClient(TaskExtension.acknowledged(id))
    if (method === "tasks/update") {
      return DetachedCall.answered(task, message) ? [...this.#again(call, task, nowMs), done] : [done]
    }
    if (isDone(call)) return [done]
    const isAtServer = this.#calls.delete(RawRpc.idKey(call.number))
    DetachedCall.changed(task, "cancelled", nowMs)
    call.untilMs = nowMs + KEPT_MS
    task.retryAtMs = undefined
    this.#release(call)
    return isAtServer ? [toServer(RawRpc.cancelled(call.number, STOPPED)), done] : [done]
  }

  /** Sends the request again, with what the client answered if it was asked. */
  #again(call: Call, task: DetachedCall.Task, nowMs: number): Outputs {
    call.number = this.#nextNumber()
    const request = DetachedCall.nextRound(task, call.number, nowMs)
    if (request === undefined) return []
    this.#calls.set(RawRpc.idKey(call.number), call)
    return [toServer(request)]
  }

  #facts(call: Call, task: DetachedCall.Task): TaskExtension.Facts {
    return {
      taskId: call.handle ?? "",
      status: task.status,
      statusMessage: task.message,
      createdAt: this.#options.instant(task.createdAtMs),
      lastUpdatedAt: this.#options.instant(task.updatedAtMs),
      ttlMs: Math.ceil((call.untilMs ?? task.createdAtMs) - task.createdAtMs),
      pollIntervalMs: POLL_MS
    }
  }

  /** Waits for the result as long as the client's clock allows. */
  #fetch(message: Uint8Array, asker: DetachedCall.Asker): Outputs {
    const { id, isModern } = asker
    const handle = JsonRpcPeek.string(message, ["params", "arguments", "handle"])
    const call = handle === undefined ? undefined : this.#handles.get(handle)
    if (call === undefined || call.task !== undefined)
      return [toClient(DetachTool.said(id, DetachTool.UNKNOWN, true, isModern))]
    if (call.result !== undefined) return [toClient(JsonSplice.replace(call.result, ["id"], id))]
    if (JsonRpcPeek.member(message, ["params", "arguments", "cancel"]) === "true") {
      const told = toClient(DetachTool.said(id, DetachTool.CANCELLED, false, isModern))
      return [toServer(RawRpc.cancelled(call.number, STOPPED)), ...this.#stop(call, DetachTool.CANCELLED), told]
    }
    if (call.asker !== undefined) return [toClient(DetachTool.said(id, DetachTool.ASKED, true, isModern))]
    call.asker = asker
    return []
  }

  /** A client that gives up a fetch leaves the call alone. */
  #cancel(message: Uint8Array, id: string): Outputs {
    const wanted = RawRpc.idKey(id)
    // Most servers do not answer it any more, and a late answer may pass as it is.
    this.#watched.delete(wanted)
    const call = [...this.#calls.values()].find(({ asker }) => asker !== undefined && RawRpc.idKey(asker.id) === wanted)
    if (call === undefined) return [toServer(message)]
    call.asker = undefined
    if (call.handle !== undefined) return []
    this.#calls.delete(RawRpc.idKey(call.number))
    this.#release(call)
    return [toServer(JsonSplice.replace(message, ["params", "requestId"], call.number))]
  }

  #keep(call: Call, result: Uint8Array, nowMs: number): void {
    this.#release(call)
    call.result = result
    call.untilMs = nowMs + KEPT_MS
    this.#keptBytes += result.length
    for (const old of [...this.#handles.values()]) {
      if (this.#keptBytes <= KEPT_BYTES_MAX) return
      if (old.result !== undefined && old !== call) this.#forget(old)
    }
  }

  /** The request is not sent again. */
  #release({ task }: Call): void {
    this.#keptBytes -= task?.kept?.length ?? 0
    if (task !== undefined) task.kept = undefined
  }

  /** The call has no result, and whoever waits for one is told why. */
  #stop(call: Call, why: string): Outputs {
    const { asker } = call
    this.#forget(call)
    return asker === undefined ? [] : [toClient(DetachTool.said(asker.id, why, true, asker.isModern))]
  }

  #forget(call: Call): void {
    this.#release(call)
    this.#keptBytes -= call.result?.length ?? 0
    if (call.handle !== undefined) this.#handles.delete(call.handle)
    this.#calls.delete(RawRpc.idKey(call.number))
  }

  #nextNumber(): string {
    return JSON.stringify(`${OWN_ID}${++this.#count}`)
  }
}

const isDone = ({ result, task }: Call): boolean => result !== undefined || task?.status === "cancelled"

/** Why a call is cancelled: without a reason it might be parked. */
const STOPPED = "Its client stopped the call."
const TOO_LONG = "A call may take 24 hours."
const OWN_ID = "dev.effect-pilot/call-"
/** How ids of tasks begin; those of servers pass. */
const TASK = "effect-pilot-task-"
/** What a client of tasks is told to wait between two looks. */
const POLL_MS = 2000
/** Calls that were answered with a handle, running or done. */
const DETACHED_MAX = 64
/** How long a result waits to be fetched (mcp §6.7). */
const KEPT_MS = 600_000
/** Results, and requests of tasks that may be sent again, together. */
const KEPT_BYTES_MAX = 16_777_216
/** The most that any call may take (mcp §6.7). */
const RUNNING_MS = 86_400_000
/** Unanswered requests whose answers are changed; those beyond are passed on as they are. */
const WATCHED_MAX = 256

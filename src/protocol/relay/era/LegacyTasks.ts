/**
 * Tasks of a legacy client at a modern server that has the extension (mcp §1.6, §6.6): the client asks for one with each call,
 * and waits for its result with `tasks/result`, which asks what the server wants to know meanwhile. A call that the server
 * answers at once is a task that is done.
 *
 * Pure; mutable inside the `LegacyClientBridge` that owns it. Keys are those of raw ids.
 */
import * as Bytes from "../../../core/data/Bytes.ts"
import * as Json from "../../../core/data/Json.ts"
import * as JsonEdit from "../JsonEdit.ts"
import * as JsonRpcPeek from "../JsonRpcPeek.ts"
import * as JsonSplice from "../JsonSplice.ts"
import * as TaskExtension from "../TaskExtension.ts"
import * as ClientInput from "./ClientInput.ts"
import { type Outputs, OWN_ID, toClient, toServer } from "./EraTranslator.ts"
import * as LegacyResult from "./LegacyResult.ts"
import * as LegacyTaskText from "./LegacyTaskText.ts"
import * as RawRpc from "./RawRpc.ts"

/** What the bridge gives. */
export interface Options {
  /** A request as the server wants it, with the extension declared. */
  readonly modern: (request: Uint8Array) => Uint8Array
  /** An instant of the monotonic clock as ISO 8601. */
  readonly instant: (atMs: number) => string
  /** A text that no other session gives: clients keep ids of tasks for longer than a session lives. */
  readonly random: () => string
  /** What the client can be asked. */
  readonly capabilities: () => Json.JsonObject
}

/** One session. */
export class LegacyTasks {
  readonly #options: Options
  /** By id, oldest first. */
  readonly #tasks = new Map<string, Known>()
  /** Our requests at the server. */
  readonly #asked = new Map<string, Asked>()
  /** By the key of the client's `tasks/result`. */
  readonly #waiting = new Map<string, Waiter>()
  readonly #questions = new Map<string, Question>()
  #count = 0
  #keptBytes = 0

  constructor(options: Options) {
    this.#options = options
  }

  /** The answer of the server to a call of the client that asked for a task; `id` is the client's. */
  created(id: string, answer: Uint8Array, nowMs: number): Uint8Array {
    const isTask = JsonRpcPeek.string(answer, ["result", "resultType"]) === "task"
    const theirs = isTask ? LegacyTaskText.ofModern(answer) : undefined
    if (theirs !== undefined) {
      this.#remember(theirs, undefined)
      return LegacyTaskText.created(id, theirs)
    }
    const at = this.#options.instant(nowMs)
    const done: LegacyTaskText.Task = {
      taskId: `${DONE}${this.#options.random()}`,
      status: "completed",
      statusMessage: undefined,
      createdAt: at,
      lastUpdatedAt: at,
      ttl: null,
      pollInterval: undefined
    }
    this.#remember(done, answer.slice())
    return LegacyTaskText.created(id, done)
  }

  /** A request of the client about its tasks; undefined if it is none. */
  request(message: Uint8Array, { id, method }: { readonly id: string; readonly method: string }): Outputs | undefined {
    if (!METHODS.has(method)) return undefined
    if (method === "tasks/list")
      return [
        toClient(
          LegacyTaskText.listed(
            id,
            [...this.#tasks.values()].map(({ task }) => task)
          )
        )
      ]
    const taskId = TaskExtension.idOf(message)
    if (taskId === undefined) return [toClient(TaskExtension.unknown(id))]
    const known = this.#tasks.get(taskId)
    if (known?.answer !== undefined) return [toClient(ofDone(id, method, known.task, known.answer))]
    if (taskId.startsWith(DONE)) return [toClient(TaskExtension.unknown(id))]
    if (method === "tasks/result") {
      const waiter: Waiter = { id, taskId, heard: new Set(), open: new Map(), dueAtMs: undefined }
      this.#waiting.set(RawRpc.idKey(id), waiter)
      return [this.#ask("tasks/get", taskId, { _tag: "Result", waiter })]
    }
    return [this.#ask(method, taskId, { _tag: method === "tasks/cancel" ? "Cancel" : "Get", id, isCancelled: false })]
  }

  /** Whether that is the id of a request of ours. */
  owns(key: string): boolean {
    return this.#asked.has(key)
  }

  /** The server's answer to a request of ours. */
  answered(key: string, message: Uint8Array, isError: boolean, nowMs: number): Outputs {
    const asked = this.#asked.get(key)
    this.#asked.delete(key)
    if (asked === undefined || asked.why._tag === "Update") return []
    const { taskId, why } = asked
    const task = isError ? undefined : LegacyTaskText.ofModern(message)
    if (task !== undefined) this.#remember(task, undefined)
    if (why._tag === "Result") return this.#stands(why.waiter, task, message, nowMs)
    const { id, isCancelled } = why
    if (isError) return [toClient(LegacyResult.refusal(JsonSplice.replace(message, ["id"], id), "tasks/get"))]
    if (why._tag === "Cancel") return [this.#ask("tasks/get", taskId, { _tag: "Get", id, isCancelled: true })]
    if (task === undefined) return [toClient(TaskExtension.unknown(id))]
    // A legacy receiver has done it when it says so.
    const status = isCancelled && TaskExtension.isOpen(task.status) ? "cancelled" : task.status
    return [toClient(LegacyTaskText.told(id, { ...task, status }))]
  }

  /** The client's answer to a question of a task; undefined if it is to another one. */
  inputGiven(key: string, message: Uint8Array, isError: boolean): Outputs | undefined {
    const question = this.#questions.get(key)
    if (question === undefined) return undefined
    this.#questions.delete(key)
    const { method, name, waiter } = question
    if (isError && method !== "elicitation/create") {
      const error = JsonRpcPeek.member(message, ["error"]) ?? "null"
      return [
        ...this.#finish(waiter, RawRpc.rawFailure(waiter.id, error)),
        this.#ask("tasks/cancel", waiter.taskId, { _tag: "Update" })
      ]
    }
    // A person who cannot be asked is one who does not answer.
    const given = isError ? '{"action":"cancel"}' : (JsonRpcPeek.member(message, ["result"]) ?? "{}")
    waiter.open.set(name, given)
    const answers = [...waiter.open]
    if (answers.some(([, answer]) => answer === undefined)) return []
    waiter.open.clear()
    const inputs = `{${answers.map(([answeredName, answer]) => `${JSON.stringify(answeredName)}:${answer}`).join(",")}}`
    return [this.#ask("tasks/update", waiter.taskId, { _tag: "Update" }, ["inputResponses", inputs])]
  }

  /** The client gives a `tasks/result` up; undefined if it is none. */
  cancelled(key: string): Outputs | undefined {
    const waiter = this.#waiting.get(key)
    return waiter === undefined ? undefined : this.#finish(waiter, undefined)
  }

  deadlineMs(): number | undefined {
    let earliestMs: number | undefined
    for (const { dueAtMs } of this.#waiting.values()) {
      if (dueAtMs !== undefined) earliestMs = Math.min(earliestMs ?? Number.POSITIVE_INFINITY, dueAtMs)
    }
    return earliestMs
  }

  timeout(nowMs: number): Outputs {
    const due = [...this.#waiting.values()].filter(({ dueAtMs }) => dueAtMs !== undefined && dueAtMs <= nowMs)
    return due.map((waiter) => {
      waiter.dueAtMs = undefined
      return this.#ask("tasks/get", waiter.taskId, { _tag: "Result", waiter })
    })
  }

  /** How a task stands whose result the client waits for. */
  #stands(waiter: Waiter, task: LegacyTaskText.Task | undefined, message: Uint8Array, nowMs: number): Outputs {
    const { id, taskId } = waiter
    if (!this.#waiting.has(RawRpc.idKey(id))) return []
    if (task === undefined) return this.#finish(waiter, JsonSplice.replace(message, ["id"], id))
    switch (task.status) {
      case "completed": {
        const result = RawRpc.result(id, JsonRpcPeek.member(message, ["result", "result"]) ?? "{}")
        return this.#finish(waiter, LegacyTaskText.related(LegacyResult.of(result, "tools/call"), "result", taskId))
      }
      case "failed":
        return this.#finish(waiter, RawRpc.rawFailure(id, JsonRpcPeek.member(message, ["result", "error"]) ?? "{}"))
      case "cancelled":
        return this.#finish(waiter, RawRpc.failure(id, -32603, "The task was cancelled."))
      default:
        waiter.dueAtMs = nowMs + Math.min(POLL_MAX_MS, Math.max(POLL_MIN_MS, task.pollInterval ?? POLL_MS))
        return task.status === "input_required" ? this.#questioned(waiter, message) : []
    }
  }

  /** Asks the client what it has not been asked yet. */
  #questioned(waiter: Waiter, message: Uint8Array): Outputs {
    if (waiter.open.size > 0) return []
    const requests = JsonEdit.members(message, ["result", "inputRequests"]) ?? []
    const fresh = requests.filter(({ key }) => !waiter.heard.has(key)).slice(0, ClientInput.QUESTIONS_MAX)
    const offered = this.#options.capabilities()
    const asked = fresh.map(({ key, raw }) => {
      const request = Bytes.fromUtf8(raw)
      const params = JsonRpcPeek.member(request, ["params"]) ?? "{}"
      const method = JsonRpcPeek.string(request, ["method"]) ?? ""
      const required = ClientInput.requiredBy(method, Json.parseObject(params) ?? {})
      return { key, method, params, isOffered: required !== undefined && ClientInput.isOffered(offered, required) }
    })
    const foreign = asked.find(({ isOffered }) => !isOffered)
    if (foreign !== undefined || waiter.heard.size + asked.length > HEARD_MAX) {
      const text = `The server asks for ${foreign?.method ?? "more and more"}, which this client does not offer.`
      const stop = this.#ask("tasks/cancel", waiter.taskId, { _tag: "Update" })
      return [...this.#finish(waiter, RawRpc.failure(waiter.id, -32603, text)), stop]
    }
    return asked.map(({ key, method, params }) => {
      const id = this.#nextId()
      waiter.heard.add(key)
      waiter.open.set(key, undefined)
      this.#questions.set(RawRpc.idKey(id), { id, method, name: key, waiter })
      const question = ClientInput.legacyRequest(id, method, params)
      return toClient(LegacyTaskText.related(question, "params", waiter.taskId))
    })
  }

  /** The wait is over; questions that the client has not answered are taken back. */
  #finish(waiter: Waiter, answer: Uint8Array | undefined): Outputs {
    this.#waiting.delete(RawRpc.idKey(waiter.id))
    const open = [...this.#questions].filter(([, question]) => question.waiter === waiter)
    for (const [key] of open) this.#questions.delete(key)
    const withdrawn = open.map(([, { id }]) => toClient(RawRpc.cancelled(id)))
    return answer === undefined ? withdrawn : [...withdrawn, toClient(answer)]
  }

  #ask(method: string, taskId: string, why: Why, more?: readonly [key: string, raw: string]) {
    const id = this.#nextId()
    this.#asked.set(RawRpc.idKey(id), { why, taskId })
    const params = JSON.stringify({ taskId })
    const request = RawRpc.request(id, method, params)
    return toServer(this.#options.modern(more === undefined ? request : JsonEdit.set(request, ["params"], [more])))
  }

  #remember(task: LegacyTaskText.Task, answer: Uint8Array | undefined): void {
    this.#forget(task.taskId)
    this.#tasks.set(task.taskId, { task, answer })
    this.#keptBytes += answer?.length ?? 0
    for (const oldest of [...this.#tasks.keys()]) {
      if (this.#tasks.size <= TASKS_MAX && this.#keptBytes <= KEPT_BYTES_MAX) return
      if (oldest !== task.taskId) this.#forget(oldest)
    }
  }

  #forget(taskId: string): void {
    this.#keptBytes -= this.#tasks.get(taskId)?.answer?.length ?? 0
    this.#tasks.delete(taskId)
  }

  #nextId(): string {
    return JSON.stringify(`${OWN_ID}task-${++this.#count}`)
  }
}

/** What a legacy client hears about a call that was answered at once. */
const ofDone = (id: string, method: string, task: LegacyTaskText.Task, answer: Uint8Array): Uint8Array => {
  if (method === "tasks/get") return LegacyTaskText.told(id, task)
  if (method === "tasks/cancel") return RawRpc.failure(id, -32602, "The task is over.")
  const result = LegacyResult.of(JsonSplice.replace(answer, ["id"], id), "tools/call")
  return LegacyTaskText.related(result, "result", task.taskId)
}

interface Known {
  readonly task: LegacyTaskText.Task
  /** What the server answered at once; then it knows nothing of a task. */
  readonly answer: Uint8Array | undefined
}

interface Asked {
  readonly why: Why
  readonly taskId: string
}

/** Why the server was asked; for the answer to an update nobody waits. */
type Why =
  | { readonly _tag: "Result"; readonly waiter: Waiter }
  | { readonly _tag: "Get" | "Cancel"; readonly id: string; readonly isCancelled: boolean }
  | { readonly _tag: "Update" }

interface Waiter {
  /** Raw text, of the client. */
  readonly id: string
  readonly taskId: string
  /** Questions that it was asked; a server repeats them until they are answered. */
  readonly heard: Set<string>
  /** Those of now, with their answers. */
  readonly open: Map<string, string | undefined>
  dueAtMs: number | undefined
}

interface Question {
  readonly id: string
  readonly method: string
  readonly name: string
  readonly waiter: Waiter
}

const METHODS: ReadonlySet<string> = new Set(["tasks/get", "tasks/result", "tasks/cancel", "tasks/list"])
/** How ids of tasks begin that the server never made. */
const DONE = "effect-pilot-done-"
/** Tasks that are listed; results of those that were done at once, together. */
const TASKS_MAX = 256
const KEPT_BYTES_MAX = 16_777_216
/** Questions of one task. */
const HEARD_MAX = 160
/** Between two looks at a task whose result is waited for: as the server wants, within bounds. */
const POLL_MS = 1000
const POLL_MIN_MS = 100
const POLL_MAX_MS = 10_000

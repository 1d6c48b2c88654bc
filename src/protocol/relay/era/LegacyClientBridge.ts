/**
 * A legacy client before a server that speaks only the modern revision (mcp §6.6, left column): every request gets the
 * `_meta` that a modern one needs, questions in results become requests to the client, and changes come from one listen.
 *
 * Pure; mutable inside the session that owns it. It holds at most the calls that the session has in flight, and of those
 * that may be asked again at most `KEPT_BYTES_MAX`.
 */
import { Result } from "effect"
import * as Bytes from "../../../core/data/Bytes.ts"
import * as Json from "../../../core/data/Json.ts"
import * as JsonEdit from "../JsonEdit.ts"
import * as JsonRpcPeek from "../JsonRpcPeek.ts"
import * as JsonSplice from "../JsonSplice.ts"
import * as ClientInput from "./ClientInput.ts"
import * as DiscoverText from "./DiscoverText.ts"
import {
  type EraTranslator,
  INTERACTIVE,
  KEY,
  LOG_LEVELS,
  META,
  MODERN,
  type Outputs,
  OWN_ID,
  toClient,
  toServer
} from "./EraTranslator.ts"
import * as InputRetry from "./InputRetry.ts"
import { begun, type Call, type Question } from "./LegacyCall.ts"
import * as LegacyResult from "./LegacyResult.ts"
import { LegacyTasks } from "./LegacyTasks.ts"
import * as LegacyTaskText from "./LegacyTaskText.ts"
import { ListenKeeper, untagged } from "./ListenKeeper.ts"
import * as RawRpc from "./RawRpc.ts"

/** What opened the session. */
export interface Options {
  /** The client's `initialize`. */
  readonly initialize: Uint8Array
  /** The server's answer to `server/discover`. */
  readonly discovered: Uint8Array
  /** What the server is called if it does not say. */
  readonly name: string
  /** An instant of the monotonic clock as ISO 8601. */
  readonly instant: (atMs: number) => string
  /** A text that no other session gives. */
  readonly random: () => string
}

/** One session. `opened` is the answer to `initialize`. */
export class LegacyClientBridge implements EraTranslator {
  readonly #options: Options
  readonly #listen: ListenKeeper
  /** By the key of the id that the request has at the server. */
  readonly #calls = new Map<string, Call>()
  /** By the key of the id that the question has at the client. */
  readonly #questions = new Map<string, Question>()
  /** Undefined if the server has no tasks. */
  readonly #tasks: LegacyTasks | undefined
  #client: DiscoverText.Client
  #logLevel: string | undefined
  #count = 0
  #keptBytes = 0

  constructor(options: Options) {
    this.#options = options
    this.#client = DiscoverText.clientOf(options.initialize)
    this.#listen = new ListenKeeper({
      capabilities: DiscoverText.capabilities(options.discovered),
      modern: (message) => this.#modern(message, false)
    })
    this.#tasks = LegacyTaskText.isOffered(options.discovered)
      ? new LegacyTasks({
          modern: (message) => this.#modern(message, true),
          instant: options.instant,
          random: options.random,
          capabilities: () => Json.parseObject(this.#client.capabilities) ?? {}
        })
      : undefined
  }

  /** What the client gets for its `initialize`. */
  opened(): Outputs {
    const id = JsonRpcPeek.member(this.#options.initialize, ["id"]) ?? "null"
    return [toClient(this.#initialized(id, this.#options.initialize))]
  }

  fromClient(message: Uint8Array, nowMs: number): Outputs {
    const envelope = Result.getOrUndefined(JsonRpcPeek.peek(message))
    switch (envelope?._tag) {
      case "Batch":
        return (JsonSplice.elements(message) ?? []).flatMap((element) => this.fromClient(element, nowMs))
      case "Request":
        return this.#request(message, envelope)
      case "Notification":
        return this.#notification(message, envelope)
      case "Response":
        return (
          this.#tasks?.inputGiven(RawRpc.idKey(envelope.id), message, envelope.isError) ??
          this.#answered(message, envelope)
        )
      default:
        return [toServer(message)]
    }
  }

  fromServer(message: Uint8Array, nowMs: number): Outputs {
    const envelope = Result.getOrUndefined(JsonRpcPeek.peek(message))
    if (envelope?._tag === "Batch") {
      return (JsonSplice.elements(message) ?? []).flatMap((element) => this.fromServer(element, nowMs))
    }
    if (envelope?._tag === "Request") {
      return [toServer(RawRpc.failure(envelope.id, -32601, "A server of this revision sends no requests."))]
    }
    if (envelope?._tag === "Notification") return this.#told(message, envelope, nowMs)
    if (envelope?._tag !== "Response") return [toClient(message)]
    const key = RawRpc.idKey(envelope.id)
    if (this.#listen.owns(key)) {
      const code = envelope.isError ? Number(JsonRpcPeek.member(message, ["error", "code"])) : undefined
      return this.#listen.ended(key, code, nowMs)
    }
    if (this.#tasks?.owns(key) === true) return this.#tasks.answered(key, message, envelope.isError, nowMs)
    const call = this.#calls.get(key)
    // The late answer to a call that the client has given up, or one to a request of ours.
    if (call === undefined) return key.startsWith(`s${OWN_ID}`) ? [] : [toClient(message)]
    this.#calls.delete(key)
    const isQuestion = !envelope.isError && JsonRpcPeek.string(message, ["result", "resultType"]) === "input_required"
    if (isQuestion && INTERACTIVE.has(call.method)) return this.#ask(call, message, nowMs)
    this.#forget(call)
    const addressed = call.serverId === call.id ? message : JsonSplice.replace(message, ["id"], call.id)
    if (envelope.isError) return [toClient(LegacyResult.refusal(addressed, call.method))]
    if (call.isTask && this.#tasks !== undefined) return [toClient(this.#tasks.created(call.id, addressed, nowMs))]
    const result = LegacyResult.of(addressed, call.method)
    const isOffer = call.method === "tools/list" && this.#tasks !== undefined
    return [toClient(isOffer ? LegacyTaskText.offering(result) : result)]
  }

  deadlineMs(): number | undefined {
    const retries = [...this.#calls.values()].map(({ retryAtMs }) => retryAtMs)
    const instants = [this.#listen.deadlineMs(), this.#tasks?.deadlineMs(), ...retries]
    const earliestMs = Math.min(...instants.map((atMs) => atMs ?? Number.POSITIVE_INFINITY))
    return Number.isFinite(earliestMs) ? earliestMs : undefined
  }

  timeout(nowMs: number): Outputs {
    const due = [...this.#calls.values()].filter(({ retryAtMs }) => retryAtMs !== undefined && retryAtMs <= nowMs)
    const retried = due.flatMap((call) => this.#retry(call))
    return [...retried, ...this.#listen.timeout(nowMs), ...(this.#tasks?.timeout(nowMs) ?? [])]
  }

  closed(): Outputs {
    return this.#listen.close()
  }

  #initialized(id: string, initialize: Uint8Array): Uint8Array {
    const { discovered, name } = this.#options
    const tasks = this.#tasks === undefined ? undefined : LegacyTaskText.CAPABILITY
    return RawRpc.result(id, DiscoverText.initializeResult(initialize, discovered, name, tasks))
  }

  #request(message: Uint8Array, envelope: Extract<JsonRpcPeek.Envelope, { _tag: "Request" }>): Outputs {
    const { id, method, target } = envelope
    switch (method) {
      case "initialize":
        this.#client = DiscoverText.clientOf(message)
        return [toClient(this.#initialized(id, message))]
      case "ping":
        return [toClient(RawRpc.result(id, "{}"))]
      case "logging/setLevel": {
        const level = JsonRpcPeek.string(message, ["params", "level"])
        if (level === undefined || !LOG_LEVELS.includes(level)) {
          return [toClient(RawRpc.failure(id, -32602, "This is no log level."))]
        }
        this.#logLevel = level
        return [toClient(RawRpc.result(id, "{}"))]
      }
      case "resources/subscribe":
      case "resources/unsubscribe":
        return this.#listen.subscribe(id, target, method === "resources/subscribe")
    }
    const aboutTask = this.#tasks?.request(message, envelope)
    if (aboutTask !== undefined) return aboutTask
    const isTask =
      method === "tools/call" &&
      this.#tasks !== undefined &&
      JsonRpcPeek.member(message, ["params", "task"]) !== undefined
    const modern = this.#modern(message, isTask)
    const isKept = INTERACTIVE.has(method) && this.#keptBytes + modern.length <= KEPT_BYTES_MAX
    const kept = isKept ? modern.slice() : undefined
    this.#keptBytes += kept?.length ?? 0
    this.#calls.set(RawRpc.idKey(id), begun(id, method, isTask, kept))
    return [toServer(modern)]
  }

  /** The request as a modern server wants it: with revision, capabilities, client and log level, without a `task`. */
  #modern(message: Uint8Array, hasTasks: boolean): Uint8Array {
    const { capabilities, info } = this.#client
    return JsonEdit.remove(
      JsonEdit.set(message, META, [
        [KEY.version, JSON.stringify(MODERN)],
        [KEY.capabilities, hasTasks ? LegacyTaskText.declaring(capabilities) : capabilities],
        ...(info === undefined ? [] : [[KEY.clientInfo, info] as const]),
        ...(this.#logLevel === undefined ? [] : [[KEY.logLevel, JSON.stringify(this.#logLevel)] as const])
      ]),
      ["params"],
      ["task"]
    )
  }

  #notification(message: Uint8Array, envelope: Extract<JsonRpcPeek.Envelope, { _tag: "Notification" }>): Outputs {
    switch (envelope.method) {
      case "notifications/initialized":
        return this.#listen.start()
      case "notifications/roots/list_changed":
      case "notifications/progress":
        return []
      case "notifications/cancelled":
        return envelope.cancels === undefined ? [] : this.#cancel(message, envelope.cancels)
      default:
        return [toServer(message)]
    }
  }

  #cancel(message: Uint8Array, id: string): Outputs {
    const wanted = RawRpc.idKey(id)
    const waited = this.#tasks?.cancelled(wanted)
    if (waited !== undefined) return waited
    const call = [...this.#calls.values(), ...[...this.#questions.values()].map((question) => question.call)].find(
      (candidate) => RawRpc.idKey(candidate.id) === wanted
    )
    if (call === undefined) return [toServer(message)]
    const isAtServer = this.#calls.delete(RawRpc.idKey(call.serverId)) && call.retryAtMs === undefined
    this.#forget(call)
    return isAtServer
      ? [toServer(JsonSplice.replace(message, ["params", "requestId"], call.serverId))]
      : this.#withdraw(call)
  }

  /** Takes back the questions that the client has not answered. */
  #withdraw(call: Call): Outputs {
    const ids = [...call.open.values()].flatMap(({ answer, id }) => (answer === undefined ? [id] : []))
    for (const id of ids) this.#questions.delete(RawRpc.idKey(id))
    return ids.map((id) => toClient(RawRpc.cancelled(id)))
  }

  #ask(call: Call, message: Uint8Array, nowMs: number): Outputs {
    const requests = JsonEdit.members(message, ["result", "inputRequests"]) ?? []
    call.state = JsonRpcPeek.member(message, ["result", "requestState"])
    call.open = new Map()
    if (call.kept === undefined) return this.#fail(call, "The request is too large to be asked again with answers.")
    if (++call.rounds > ClientInput.ROUNDS_MAX) return this.#fail(call, "The server asks again and again.")
    if (requests.length > ClientInput.QUESTIONS_MAX) return this.#fail(call, "The server asks too much at once.")
    if (requests.length === 0) {
      call.serverId = JSON.stringify(`${OWN_ID}${++this.#count}`)
      call.retryAtMs = nowMs + InputRetry.pauseMs(call.rounds)
      this.#calls.set(RawRpc.idKey(call.serverId), call)
      return []
    }
    const asked = requests.map(({ key, raw }) => {
      const request = Bytes.fromUtf8(raw)
      const params = JsonRpcPeek.member(request, ["params"]) ?? "{}"
      return { key, params, method: JsonRpcPeek.string(request, ["method"]) ?? "" }
    })
    const offered = Json.parseObject(this.#client.capabilities) ?? {}
    const foreign = asked.find(({ method, params }) => {
      const required = ClientInput.requiredBy(method, Json.parseObject(params) ?? {})
      return required === undefined || !ClientInput.isOffered(offered, required)
    })
    if (foreign !== undefined) {
      return this.#fail(call, `The server asks for ${foreign.method}, which this client does not offer.`)
    }
    return asked.map(({ key, method, params }) => {
      const id = String(++this.#count)
      const question = { id, key, method, call, answer: undefined }
      call.open.set(key, question)
      this.#questions.set(RawRpc.idKey(id), question)
      return toClient(ClientInput.legacyRequest(id, method, params))
    })
  }

  #answered(message: Uint8Array, envelope: Extract<JsonRpcPeek.Envelope, { _tag: "Response" }>): Outputs {
    const key = RawRpc.idKey(envelope.id)
    const question = this.#questions.get(key)
    if (question === undefined) return []
    this.#questions.delete(key)
    const { call, method } = question
    if (!envelope.isError) question.answer = JsonRpcPeek.member(message, ["result"]) ?? "{}"
    // A person who cannot be asked is one who does not answer.
    else if (method === "elicitation/create") question.answer = '{"action":"cancel"}'
    else {
      const withdrawn = this.#withdraw(call)
      this.#forget(call)
      const error = JsonRpcPeek.member(message, ["error"]) ?? "null"
      return [...withdrawn, toClient(RawRpc.rawFailure(call.id, error))]
    }
    if ([...call.open.values()].some(({ answer }) => answer === undefined)) return []
    call.serverId = JSON.stringify(`${OWN_ID}${++this.#count}`)
    this.#calls.set(RawRpc.idKey(call.serverId), call)
    return this.#retry(call)
  }

  #retry(call: Call): Outputs {
    call.retryAtMs = undefined
    if (call.kept === undefined) return []
    const answers = [...call.open.values()].map(({ answer, key }) => [key, answer ?? "{}"] as const)
    return [toServer(InputRetry.of(call.kept, call.serverId, answers, call.state))]
  }

  #fail(call: Call, message: string): Outputs {
    const withdrawn = this.#withdraw(call)
    this.#forget(call)
    return [...withdrawn, toClient(RawRpc.failure(call.id, -32603, message))]
  }

  #forget(call: Call): void {
    this.#keptBytes -= call.kept?.length ?? 0
    call.kept = undefined
  }

  #told(
    message: Uint8Array,
    envelope: Extract<JsonRpcPeek.Envelope, { _tag: "Notification" }>,
    nowMs: number
  ): Outputs {
    const tag = JsonRpcPeek.member(message, [...META, KEY.subscriptionId])
    const key = tag === undefined || !/^["\d-]/.test(tag) ? undefined : RawRpc.idKey(tag)
    if (envelope.method === "notifications/subscriptions/acknowledged") {
      return key === undefined ? [] : this.#listen.acknowledged(key)
    }
    if (envelope.method === "notifications/cancelled") {
      const cancelled = envelope.cancels === undefined ? "" : RawRpc.idKey(envelope.cancels)
      return this.#listen.owns(cancelled) ? this.#listen.ended(cancelled, undefined, nowMs) : []
    }
    return [toClient(tag === undefined ? message : untagged(message))]
  }
}

/** Requests kept for another round, together; what is larger cannot be asked for input. */
const KEPT_BYTES_MAX = 16_777_216

/**
 * A client that speaks only the modern revision before a legacy server (mcp §6.6, right column): the server is opened with
 * the capabilities of the first request, its own requests become questions in results, and changes go to listens.
 *
 * Pure; mutable inside the session that owns it. Calls, questions, listens and what waits for the opening are bounded. A
 * call whose questions nobody answers for ten minutes is cancelled at the server.
 */
import { Result } from "effect"
import * as Json from "../../../core/data/Json.ts"
import * as BridgeError from "../BridgeError.ts"
import * as JsonRpcPeek from "../JsonRpcPeek.ts"
import * as JsonSplice from "../JsonSplice.ts"
import * as DiscoverText from "./DiscoverText.ts"
import {
  type EraTranslator,
  INTERACTIVE,
  KEY,
  LEGACY,
  LOG_LEVELS,
  META,
  MODERN,
  type Outputs,
  OWN_ID,
  toClient,
  toServer
} from "./EraTranslator.ts"
import { InputRounds } from "./InputRounds.ts"
import * as ModernCall from "./ModernCall.ts"
import * as ModernRequest from "./ModernRequest.ts"
import { OpenListens } from "./OpenListens.ts"
import * as RawRpc from "./RawRpc.ts"
import * as RequestState from "./RequestState.ts"

/** What a session is made with. */
export interface Options {
  readonly peer: string
  readonly service: string
  readonly seal: RequestState.Seal
  /**
   * Several clients share the session, as they do over HTTP: a question of the server is passed on only if it can be
   * meant for one of them alone.
   */
  readonly isShared: boolean
}

/** One session. */
export class ModernClientBridge implements EraTranslator {
  readonly #options: Options
  readonly #listens = new OpenListens()
  readonly #rounds: InputRounds
  /** By their number at the server. */
  readonly #calls = new Map<string, ModernCall.ModernCall>()
  #opening: Opening = { _tag: "Closed" }
  #count: number
  #logLevel: number | undefined

  /** Requests are numbered from the one after `lastNumber` on. */
  constructor(options: Options, lastNumber = 0) {
    this.#options = options
    this.#count = lastNumber
    this.#rounds = new InputRounds(options)
  }

  fromClient(message: Uint8Array, nowMs: number): Outputs {
    const envelope = Result.getOrUndefined(JsonRpcPeek.peek(message))
    if (envelope?._tag === "Notification") {
      return envelope.cancels === undefined ? [] : this.#cancel(message, envelope.cancels)
    }
    if (envelope?._tag === "Batch")
      return [toClient(RawRpc.failure("null", -32600, "This revision has no arrays of messages."))]
    if (envelope?._tag !== "Request") return []
    const refused = ModernRequest.problem(message, envelope)
    if (refused !== undefined) return [toClient(refused)]
    if (this.#opening._tag === "Open") return this.#request(message, envelope, this.#opening, nowMs)
    return this.#hold(message, envelope)
  }

  fromServer(message: Uint8Array, nowMs: number): Outputs {
    const envelope = Result.getOrUndefined(JsonRpcPeek.peek(message))
    switch (envelope?._tag) {
      case "Batch":
        return (JsonSplice.elements(message) ?? []).flatMap((element) => this.fromServer(element, nowMs))
      case "Request":
        return this.#asked(message, envelope, nowMs)
      case "Notification":
        return this.#told(message, envelope)
      case "Response":
        return this.#answered({ message, isError: envelope.isError }, envelope.id, nowMs)
      default:
        return []
    }
  }

  deadlineMs(): number | undefined {
    return this.#rounds.deadlineMs()
  }

  timeout(nowMs: number): Outputs {
    return this.#rounds.expired(nowMs).flatMap((call) => this.#giveUp(call))
  }

  closed(): Outputs {
    return []
  }

  /** Keeps the message until the server is open; the first one opens it. */
  #hold(message: Uint8Array, { id }: Request): Outputs {
    if (this.#opening._tag === "Opening") {
      const { held } = this.#opening
      if (held.length >= HELD_MAX || this.#opening.heldBytes + message.length > HELD_BYTES_MAX) {
        return [
          toClient(RawRpc.failure(id, BridgeError.CODE.overloaded, "Too much waits for the opening of the server."))
        ]
      }
      held.push(message.slice())
      this.#opening.heldBytes += message.length
      return []
    }
    const number = this.#own()
    const client = DiscoverText.clientOfRequest(message)
    this.#opening = { _tag: "Opening", key: RawRpc.idKey(number), held: [message.slice()], heldBytes: message.length }
    return [toServer(RawRpc.request(number, "initialize", DiscoverText.initializeParams(client)))]
  }

  #opened(opening: Extract<Opening, { _tag: "Opening" }>, answer: ModernCall.Answer, nowMs: number): Outputs {
    const ids = opening.held.flatMap((message) => JsonRpcPeek.member(message, ["id"]) ?? [])
    this.#opening = { _tag: "Closed" }
    if (answer.isError) {
      const error = JsonRpcPeek.member(answer.message, ["error"]) ?? "null"
      return ids.map((id) => toClient(RawRpc.rawFailure(id, error)))
    }
    const spoken = JsonRpcPeek.string(answer.message, ["result", "protocolVersion"]) ?? ""
    if (!LEGACY.includes(spoken)) {
      const data = { supported: [spoken], requested: MODERN }
      return ids.map((id) => toClient(RawRpc.failure(id, -32022, `The server speaks ${spoken}.`, data)))
    }
    const result = Json.parseObject(JsonRpcPeek.member(answer.message, ["result"]) ?? "{}") ?? {}
    const capabilities = Json.member(result, "capabilities")
    this.#opening = {
      _tag: "Open",
      discovered: DiscoverText.discoverResult(answer.message),
      capabilities: Json.isObject(capabilities) ? capabilities : {},
      serverInfo: JsonRpcPeek.member(answer.message, ["result", "serverInfo"])
    }
    return [
      toServer(RawRpc.notification("notifications/initialized", "{}")),
      ...opening.held.flatMap((message) => this.fromClient(message, nowMs))
    ]
  }

  #request(message: Uint8Array, { id, method, progressToken }: Request, open: Open, nowMs: number): Outputs {
    if (method === "server/discover") return [toClient(RawRpc.result(id, open.discovered))]
    if (method === "ping") return [toClient(RawRpc.result(id, "{}"))]
    if (method === "subscriptions/listen") {
      return this.#listens.open(id, message, open.capabilities, () => this.#own())
    }
    const digest = INTERACTIVE.has(method) ? RequestState.digestOf(this.#options.seal, message) : undefined
    const state = JsonRpcPeek.member(message, ["params", "requestState"])
    let rounds = 0
    if (state !== undefined && digest !== undefined) {
      const resumed = this.#rounds.resume(message, { id, method, digest, token: progressToken }, nowMs)
      if (resumed._tag === "Refused") return [toClient(resumed.answer)]
      if (resumed._tag === "Waits") return this.#resumed(resumed.call, resumed.answers, id, open, nowMs)
      this.#calls.delete(RawRpc.idKey(resumed.call.number))
      rounds = resumed.call.rounds
    }
    if (this.#calls.size >= CALLS_MAX) {
      return [toClient(RawRpc.failure(id, BridgeError.CODE.overloaded, `${CALLS_MAX} calls wait for the server.`))]
    }
    const capabilities = Json.parse(JsonRpcPeek.member(message, [...META, KEY.capabilities]) ?? "{}")
    const number = String(++this.#count)
    const logLevel = ModernCall.logLevelOf(message)
    this.#calls.set(RawRpc.idKey(number), {
      id,
      number,
      method,
      token: progressToken,
      capabilities: Json.isObject(capabilities) ? capabilities : {},
      logLevel,
      digest,
      questions: new Map(),
      answer: undefined,
      name: undefined,
      expiresAtMs: 0,
      rounds
    })
    return [...this.#level(logLevel, open), toServer(ModernCall.legacyRequest(message, number, progressToken))]
  }

  /** The client has answered; the server goes on, or has gone on already. */
  #resumed(
    call: ModernCall.ModernCall,
    answers: ReadonlyArray<Uint8Array>,
    id: string,
    open: Open,
    nowMs: number
  ): Outputs {
    const passed = answers.map(toServer)
    if (call.answer !== undefined) {
      this.#calls.delete(RawRpc.idKey(call.number))
      return [...passed, toClient(ModernCall.modernAnswer(call.answer, call, id, open.serverInfo))]
    }
    return call.questions.size === 0 ? passed : [...passed, ...this.#ask(call, nowMs)]
  }

  /** The lowest level that any request asked for (mcp §6.6). */
  #level(wanted: number | undefined, open: Open): Outputs {
    const isNew = wanted !== undefined && (this.#logLevel === undefined || wanted < this.#logLevel)
    if (!isNew || !Json.isObject(Json.member(open.capabilities, "logging"))) return []
    this.#logLevel = wanted
    return [toServer(RawRpc.request(this.#own(), "logging/setLevel", JSON.stringify({ level: LOG_LEVELS[wanted] })))]
  }

  #ask(call: ModernCall.ModernCall, nowMs: number): Outputs {
    const { evicted, message } = this.#rounds.ask(call, nowMs)
    return [
      ...(message === undefined ? this.#giveUp(call) : [toClient(message)]),
      ...evicted.flatMap((old) => this.#giveUp(old))
    ]
  }

  /** The server asks: whoever's call can have made it ask is answered with the question. */
  #asked(message: Uint8Array, { id, method }: Request, nowMs: number): Outputs {
    if (method === "ping") return [toServer(RawRpc.result(id, "{}"))]
    const question = ModernCall.questionOf(message, id, method)
    if (question === undefined) return [toServer(RawRpc.failure(id, -32601, `The client offers no ${method}.`))]
    const calls = [...this.#calls.values()].filter((call) => INTERACTIVE.has(call.method) && call.answer === undefined)
    const call = calls.findLast((candidate) => ModernCall.canAsk(candidate, question))
    if (call === undefined) return [toServer(RawRpc.failure(id, -32601, `No client can be asked for ${method} now.`))]
    if (this.#options.isShared && calls.length > 1) {
      return [toServer(RawRpc.failure(id, -32603, "Several clients wait, and the question may be for any of them."))]
    }
    if (!this.#rounds.add(call, question)) {
      return [toServer(RawRpc.failure(id, -32603, "Too many questions wait for the client."))]
    }
    return call.id === undefined ? [] : this.#ask(call, nowMs)
  }

  #told(message: Uint8Array, envelope: Notification): Outputs {
    const { cancels, method, progressToken } = envelope
    const changed = this.#listens.changed(method, message)
    if (changed !== undefined) return changed
    switch (method) {
      case "notifications/progress": {
        const call = progressToken === undefined ? undefined : this.#calls.get(RawRpc.idKey(progressToken))
        return call?.id === undefined || call.token === undefined
          ? []
          : [toClient(JsonSplice.replace(message, ["params", "progressToken"], call.token))]
      }
      case "notifications/message": {
        const level = LOG_LEVELS.indexOf(JsonRpcPeek.string(message, ["params", "level"]) ?? "")
        const isWanted = [...this.#calls.values()].some(({ logLevel }) => logLevel !== undefined && level >= logLevel)
        return isWanted ? [toClient(message)] : []
      }
      case "notifications/cancelled":
        for (const { questions } of this.#calls.values()) {
          for (const [name, { id }] of questions) {
            if (id !== undefined && cancels !== undefined && RawRpc.idKey(id) === RawRpc.idKey(cancels))
              questions.delete(name)
          }
        }
        return []
      default:
        return DROPPED.has(method) ? [] : [toClient(message)]
    }
  }

  #answered(answer: ModernCall.Answer, id: string, nowMs: number): Outputs {
    const key = RawRpc.idKey(id)
    if (this.#opening._tag === "Opening" && key === this.#opening.key) return this.#opened(this.#opening, answer, nowMs)
    const call = this.#calls.get(key)
    if (call === undefined || this.#opening._tag !== "Open") return []
    const urls = answer.isError ? ModernCall.elicitationsOf(answer.message) : []
    if (urls.length > 0 && call.id !== undefined && urls.every((question) => ModernCall.canAsk(call, question))) {
      for (const question of urls) this.#rounds.add(call, question)
      return this.#ask(call, nowMs)
    }
    if (call.id === undefined) {
      call.answer = { ...answer, message: answer.message.slice() }
      return []
    }
    this.#calls.delete(key)
    return [toClient(ModernCall.modernAnswer(answer, call, call.id, this.#opening.serverInfo))]
  }

  #cancel(message: Uint8Array, id: string): Outputs {
    const listen = this.#listens.close(id, () => this.#own())
    if (listen !== undefined) return listen
    const wanted = RawRpc.idKey(id)
    if (this.#opening._tag === "Opening") {
      this.#opening.held = this.#opening.held.filter(
        (held) => RawRpc.idKey(JsonRpcPeek.member(held, ["id"]) ?? "null") !== wanted
      )
    }
    const call = [...this.#calls.values()].find(
      (waiting) => waiting.id !== undefined && RawRpc.idKey(waiting.id) === wanted
    )
    if (call === undefined) return []
    this.#calls.delete(RawRpc.idKey(call.number))
    return [
      ...ModernCall.unanswered(call).map(toServer),
      toServer(JsonSplice.replace(message, ["params", "requestId"], call.number))
    ]
  }

  /** Nobody will answer: the server is told, and the client if it waits. */
  #giveUp(call: ModernCall.ModernCall): Outputs {
    this.#rounds.forget(call)
    this.#calls.delete(RawRpc.idKey(call.number))
    const told =
      call.id === undefined ? [] : [toClient(RawRpc.failure(call.id, -32603, "The server asks again and again."))]
    const isOver = call.answer !== undefined || ModernCall.isResent(call)
    return [
      ...told,
      ...ModernCall.unanswered(call).map(toServer),
      ...(isOver ? [] : [toServer(RawRpc.cancelled(call.number))])
    ]
  }

  #own(): string {
    return JSON.stringify(`${OWN_ID}${++this.#count}`)
  }
}

type Request = Extract<JsonRpcPeek.Envelope, { _tag: "Request" }>
type Notification = Extract<JsonRpcPeek.Envelope, { _tag: "Notification" }>

interface Open {
  readonly _tag: "Open"
  /** JSON text of the answer to `server/discover`. */
  readonly discovered: string
  readonly capabilities: Json.JsonObject
  /** JSON text. */
  readonly serverInfo: string | undefined
}

type Opening =
  | { readonly _tag: "Closed" }
  | { readonly _tag: "Opening"; readonly key: string; held: Array<Uint8Array>; heldBytes: number }
  | Open

/** Notifications that nothing in the modern revision stands for. */
const DROPPED: ReadonlySet<string> = new Set(["notifications/elicitation/complete", "notifications/tasks/status"])
const CALLS_MAX = 256
/** Requests that wait for the opening of the server. */
const HELD_MAX = 256
const HELD_BYTES_MAX = 16_777_216

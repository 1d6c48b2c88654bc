/**
 * Questions of a legacy server on their way through a client that is asked in results (mcp §1.5, §6.6): the server's
 * request stays open while the client's ends with `input_required`, and its retry, if it can prove which call it goes on
 * with, brings the answers.
 *
 * Mutable inside its `ModernClientBridge`. At most `PARKED_MAX` calls wait for their client, the oldest makes room.
 */
import * as Json from "../../../core/data/Json.ts"
import * as JsonEdit from "../JsonEdit.ts"
import * as ClientInput from "./ClientInput.ts"
import * as ModernCall from "./ModernCall.ts"
import * as RawRpc from "./RawRpc.ts"
import * as RequestState from "./RequestState.ts"

/** Where the questions come from. */
export interface Options {
  readonly peer: string
  readonly service: string
  readonly seal: RequestState.Seal
}

/** What a retry is taken for. */
export type Resumed =
  | { readonly _tag: "Refused"; readonly answer: Uint8Array }
  /** `answers` are for the server. */
  | { readonly _tag: "Waits"; readonly call: ModernCall.ModernCall; readonly answers: ReadonlyArray<Uint8Array> }
  /** The whole request is sent again. */
  | { readonly _tag: "Again"; readonly call: ModernCall.ModernCall }

/** A retry. */
export interface Retry {
  readonly id: string
  readonly method: string
  readonly digest: string
  readonly token: string | undefined
}

/** The calls whose client is being asked. */
export class InputRounds {
  readonly #options: Options
  /** By the name in their state, the oldest first. */
  readonly #parked = new Map<string, ModernCall.ModernCall>()
  #count = 0

  constructor(options: Options) {
    this.#options = options
  }

  /** Adds a question to a call; false if it has too many. */
  add(call: ModernCall.ModernCall, question: ModernCall.Question): boolean {
    if (call.questions.size >= ClientInput.QUESTIONS_MAX) return false
    call.questions.set(`input-${++this.#count}`, question)
    return true
  }

  /**
   * Ends the client's request with the questions of its call. No message if it was asked too often; `evicted` are calls
   * that nobody goes on with.
   */
  ask(
    call: ModernCall.ModernCall,
    nowMs: number
  ): { readonly message: Uint8Array | undefined; readonly evicted: ReadonlyArray<ModernCall.ModernCall> } {
    if (call.id === undefined || ++call.rounds > ClientInput.ROUNDS_MAX) return { message: undefined, evicted: [] }
    const { seal } = this.#options
    const name = seal.random()
    call.expiresAtMs = nowMs + RequestState.LIFETIME_MS
    const state = RequestState.write(seal, this.#binding(call.method, call.digest ?? ""), name, call.expiresAtMs)
    const message = ModernCall.inputRequired(call.id, call.questions, state)
    call.id = undefined
    call.name = name
    this.#parked.set(name, call)
    const [oldest] = this.#parked.values()
    return { message, evicted: this.#parked.size > PARKED_MAX && oldest !== undefined ? [oldest] : [] }
  }

  /** Takes the retry for what its state proves it to be. A state is good for one retry. */
  resume(message: Uint8Array, { digest, id, method, token }: Retry, nowMs: number): Resumed {
    const refused = (text: string): Resumed => ({ _tag: "Refused", answer: RawRpc.failure(id, -32602, text) })
    const params = JsonEdit.members(message, ["params"]) ?? []
    const state = Json.parse(params.find(({ key }) => key === "requestState")?.raw ?? "null")
    const opened =
      typeof state === "string"
        ? RequestState.open(this.#options.seal, this.#binding(method, digest), state, nowMs)
        : "Foreign"
    if (opened === "Foreign") return refused("This requestState was not given for this request.")
    const call = opened === "Expired" ? undefined : this.#parked.get(opened.name)
    if (call === undefined) return refused("This requestState has expired, or was used: send the request without it.")
    const responses = JsonEdit.members(message, ["params", "inputResponses"]) ?? []
    if (responses.some(({ raw }) => !raw.startsWith("{"))) return refused("An input response is an object.")
    this.forget(call)
    if ([...call.questions.values()].some((question) => question.id === undefined)) {
      const isAccepted = [...call.questions.keys()].every((name) =>
        responses.some(
          ({ key, raw }) => key === name && Json.string(Json.parseObject(raw) ?? {}, "action") === "accept"
        )
      )
      return isAccepted ? { _tag: "Again", call } : refused("The server wants a visit to a page before it does this.")
    }
    call.id = id
    call.token = call.token === undefined ? undefined : token
    const answers = responses.flatMap(({ key, raw }) => {
      const question = call.questions.get(key)
      if (question?.id === undefined) return []
      call.questions.delete(key)
      return [RawRpc.result(question.id, raw)]
    })
    return { _tag: "Waits", call, answers }
  }

  /** Takes a call out. */
  forget(call: ModernCall.ModernCall): void {
    if (call.name !== undefined) this.#parked.delete(call.name)
    call.name = undefined
  }

  /** When the first of them expires. */
  deadlineMs(): number | undefined {
    const [oldest] = this.#parked.values()
    return oldest === undefined ? undefined : oldest.expiresAtMs + 1
  }

  /** Those whose time is over. */
  expired(nowMs: number): ReadonlyArray<ModernCall.ModernCall> {
    return [...this.#parked.values()].filter(({ expiresAtMs }) => nowMs > expiresAtMs)
  }

  #binding(method: string, digest: string): RequestState.Binding {
    const { peer, service } = this.#options
    return { peer, service, method, digest }
  }
}

/** Calls that wait for answers of their clients. */
const PARKED_MAX = 64

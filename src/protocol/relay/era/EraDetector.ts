/**
 * Finds out from the first messages whether client and server understand each other (mcp §1.2, §6.6), and translates only
 * if they do not: then it becomes a `LegacyClientBridge` or a `ModernClientBridge`. As soon as they do, `isThrough` says
 * that nothing needs to be looked at any more.
 *
 * Pure; mutable inside the session that owns it. The verdict about the server outlives it: sessions may share one.
 */
import { Result } from "effect"
import * as BridgeError from "../BridgeError.ts"
import * as JsonRpcPeek from "../JsonRpcPeek.ts"
import * as DiscoverText from "./DiscoverText.ts"
import { type Answer, isBridge, isModern, isSurelyModern, isUnreachable, revisionsOf } from "./EraAnswer.ts"
import { type EraTranslator, KEY, META, MODERN, type Outputs, OWN_ID, toClient, toServer } from "./EraTranslator.ts"
import { LegacyClientBridge } from "./LegacyClientBridge.ts"
import { ModernClientBridge, type Options as ModernClientOptions } from "./ModernClientBridge.ts"
import * as RawRpc from "./RawRpc.ts"
import type { Verdict } from "./Verdict.ts"

/** What a session is made with. */
export interface Options extends ModernClientOptions {
  readonly verdict: Verdict
  /**
   * The client speaks nothing but the modern revision. Its first message, `server/discover`, cannot tell: a client of both
   * eras must get the refusal of a legacy server, so that it goes on with `initialize`.
   */
  readonly isModernOnly: boolean
  /** An instant of the monotonic clock as ISO 8601. */
  readonly instant: (atMs: number) => string
}

/** One session, from its first message on. */
export class EraDetector implements EraTranslator {
  readonly #options: Options
  #state: State = { _tag: "Watching" }
  #probes = 0

  constructor(options: Options) {
    this.#options = options
  }

  /** Both sides understand each other: messages may pass unseen. */
  get isThrough(): boolean {
    return this.#state._tag === "Through"
  }

  /** Messages are being translated. */
  get isTranslating(): boolean {
    return this.#state._tag === "Translating"
  }

  fromClient(message: Uint8Array, nowMs: number): Outputs {
    const state = this.#state
    if (state._tag === "Translating") return state.bridge.fromClient(message, nowMs)
    const envelope = Result.getOrUndefined(JsonRpcPeek.peek(message))
    if (state._tag === "Probing" || state._tag === "Trying") {
      // What follows must not reach a server that was not opened.
      if (state.heldBytes + message.length > HELD_BYTES_MAX) return refuseAll(envelope)
      state.held.push(message.slice())
      state.heldBytes += message.length
      return []
    }
    if (state._tag !== "Watching" || envelope?._tag !== "Request") return [toServer(message)]
    return this.#first(message, envelope, nowMs)
  }

  fromServer(message: Uint8Array, nowMs: number): Outputs {
    const state = this.#state
    if (state._tag === "Translating") return state.bridge.fromServer(message, nowMs)
    const envelope = Result.getOrUndefined(JsonRpcPeek.peek(message))
    if (envelope?._tag !== "Response") return [toClient(message)]
    const answer = { message, key: RawRpc.idKey(envelope.id), isError: envelope.isError }
    switch (state._tag) {
      case "Initializing":
        return this.#whileInitializing(state, answer, nowMs)
      case "Discovering":
        return answer.key === state.key ? this.#discovered(state, answer, nowMs) : [toClient(message)]
      case "Trying":
        return answer.key === state.key ? this.#tried(state, answer, nowMs) : [toClient(message)]
      case "Probing":
        if (answer.key === state.tried) return this.#triedLate(state, answer, nowMs)
        return answer.key === state.key ? this.#probed(state, answer, nowMs) : [toClient(message)]
      default:
        return isOwn(answer.key) ? [] : [toClient(message)]
    }
  }

  deadlineMs(): number | undefined {
    const state = this.#state
    if (state._tag === "Translating") return state.bridge.deadlineMs()
    return state._tag === "Watching" || state._tag === "Through" ? undefined : state.untilMs
  }

  timeout(nowMs: number): Outputs {
    const state = this.#state
    if (state._tag === "Translating") return state.bridge.timeout(nowMs)
    if (state._tag === "Watching" || state._tag === "Through") return []
    if (state.untilMs === undefined || nowMs < state.untilMs) return []
    state.untilMs = undefined
    switch (state._tag) {
      case "Initializing":
        return this.#ask(state)
      // A legacy server may never answer what it does not know.
      case "Discovering":
        return this.#options.isModernOnly ? this.#translateModern([state.message], nowMs) : []
      case "Probing":
        return this.#translateTried(state, nowMs)
      // One that is only slow to start is told from one that wants to be opened first by asking what it is.
      case "Trying":
        return this.#probe(state.held, nowMs, state.key)
    }
  }

  closed(): Outputs {
    return this.#state._tag === "Translating" ? this.#state.bridge.closed() : []
  }

  #first(message: Uint8Array, { id, method }: Request, nowMs: number): Outputs {
    const { isModernOnly } = this.#options
    const era = this.#options.verdict.at(nowMs)
    const key = RawRpc.idKey(id)
    if (method === "initialize") {
      if (era === "legacy") this.#state = { _tag: "Through" }
      else {
        const untilMs = nowMs + INITIALIZE_SILENCE_MS
        this.#state = {
          _tag: "Initializing",
          key,
          message: message.slice(),
          refusal: undefined,
          probe: undefined,
          untilMs
        }
      }
      return [toServer(message)]
    }
    if (JsonRpcPeek.member(message, [...META, KEY.version]) === undefined) return [toServer(message)]
    if (era === "modern") {
      this.#state = { _tag: "Through" }
      return [toServer(message)]
    }
    if (method === "server/discover") {
      if (era === "legacy") return isModernOnly ? this.#translateModern([message], nowMs) : [toServer(message)]
      this.#state = { _tag: "Discovering", key, message: message.slice(), untilMs: nowMs + DISCOVER_SILENCE_MS }
      return [toServer(message)]
    }
    if (era === "legacy") return this.#translateModern([message], nowMs)
    // What changes nothing may reach a server of either era, and its answer tells which it is.
    if (!BridgeError.isHarmlessTwice(method)) return this.#probe([message.slice()], nowMs)
    const untilMs = nowMs + TRIED_SILENCE_MS
    this.#state = { _tag: "Trying", key, held: [message.slice()], heldBytes: message.length, untilMs }
    return [toServer(message)]
  }

  #whileInitializing(state: Tagged<"Initializing">, answer: Answer, nowMs: number): Outputs {
    if (answer.key === state.key) {
      if (answer.isError && !isBridge(answer)) {
        state.refusal = answer.message.slice()
        state.untilMs = nowMs + DISCOVER_SILENCE_MS
        if (state.probe === "") return this.#refuse(state, [])
        return state.probe === undefined ? this.#ask(state) : []
      }
      this.#state = answer.isError ? { _tag: "Watching" } : { _tag: "Through" }
      return [toClient(answer.message)]
    }
    if (answer.key !== state.probe) return isOwn(answer.key) ? [] : [toClient(answer.message)]
    if (!answer.isError && DiscoverText.revisions(answer.message).includes(MODERN)) {
      this.#options.verdict.learn("modern", nowMs)
      const discovered = answer.message.slice()
      const { instant, seal, service: name } = this.#options
      const bridge = new LegacyClientBridge({
        ...{ initialize: state.message, discovered },
        ...{ name, instant, random: seal.random }
      })
      this.#state = { _tag: "Translating", bridge }
      return bridge.opened()
    }
    state.probe = ""
    return state.refusal === undefined ? [] : this.#refuse(state, revisionsOf(answer) ?? [])
  }

  /** Asks a server that refuses `initialize`, or says nothing to it, for the revisions it speaks. */
  #ask(state: Tagged<"Initializing">): Outputs {
    if (state.probe !== undefined) return state.refusal === undefined ? [] : this.#refuse(state, [])
    const id = this.#nextId()
    state.probe = RawRpc.idKey(id)
    return [toServer(DiscoverText.discover(id, DiscoverText.clientOf(state.message)))]
  }

  /** No common revision: the client hears what the server speaks, as legacy servers say it. */
  #refuse({ message, refusal }: Tagged<"Initializing">, spoken: ReadonlyArray<string>): Outputs {
    this.#state = { _tag: "Watching" }
    const supported =
      spoken.length > 0 ? spoken : refusal === undefined ? [] : (revisionsOf({ message: refusal }) ?? [])
    if (supported.length === 0) return refusal === undefined ? [] : [toClient(refusal)]
    const requested = JsonRpcPeek.string(message, ["params", "protocolVersion"]) ?? ""
    const text = `The server speaks ${supported.join(", ")}; this client offers ${requested}, and there is no bridge between them.`
    const id = JsonRpcPeek.member(message, ["id"]) ?? "null"
    return [toClient(RawRpc.failure(id, -32602, text, { supported, requested }))]
  }

  #discovered(state: Tagged<"Discovering">, answer: Answer, nowMs: number): Outputs {
    if (isModern(answer)) {
      this.#options.verdict.learn("modern", nowMs)
      this.#state = { _tag: "Through" }
      return [toClient(answer.message)]
    }
    this.#state = { _tag: "Watching" }
    if (isUnreachable(answer)) return [toClient(answer.message)]
    this.#options.verdict.learn("legacy", nowMs)
    return this.#options.isModernOnly ? this.#translateModern([state.message], nowMs) : [toClient(answer.message)]
  }

  #tried({ held }: Holding<string>, answer: Answer, nowMs: number): Outputs {
    const [, ...others] = held
    if (isUnreachable(answer)) {
      this.#state = { _tag: "Watching" }
      return [toClient(answer.message), ...others.map(toServer)]
    }
    if (!isSurelyModern(answer)) return this.#probe(held, nowMs)
    this.#options.verdict.learn("modern", nowMs)
    this.#state = { _tag: "Through" }
    return [toClient(answer.message), ...others.map(toServer)]
  }

  /** The answer to what was tried comes while the server is being asked what it is, which goes on if this does not tell. */
  #triedLate(state: Tagged<"Probing">, answer: Answer, nowMs: number): Outputs {
    if (isUnreachable(answer) || isSurelyModern(answer)) return this.#tried(state, answer, nowMs)
    state.tried = undefined
    return []
  }

  /**
   * Holds what the client wants until the server has said whether it speaks its revision. `tried` is the key of the first of
   * it if that is at the server already.
   */
  #probe(held: Array<Uint8Array>, nowMs: number, tried?: string): Outputs {
    const id = this.#nextId()
    const heldBytes = held.reduce((sum, { length }) => sum + length, 0)
    const untilMs = nowMs + (tried === undefined ? DISCOVER_SILENCE_MS : 2 * TRIED_SILENCE_MS)
    this.#state = { _tag: "Probing", key: RawRpc.idKey(id), tried, held, heldBytes, untilMs }
    const [first] = held
    return [toServer(DiscoverText.discover(id, DiscoverText.clientOfRequest(first ?? new Uint8Array())))]
  }

  #probed(state: Tagged<"Probing">, answer: Answer, nowMs: number): Outputs {
    if (!isModern(answer) && !isUnreachable(answer)) return this.#translateTried(state, nowMs)
    if (isModern(answer)) this.#options.verdict.learn("modern", nowMs)
    this.#state = isModern(answer) ? { _tag: "Through" } : { _tag: "Watching" }
    return state.held.slice(state.tried === undefined ? 0 : 1).map(toServer)
  }

  /** What was tried is given up, since it is asked for again. */
  #translateTried({ held, tried }: Tagged<"Probing">, nowMs: number): Outputs {
    const [first] = held
    const id = tried === undefined || first === undefined ? undefined : JsonRpcPeek.member(first, ["id"])
    if (id === undefined) return this.#translateModern(held, nowMs)
    return [toServer(RawRpc.cancelled(id)), ...this.#translateModern(held, nowMs, Number(id))]
  }

  /** `after` is the id of a request that the server may still answer. */
  #translateModern(held: ReadonlyArray<Uint8Array>, nowMs: number, after = 0): Outputs {
    this.#options.verdict.learn("legacy", nowMs)
    const bridge = new ModernClientBridge(this.#options, Number.isSafeInteger(after) ? Math.max(0, after) : 0)
    this.#state = { _tag: "Translating", bridge }
    return held.flatMap((message) => bridge.fromClient(message, nowMs))
  }

  #nextId(): string {
    return JSON.stringify(`${OWN_ID}probe-${++this.#probes}`)
  }
}

type Request = Extract<JsonRpcPeek.Envelope, { _tag: "Request" }>

/** Only what waits for an answer has `untilMs`. `Trying` and `Probing` hold what the client sent meanwhile. */
type State =
  | { readonly _tag: "Watching" }
  | {
      readonly _tag: "Initializing"
      readonly key: string
      readonly message: Uint8Array
      refusal: Uint8Array | undefined
      /** Key of the discovery that was sent; empty when it was answered to no avail. */
      probe: string | undefined
      untilMs: number | undefined
    }
  | { readonly _tag: "Discovering"; readonly key: string; readonly message: Uint8Array; untilMs: number | undefined }
  | Holding<"Trying">
  | (Holding<"Probing"> & { tried: string | undefined })
  | { readonly _tag: "Through" }
  | { readonly _tag: "Translating"; readonly bridge: EraTranslator }

interface Holding<Tag extends string> {
  readonly _tag: Tag
  readonly key: string
  readonly held: Array<Uint8Array>
  heldBytes: number
  untilMs: number | undefined
}

type Tagged<Tag extends State["_tag"]> = Extract<State, { _tag: Tag }>

const isOwn = (key: string): boolean => key.startsWith(`s${OWN_ID}`)

const refuseAll = (envelope: JsonRpcPeek.Envelope | undefined): Outputs =>
  envelope === undefined
    ? []
    : JsonRpcPeek.requests(envelope).map(({ id }) =>
        toClient(RawRpc.failure(id, BridgeError.CODE.overloaded, "Too much waits for the opening of the server."))
      )

/** Servers that are downloaded first take their time; asking them another question meanwhile does no harm. */
const INITIALIZE_SILENCE_MS = 10_000
/** Old servers never answer what they do not know (mcp §2.2). */
const DISCOVER_SILENCE_MS = 5000
/** A request of a modern client may start a server that is slow to start; some legacy ones never answer one before they are opened. */
const TRIED_SILENCE_MS = 10_000
/** What a client may send before it is known how the server is opened. */
const HELD_BYTES_MAX = 16_777_216

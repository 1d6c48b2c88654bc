/**
 * One service behind a front (mcp §6.11): a relay session of its own for one client, opened when it is first needed and with
 * what that client can do, in the era that fits the client best (mcp §1.2).
 *
 * Owns the lines of the session and the requests that wait at the service, each under a number of ours. Messages that answer
 * nothing are handed to whoever made this. Every request is answered: by the service, or with an error when the session ends.
 */
import { Deferred, Effect, Result, type Scope } from "effect"
import * as Bytes from "../../../core/data/Bytes.ts"
import * as Json from "../../../core/data/Json.ts"
import type { Duplex } from "../../../core/net/Duplex.ts"
import * as Era from "../../../protocol/mcp/Era.ts"
import * as JsonRpc from "../../../protocol/mcp/JsonRpc.ts"
import * as BridgeError from "../../../protocol/relay/BridgeError.ts"
import * as IdMap from "../../../protocol/relay/IdMap.ts"
import * as JsonRpcPeek from "../../../protocol/relay/JsonRpcPeek.ts"
import * as JsonSplice from "../../../protocol/relay/JsonSplice.ts"
import { LineSplitter } from "../../../protocol/relay/LineSplitter.ts"
import { MESSAGE_BYTES_MAX } from "../../../protocol/relay/RelayControl.ts"
import type { Target } from "../Target.ts"
import { Refused } from "./FrontRefusal.ts"

/** What the service is told of the client, and how it is opened. */
export interface ClientProfile {
  readonly era: Era.Era["kind"]
  /** The legacy revision that the client speaks. */
  readonly revision: string
  readonly capabilities: Json.JsonObject
  readonly info: Json.JsonObject
  /** The least severe messages that the client wants of modern services; legacy ones are told with a request. */
  readonly logLevel?: string
}

/** Sends a message that is not answered, or an answer. */
export type Write = (message: Uint8Array) => Effect.Effect<void>

/** What a service is reached with. */
export interface Options<E> {
  readonly target: Target
  readonly lines: Duplex<E>
  readonly profile: ClientProfile
  /** A request or notification of the service. */
  readonly receive: (message: Uint8Array, envelope: JsonRpcPeek.Envelope, write: Write) => Effect.Effect<void>
}

/** Takes the answer to one request, its id still ours. */
export type Answer = (response: Uint8Array) => Effect.Effect<void>

/** An open service. */
export interface FrontUpstream {
  readonly target: Target
  readonly era: Era.Era
  /** Sends a request under a number of ours, and gives the number. */
  readonly send: (message: Uint8Array, answer: Answer) => Effect.Effect<number>
  /** A request of our own. */
  readonly ask: (method: string, params: Json.JsonObject) => Effect.Effect<Json.JsonObject, Refused>
  /** The parameters of a request of our own, as its era wants them. */
  readonly params: (own: Json.JsonObject) => Json.JsonObject
  /** Anything that is not answered. */
  readonly write: Write
  /** Gives a request up, in the client's own words if it has some; its answer is no longer wanted. */
  readonly cancel: (number: number, said?: Uint8Array) => Effect.Effect<void>
  readonly isOver: () => boolean
}

/** Opens the service; its session ends with the scope. */
export const open = Effect.fn("FrontUpstream.open")(function* <E>(
  options: Options<E>
): Effect.fn.Return<FrontUpstream, Refused, Scope.Scope> {
  const { lines, profile, target } = options
  const waiting = new IdMap.IdMap<Answer>()
  let isOver = false

  const write = (message: Uint8Array) => Effect.ignore(lines.write(Bytes.concat(message, NEWLINE)))

  const ended = (number: number): Uint8Array =>
    BridgeError.encode({ ...BridgeError.SESSION_ENDED, ...target }, String(number))

  const send = (message: Uint8Array, answer: Answer): Effect.Effect<number> =>
    Effect.suspend(() => {
      const number = waiting.add("0", answer)
      if (isOver) {
        waiting.take(number)
        return Effect.as(answer(ended(number)), number)
      }
      return Effect.as(write(JsonSplice.replace(message, ["id"], String(number))), number)
    })

  const receive = (message: Uint8Array): Effect.Effect<void> =>
    Effect.suspend(() => {
      const envelope = Result.getOrUndefined(JsonRpcPeek.peek(message))
      if (envelope === undefined) return Effect.void
      if (envelope._tag === "Batch") {
        return Effect.forEach(JsonSplice.elements(message) ?? [], receive, { discard: true })
      }
      if (envelope._tag !== "Response") return options.receive(message, envelope, write)
      return waiting.take(IdMap.numberIn(envelope.id))?.(message) ?? Effect.void
    })

  const read = Effect.gen(function* () {
    const splitter = new LineSplitter(MESSAGE_BYTES_MAX)
    while (true) {
      for (const line of splitter.push(yield* lines.read)) if (line._tag === "Whole") yield* receive(line.bytes)
    }
  })
  const end = Effect.suspend(() => {
    isOver = true
    return Effect.forEach(waiting.entries(), ([number]) => waiting.take(number)?.(ended(number)) ?? Effect.void, {
      discard: true
    })
  })
  yield* Effect.addFinalizer(() =>
    Effect.suspend(() => {
      isOver = true
      return lines.end
    })
  )
  // Not when it is closed from here: then nobody waits any more, and a client that reads nothing must not hold up the end.
  yield* read.pipe(Effect.ignore, Effect.andThen(end), Effect.forkScoped)

  const ask = (method: string, params: Json.JsonObject): Effect.Effect<Json.JsonObject, Refused> =>
    Effect.gen(function* () {
      const done = yield* Deferred.make<Json.JsonObject, Refused>()
      const message = Bytes.fromUtf8(JsonRpc.request(0, method, params))
      const number = yield* send(message, (response) => Effect.asVoid(Deferred.completeWith(done, settled(response))))
      return yield* Effect.onInterrupt(Deferred.await(done), () => cancel(number))
    })

  const cancel = (number: number, said?: Uint8Array): Effect.Effect<void> =>
    Effect.suspend(() => {
      if (waiting.take(number) === undefined) return Effect.void
      return write(said ?? Bytes.fromUtf8(JsonRpc.notification("notifications/cancelled", { requestId: number })))
    })

  // The client did not ask for this, so its own clock may not run: whoever waits for the service must hear in the end.
  const era = yield* Effect.timeoutOrElse(opened(ask, profile), {
    duration: OPEN_TIMEOUT,
    orElse: () => Effect.fail(new Refused({ error: { code: JSON_INTERNAL, message: "The server does not open." } }))
  })
  if (era.kind === "legacy") yield* write(INITIALIZED)
  const params = (own: Json.JsonObject) =>
    era.kind === "modern" ? { ...own, _meta: { ...member(own, "_meta"), ...envelopeOf(profile) } } : own
  return { target, era, send, ask, params, write, cancel, isOver: () => isOver }
})

/** What every modern request carries (mcp §1.4). */
export const envelopeOf = ({ capabilities, info, logLevel }: ClientProfile): Json.JsonObject => ({
  ...(logLevel === undefined ? {} : { "io.modelcontextprotocol/logLevel": logLevel }),
  "io.modelcontextprotocol/protocolVersion": Era.MODERN,
  "io.modelcontextprotocol/clientCapabilities": capabilities,
  "io.modelcontextprotocol/clientInfo": info
})

/** The client's own era first: then a server that speaks both needs no translation (mcp §6.6). */
const opened = Effect.fnUntraced(function* (
  ask: FrontUpstream["ask"],
  profile: ClientProfile
): Effect.fn.Return<Era.Era, Refused> {
  const legacy = Effect.map(
    ask("initialize", {
      protocolVersion: profile.revision,
      capabilities: profile.capabilities,
      clientInfo: profile.info
    }),
    Era.ofInitialize
  )
  const modern = ask("server/discover", { _meta: envelopeOf(profile) }).pipe(
    Effect.map(Era.ofDiscover),
    Effect.timeoutOrElse({ duration: DISCOVER_TIMEOUT, orElse: () => Effect.succeed(undefined) })
  )
  const [first, second] = profile.era === "legacy" ? [legacy, modern] : [modern, legacy]
  const found = yield* Effect.catchIf(
    first,
    (error) => !error.isOfBridge,
    () => Effect.succeed(undefined)
  )
  const era = found ?? (yield* second)
  return (
    era ??
    (yield* new Refused({ error: { code: JSON_INTERNAL, message: "The server speaks no revision known here." } }))
  )
})

const settled = (response: Uint8Array): Effect.Effect<Json.JsonObject, Refused> => {
  const [message] = JsonRpc.parse(Bytes.toUtf8Lossy(response))
  if (message?._tag === "Result") return Effect.succeed(message.result)
  const error = message?._tag === "Failure" ? message.error : { code: JSON_INTERNAL, message: "No answer." }
  return Effect.fail(new Refused({ error }))
}

const member = (self: Json.JsonObject, key: string): Json.JsonObject => {
  const value = Json.member(self, key)
  return Json.isObject(value) ? value : {}
}

const NEWLINE = Uint8Array.of(0x0a)
const INITIALIZED = Bytes.fromUtf8(JsonRpc.notification("notifications/initialized", {}))
/** JSON-RPC's internal error. */
const JSON_INTERNAL = -32603
/** Old servers never answer what they do not know (mcp §2.2). */
const DISCOVER_TIMEOUT = "5 seconds"
/** As long as the official SDKs wait; some servers are fetched from a package registry when they first start. */
const OPEN_TIMEOUT = "60 seconds"

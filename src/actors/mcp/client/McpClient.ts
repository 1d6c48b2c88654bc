/**
 * An MCP client of either era over any byte stream (mcp §1.2, §2.1): opens the server, numbers requests, hands each its
 * answer and its progress, and cancels what is interrupted.
 *
 * Owns the stream's reading side, the calls in flight and the questions of the server. It offers what the program answers
 * (`InputRounds`) and nothing else. Effect's own `McpClient` speaks one revision per transport and drops progress, hence
 * this one.
 */
import { type Cause, Effect, type Fiber, PubSub, Schema, type Scope, Semaphore, Stream } from "effect"
import * as Json from "../../../core/data/Json.ts"
import type { Duplex } from "../../../core/net/Duplex.ts"
import * as Era from "../../../protocol/mcp/Era.ts"
import * as JsonRpc from "../../../protocol/mcp/JsonRpc.ts"
import * as JsonRpcPeek from "../../../protocol/relay/JsonRpcPeek.ts"
import { LineSplitter } from "../../../protocol/relay/LineSplitter.ts"
import { MESSAGE_BYTES_MAX } from "../../../protocol/relay/RelayControl.ts"
import * as CallTrace from "../CallTrace.ts"
import * as InputRounds from "./InputRounds.ts"

/** A request without a result. */
export class McpError extends Schema.TaggedError<McpError>()("McpError", {
  /**
   * `Rpc`: the server, or the bridge in its place, answered an error of `code`. `Closed`: the stream ended first.
   * `Protocol`: it answered what the revision does not allow. `InputRequired`: the server wants answers that this program
   * does not give. `Timeout`: no answer within the time limit; the request was cancelled.
   */
  reason: Schema.Literals(["Rpc", "Closed", "Protocol", "InputRequired", "Timeout"]),
  /** The JSON-RPC code; 0 for other reasons. Codes of the bridge are in `docs/mcp.md`. */
  code: Schema.Number,
  message: Schema.String,
  /** Asking again may help. */
  retryable: Schema.Boolean,
  /** False only if the server certainly never saw the request. */
  delivered: Schema.Boolean
}) {}

/** One step that a running call told. */
export interface Progress {
  readonly progress: number
  readonly total: number | undefined
  readonly message: string
}

/** An open server. */
export interface McpClient {
  readonly era: Era.Era
  /** One request; its interruption cancels it at the server. `onProgress` hears the steps in order. */
  readonly request: (
    method: string,
    params: Json.JsonObject,
    onProgress?: (progress: Progress) => void
  ) => Effect.Effect<Json.JsonObject, McpError>
  /** All pages of a list: the members of `key` of each. */
  readonly list: (method: string, key: string) => Effect.Effect<ReadonlyArray<Json.JsonObject>, McpError>
  /** What the server says unasked, from now on; a subscriber that is far behind loses the oldest. */
  readonly notifications: Stream.Stream<Extract<JsonRpc.Incoming, { _tag: "Notification" }>>
}

/** Opens the server at the other end of `stream`, in the surrounding scope. */
export const make = Effect.fn("McpClient.make")(function* <E>(
  stream: Duplex<E>,
  clientInfo: { readonly name: string; readonly version: string },
  answers: InputRounds.Answers = {}
): Effect.fn.Return<McpClient, McpError, Scope.Scope> {
  const scope = yield* Effect.scope
  const capabilities = InputRounds.capabilities(answers)
  /** Questions of the server that are being answered. */
  const asked = new Map<JsonRpc.Id, Fiber.Fiber<void>>()
  const calls = new Map<JsonRpc.Id, Call>()
  const heard = yield* PubSub.sliding<Extract<JsonRpc.Incoming, { _tag: "Notification" }>>(NOTIFICATIONS_MAX)
  const writing = yield* Semaphore.make(1)
  let lastId = 0
  let ended: McpError | undefined

  const write = (message: string): Effect.Effect<void, McpError> =>
    Effect.mapError(writing.withPermits(1)(stream.write(UTF8.encode(`${message}\n`))), (error) => closed(error, false))

  const receive = (message: JsonRpc.Incoming): Effect.Effect<unknown, McpError> => {
    switch (message._tag) {
      case "Result":
        return Effect.sync(() => calls.get(message.id)?.done(Effect.succeed(message.result)))
      case "Failure":
        return Effect.sync(() => calls.get(message.id)?.done(Effect.fail(ofRpc(message.error))))
      case "Request":
        return answer(message)
      case "Notification":
        if (message.method === "notifications/progress") return Effect.sync(() => progressed(message.params))
        if (message.method === "notifications/cancelled") return Effect.sync(() => withdrawn(message.params))
        return PubSub.publish(heard, message)
    }
  }

  /** A program may take its time, so nothing waits for it. */
  const answer = ({ id, method, params }: Extract<JsonRpc.Incoming, { _tag: "Request" }>) => {
    if (method === "ping") return write(JsonRpc.result(id, {}))
    const known = InputRounds.answerTo(answers, method)
    if (known === undefined) {
      return write(JsonRpc.failure(id, JsonRpc.METHOD_NOT_FOUND, `this client offers no ${method}`))
    }
    if (asked.size >= ASKED_MAX) return write(JsonRpc.failure(id, INTERNAL_ERROR, "too many questions at once"))
    return known(params).pipe(
      Effect.map((value) => JsonRpc.result(id, value)),
      Effect.catch(({ message }) => Effect.succeed(JsonRpc.failure(id, INTERNAL_ERROR, message))),
      // A program that breaks must not leave the server waiting for it.
      Effect.catchDefect((defect) =>
        Effect.as(
          Effect.logError(`mcp: the answer to ${method} broke`, defect),
          JsonRpc.failure(id, INTERNAL_ERROR, "this client could not answer")
        )
      ),
      Effect.flatMap(write),
      Effect.ignore,
      Effect.ensuring(Effect.sync(() => asked.delete(id))),
      Effect.forkIn(scope),
      Effect.map((fiber) => asked.set(id, fiber))
    )
  }

  /** Nobody waits for ever for what was too large to be read. */
  const dropped = (envelope: JsonRpcPeek.Envelope | undefined): Effect.Effect<void> =>
    Effect.sync(() => {
      for (const { id } of envelope === undefined ? [] : JsonRpcPeek.responses(envelope)) {
        const key = Json.parse(id)
        if (typeof key === "number")
          calls.get(key)?.done(protocol(`the answer is larger than ${MESSAGE_BYTES_MAX} bytes`))
      }
    })

  const withdrawn = (params: Json.JsonObject): void => {
    const id = Json.member(params, "requestId")
    if (typeof id === "string" || typeof id === "number") asked.get(id)?.interruptUnsafe()
  }

  const progressed = (params: Json.JsonObject): void => {
    const token = Json.member(params, "progressToken")
    const progress = Json.member(params, "progress")
    const total = Json.member(params, "total")
    if (typeof token !== "number" || typeof progress !== "number") return
    calls.get(token)?.onProgress?.({
      progress,
      total: typeof total === "number" ? total : undefined,
      message: Json.string(params, "message")
    })
  }

  const read = Effect.gen(function* () {
    const lines = new LineSplitter(MESSAGE_BYTES_MAX)
    const decoder = new TextDecoder()
    while (true) {
      for (const line of lines.push(yield* stream.read)) {
        if (line._tag === "Oversized") {
          yield* Effect.logWarning(`mcp: dropped a message of ${line.sizeBytes} bytes`)
          yield* dropped(line.envelope)
          continue
        }
        yield* Effect.forEach(JsonRpc.parse(decoder.decode(line.bytes)), receive, { discard: true })
      }
    }
  })
  const end = (error: E | McpError | Cause.Done) =>
    Effect.sync(() => {
      ended = closed(error, true)
      for (const call of calls.values()) call.done(Effect.fail(ended))
    })
  yield* Effect.forkScoped(Effect.catch(read, end))
  yield* Effect.addFinalizer(() => stream.end)

  const ask = (
    method: string,
    params: (id: number) => Json.JsonObject,
    onProgress?: (progress: Progress) => void
  ): Effect.Effect<Json.JsonObject, McpError> =>
    Effect.suspend(() => {
      if (ended !== undefined) return Effect.fail(closed(ended, false))
      const id = ++lastId
      const answered = Effect.callback<Json.JsonObject, McpError>((resume) => {
        calls.set(id, { done: resume, onProgress })
      })
      // By another fiber: a server that takes nothing any more must not keep whoever gives it up.
      const cancel = write(JsonRpc.notification("notifications/cancelled", { requestId: id })).pipe(
        Effect.ignore,
        Effect.forkIn(scope, { startImmediately: true })
      )
      const sent = Effect.andThen(write(JsonRpc.request(id, method, params(id))), Effect.never)
      // `initialize` is never cancelled (mcp §1.1); whoever gives it up closes the stream.
      return Effect.raceFirst(answered, sent).pipe(
        Effect.onInterrupt(() => (method === "initialize" ? Effect.void : cancel)),
        Effect.ensuring(Effect.sync(() => calls.delete(id)))
      )
    })

  const era = yield* open(ask, write, clientInfo, capabilities)
  const once = (method: string, own: Json.JsonObject, onProgress?: (progress: Progress) => void) =>
    ask(method, (id) => Era.params(era.kind, clientInfo, own, onProgress && id, capabilities), onProgress)

  /** The request, made again with answers while the server has questions. */
  const rounds = Effect.fnUntraced(function* (
    method: string,
    own: Json.JsonObject,
    onProgress?: (progress: Progress) => void
  ): Effect.fn.Return<Json.JsonObject, McpError> {
    let result = yield* once(method, own, onProgress)
    for (let round = 0; InputRounds.isQuestion(result); round++) {
      const more =
        round < InputRounds.ROUNDS_MAX
          ? yield* Effect.mapError(InputRounds.answered(answers, result), ({ message }) => unanswered(message))
          : undefined
      if (more === undefined) return yield* unanswered(wants(result))
      if (!Object.hasOwn(more, "inputResponses")) yield* Effect.sleep(InputRounds.PAUSE_MS * 2 ** round)
      result = yield* once(method, { ...own, ...more }, onProgress)
    }
    return result
  })

  const request: McpClient["request"] = (method, own, onProgress) =>
    CallTrace.around(method, targetOf(own), (told) =>
      rounds(method, Object.keys(told).length === 0 ? own : withMeta(own, told), onProgress)
    )
  return {
    era,
    request,
    list: listing(request),
    notifications: Stream.fromPubSub(heard)
  }
})

/** All pages of lists, asked for by `request`. */
export const listing = (request: McpClient["request"]): McpClient["list"] =>
  Effect.fnUntraced(function* (method, key) {
    const items: Array<Json.JsonObject> = []
    let cursor = ""
    for (let page = 0; page < PAGES_MAX; page++) {
      const result = yield* request(method, cursor === "" ? {} : { cursor })
      items.push(...Json.objects(result, key))
      cursor = Json.string(result, "nextCursor")
      if (cursor === "") return items
      if (items.length > ITEMS_MAX) break
    }
    return yield* protocol(`${method} has no end`)
  })

interface Call {
  readonly done: (exit: Effect.Effect<Json.JsonObject, McpError>) => void
  readonly onProgress: ((progress: Progress) => void) | undefined
}

/** Asks for the modern revision first; any refusal means a legacy server (mcp §1.2). */
const open = Effect.fnUntraced(function* (
  ask: (method: string, params: (id: number) => Json.JsonObject) => Effect.Effect<Json.JsonObject, McpError>,
  write: (message: string) => Effect.Effect<void, McpError>,
  clientInfo: Json.JsonObject,
  capabilities: Json.JsonObject
): Effect.fn.Return<Era.Era, McpError> {
  const envelope = () => Era.params("modern", clientInfo, {}, undefined, capabilities)
  const discovered = yield* ask("server/discover", envelope).pipe(
    Effect.map(Era.ofDiscover),
    Effect.timeout(DISCOVER_TIMEOUT),
    Effect.catchIf(isLegacySign, () => Effect.succeed(undefined)),
    Effect.catchTag("TimeoutError", () => Effect.succeed(undefined))
  )
  if (discovered !== undefined) return discovered
  const era = Era.ofInitialize(yield* ask("initialize", () => Era.initialize(clientInfo, capabilities)))
  if (era === undefined) return yield* protocol("the server speaks no revision known here")
  yield* write(JsonRpc.notification("notifications/initialized", {}))
  return era
})

/** An error of the server itself; one of the bridge means that no server was asked. */
const isLegacySign = (error: McpError | Cause.TimeoutError): boolean =>
  error._tag === "McpError" && error.reason === "Rpc" && (error.code > BRIDGE_MAX || error.code < BRIDGE_MIN)

const unanswered = (message: string): McpError =>
  new McpError({ reason: "InputRequired", code: 0, message, retryable: false, delivered: true })

const wants = (result: Json.JsonObject): string =>
  `the server asks for ${
    InputRounds.questions(result)
      .map(([name]) => name)
      .join(", ") || "another round"
  }`

/** The tool, prompt or resource of a request. */
const targetOf = (own: Json.JsonObject): string | undefined =>
  Json.string(own, "name") || Json.string(own, "uri") || undefined

/** What the program itself says stays. */
const withMeta = (own: Json.JsonObject, told: Json.JsonObject): Json.JsonObject => {
  const meta = Json.member(own, "_meta")
  return { ...own, _meta: Json.isObject(meta) ? { ...told, ...meta } : told }
}

const ofRpc = (error: Json.JsonObject): McpError => {
  const data = Json.member(error, "data")
  const facts = Json.isObject(data) ? data : {}
  return new McpError({
    reason: "Rpc",
    code: Json.integer(error, "code"),
    message: Json.string(error, "message"),
    retryable: Json.boolean(facts, "retryable"),
    delivered: Json.member(facts, "delivered") !== false
  })
}

const closed = (error: unknown, delivered: boolean): McpError =>
  new McpError({
    reason: "Closed",
    code: 0,
    message: error instanceof Error && error.message !== "" ? error.message : "the server closed the stream",
    retryable: true,
    delivered
  })

const protocol = (message: string): McpError =>
  new McpError({ reason: "Protocol", code: 0, message, retryable: false, delivered: true })

/** Old servers that never answer what they do not know; SDK 2 waits a minute, which nobody wants to (mcp §2.2). */
const DISCOVER_TIMEOUT = "5 seconds"
const NOTIFICATIONS_MAX = 1024
/** Questions of the server at the same time. */
const ASKED_MAX = 64
/** JSON-RPC's own code for what went wrong on this side. */
const INTERNAL_ERROR = -32603
const PAGES_MAX = 100
const ITEMS_MAX = 10_000
const BRIDGE_MIN = -31999
const BRIDGE_MAX = -31000
const UTF8 = new TextEncoder()

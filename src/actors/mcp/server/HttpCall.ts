/**
 * One POST of a message to an upstream server and the reading of its answer (mcp §2.3, §2.4): a JSON object, or an event
 * stream, which a legacy server may cut and let us resume. Whatever happens, each request of the message gets an answer.
 */
import { Effect, Result, type Scope } from "effect"
import type { HttpClient, HttpClientResponse } from "effect/http"
import * as Bytes from "../../../core/data/Bytes.ts"
import * as RawRpc from "../../../protocol/relay/era/RawRpc.ts"
import * as JsonRpcPeek from "../../../protocol/relay/JsonRpcPeek.ts"
import { MESSAGE_BYTES_MAX } from "../../../protocol/relay/RelayControl.ts"
import * as BoundedBody from "../BoundedBody.ts"
import * as HttpExchange from "./HttpExchange.ts"
import * as SseEvents from "./SseEvents.ts"

/** What all requests of one session share. */
export interface Session {
  readonly client: HttpClient.HttpClient
  readonly place: HttpExchange.Place
  /** Headers that the session adds: its id and the revision. */
  readonly headers: () => Readonly<Record<string, string>>
  /** A message of the server. */
  readonly emit: (message: Uint8Array) => Effect.Effect<void>
}

/** One message to post. */
export interface Call {
  readonly body: Uint8Array
  /** Headers of this message alone. */
  readonly headers: Readonly<Record<string, string>>
  /** Raw ids of its requests. Each is taken out when its answer was passed on. */
  readonly waiting: Set<string>
  /** A broken event stream may be asked for again by `Last-Event-ID`. */
  readonly canResume: boolean
  /** Told the response before its body is read, when the server took the message. */
  readonly accepted: (response: HttpClientResponse.HttpClientResponse) => Effect.Effect<void>
}

/** Posts the message and passes on what comes back, until every request of it is answered. */
export const post = Effect.fn("HttpCall.post")(function* (
  session: Session,
  call: Call
): Effect.fn.Return<void, HttpExchange.HttpFailed | HttpExchange.SessionLost, Scope.Scope> {
  const expectsAnswer = call.waiting.size > 0
  const response = yield* HttpExchange.send(session.client, session.place, {
    method: "POST",
    headers: { accept: "application/json, text/event-stream", ...session.headers(), ...call.headers },
    body: call.body
  })
  if (response.status === 404 && session.headers()["mcp-session-id"] !== undefined) {
    return yield* new HttpExchange.SessionLost()
  }
  if (response.status === 401 || response.status === 403) return yield* HttpExchange.failedWith(response.status)
  const isAccepted = response.status >= 200 && response.status < 300
  if (isAccepted) yield* call.accepted(response)
  if (isAccepted && isEvents(response)) return yield* readEvents(session, call, response)
  const body = yield* bodyOf(response)
  for (const message of messagesOf(body, isAccepted ? undefined : [...call.waiting][0]))
    yield* pass(session, call, message)
  if (!isAccepted && (call.waiting.size > 0 || !expectsAnswer)) {
    return yield* HttpExchange.failedWith(response.status)
  }
  if (call.waiting.size > 0) return yield* HttpExchange.broken("it answered without a result")
})

/** Opens the stream for messages that belong to no request, or one to go on with after `lastEventId`. */
export const listen = (
  session: Session,
  lastEventId: string | undefined
): Effect.Effect<
  HttpClientResponse.HttpClientResponse,
  HttpExchange.HttpFailed | HttpExchange.SessionLost,
  Scope.Scope
> =>
  Effect.gen(function* () {
    const response = yield* HttpExchange.send(session.client, session.place, {
      method: "GET",
      headers: {
        accept: "text/event-stream",
        ...session.headers(),
        ...(lastEventId === undefined ? {} : { "last-event-id": lastEventId })
      }
    })
    if (response.status === 404) return yield* new HttpExchange.SessionLost()
    if (response.status !== 200 || !isEvents(response)) return yield* HttpExchange.failedWith(response.status)
    return response
  })

/** Where an event stream stands when it ends. */
export interface Position {
  lastEventId: string | undefined
  /** What the server asked to wait. */
  retryMs: number | undefined
}

/** Passes on the messages of a stream to its end, whatever end that is; an event that is none ends it too. */
export const follow = (
  response: HttpClientResponse.HttpClientResponse,
  position: Position,
  receive: (message: Uint8Array) => Effect.Effect<void>
): Effect.Effect<void, HttpExchange.HttpFailed> =>
  SseEvents.read(response.stream, (event) => {
    if (event._tag === "Retry") {
      position.retryMs = event.delayMs
      return Effect.void
    }
    // The empty event of 2025-11-25 is only there to give the stream a place to resume from; other kinds are no messages.
    const isMessage = event.data.length > 0 && event.kind === "message"
    const passed = isMessage ? receive(BoundedBody.oneLine(event.data)) : Effect.void
    return Effect.andThen(
      passed,
      Effect.sync(() => {
        if (event.id !== undefined && event.id !== "") position.lastEventId = event.id
      })
    )
  }).pipe(
    Effect.catchTag("HttpClientError", () => Effect.void),
    Effect.catchTag("BadEvents", ({ reason }) =>
      Effect.fail(
        reason === "TooLarge"
          ? new HttpExchange.HttpFailed({ ...TOO_LARGE })
          : HttpExchange.broken("its event stream is not UTF-8")
      )
    )
  )

const readEvents = Effect.fnUntraced(function* (
  session: Session,
  call: Call,
  first: HttpClientResponse.HttpClientResponse
) {
  const position: Position = { lastEventId: undefined, retryMs: undefined }
  const receive = (message: Uint8Array) => pass(session, call, message)
  yield* follow(first, position, receive)
  let failures = 0
  while (call.waiting.size > 0) {
    if (!call.canResume || position.lastEventId === undefined) {
      return yield* HttpExchange.broken("the connection ended before the answer")
    }
    yield* Effect.sleep(Math.max(position.retryMs ?? RESUME_MS, failures === 0 ? 0 : RESUME_MS * 2 ** (failures - 1)))
    const resumed = yield* Effect.scoped(
      Effect.flatMap(listen(session, position.lastEventId), (response) => follow(response, position, receive))
    ).pipe(
      Effect.as(true),
      Effect.catchTag("HttpFailed", (failed) =>
        failed.retryable ? Effect.succeed(false) : HttpExchange.broken(`it cannot be resumed: ${failed.detail}`)
      )
    )
    failures = resumed ? 0 : failures + 1
    if (failures > RESUMES_MAX) return yield* HttpExchange.broken("the connection was lost and did not come back")
  }
})

/** One message of the server towards the client. */
const pass = (session: Session, call: Call, message: Uint8Array): Effect.Effect<void> =>
  Effect.suspend(() => {
    const envelope = Result.getOrUndefined(JsonRpcPeek.peek(message))
    const answered = (envelope === undefined ? [] : JsonRpcPeek.responses(envelope)).map(({ id }) => RawRpc.idKey(id))
    // Some servers spell the same id in another way, such as with escaped slashes.
    for (const id of call.waiting) if (answered.includes(RawRpc.idKey(id))) call.waiting.delete(id)
    return session.emit(message)
  })

/** The body as a message; an error that the server could not address is addressed to `id`. */
const messagesOf = (body: Uint8Array, id: string | undefined): ReadonlyArray<Uint8Array> => {
  const message = BoundedBody.oneLine(body)
  const envelope = Result.getOrUndefined(JsonRpcPeek.peek(message))
  if (envelope === undefined || envelope._tag === "Other") return []
  if (envelope._tag !== "Response" || envelope.id !== "null") return [message]
  const error = JsonRpcPeek.member(message, ["error"])
  return id === undefined || error === undefined
    ? []
    : [Bytes.fromUtf8(`{"jsonrpc":"2.0","id":${id},"error":${error}}`)]
}

const bodyOf = (response: HttpClientResponse.HttpClientResponse): Effect.Effect<Uint8Array, HttpExchange.HttpFailed> =>
  BoundedBody.read(response.stream, MESSAGE_BYTES_MAX).pipe(
    Effect.catchTags({
      BodyTooLarge: () => Effect.fail(new HttpExchange.HttpFailed({ ...TOO_LARGE })),
      HttpClientError: () => Effect.fail(HttpExchange.broken("the connection ended before the answer"))
    })
  )

/** Whether the body is an event stream. */
export const isEvents = (response: HttpClientResponse.HttpClientResponse): boolean =>
  (response.headers["content-type"] ?? "").startsWith("text/event-stream")

const TOO_LARGE = { kind: "tooLarge", detail: "its answer is too large", delivered: true, retryable: false } as const
/** What the official SDKs wait before they resume (mcp §3.1). */
const RESUME_MS = 1000
const RESUMES_MAX = 5

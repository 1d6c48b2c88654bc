/**
 * A service of a peer as a local streamable HTTP endpoint for clients of any revision (mcp §2.3, §2.4, §6.5). It is a door
 * of this machine (security rule 8): host, origin and token are checked before anything else is read.
 *
 * Told of requests by the HTTP server; gives them to the sessions of legacy clients (`EdgeSessions`, `SseEdge`) and to the
 * exchanges of modern ones.
 */
import { Effect, Option, Queue, Result, type Scope, Stream } from "effect"
import { type HttpServer, HttpServerRequest, HttpServerResponse } from "effect/http"
import type { Crypto } from "../../../core/crypto/Crypto.ts"
import * as SseText from "../../../protocol/mcp/SseText.ts"
import * as JsonRpcPeek from "../../../protocol/relay/JsonRpcPeek.ts"
import * as JsonSplice from "../../../protocol/relay/JsonSplice.ts"
import * as EdgeDoor from "./EdgeDoor.ts"
import * as EdgeExchanges from "./EdgeExchanges.ts"
import * as EdgeReply from "./EdgeReply.ts"
import type * as EdgeSession from "./EdgeSession.ts"
import * as EdgeSessions from "./EdgeSessions.ts"
import * as SseEdge from "./SseEdge.ts"

/** What the endpoint leads to, and whom it lets in. */
export interface Options<E> extends EdgeSessions.Options<E> {
  readonly door: EdgeDoor.EdgeDoor
  /** Also serves HTTP+SSE, the transport of 2024-11-05. */
  readonly isSse?: boolean
}

/** Serves until the surrounding scope ends. */
export const serve = Effect.fn("HttpEdge.serve")(function* <E>(
  server: HttpServer.HttpServer["Service"],
  options: Options<E>
): Effect.fn.Return<void, never, Scope.Scope | Crypto> {
  const sessions = yield* EdgeSessions.make(options)
  const exchange = yield* EdgeExchanges.make(sessions.connect(true), options.target, sessions.verdict)
  const sse = options.isSse === true ? yield* SseEdge.make(sessions) : undefined
  let requests = 0

  const postLegacy = Effect.fnUntraced(function* (
    session: EdgeSession.EdgeSession,
    body: Uint8Array,
    headers: Readonly<Record<string, string>>
  ) {
    const elements = JsonSplice.elements(body)
    if (elements !== undefined && session.revision() !== BATCHES) {
      return refusal(400, -32600, "Arrays of messages belong to revision 2025-03-26 only.")
    }
    const events = yield* session.post(elements ?? [body])
    if (events === "Duplicate") return refusal(400, -32600, "A request with this id still waits for its answer.")
    return events === undefined
      ? HttpServerResponse.empty({ status: 202, headers })
      : HttpServerResponse.stream(events, { contentType: EVENTS, headers: { ...SSE_HEADERS, ...headers } })
  })

  const post = Effect.fnUntraced(function* (request: HttpServerRequest.HttpServerRequest) {
    const wrong = EdgeDoor.postProblem(request.headers)
    if (wrong !== undefined) return refusal(wrong.status, -32600, wrong.message)
    const { body, envelope } = yield* EdgeReply.read(request)
    if (EdgeDoor.isModern(request.headers, body)) return yield* postModern(request.headers, body, envelope)
    const isOpening = envelope._tag === "Request" && envelope.method === "initialize"
    const id = request.headers["mcp-session-id"]
    if (id === undefined && !isOpening) return refusal(400, -32600, "A session is needed: send initialize first.")
    const known = id === undefined ? undefined : sessions.find(id)
    if (id !== undefined && known === undefined) return UNKNOWN_SESSION
    if (known !== undefined) {
      return EdgeDoor.hasKnownRevision(request.headers)
        ? yield* postLegacy(known, body, {})
        : refusal(400, -32600, "This revision is not spoken here.")
    }
    const opened = yield* sessions.open
    if (opened === undefined) return refusal(503, -32600, "Too many sessions are open.")
    return yield* postLegacy(opened.session, body, { "mcp-session-id": opened.id })
  })

  const postModern = Effect.fnUntraced(function* (
    headers: HttpServerRequest.HttpServerRequest["headers"],
    body: Uint8Array,
    envelope: JsonRpcPeek.Envelope
  ) {
    if (envelope._tag !== "Request") return refusal(400, -32600, "In this revision, only requests are posted.")
    const wrong = EdgeDoor.modernProblem(headers, body, envelope)
    if (wrong !== undefined) return refusal(400, wrong.code, wrong.message, envelope.id)
    // The handshake is no method of this era, and past this point it would open the shared session as the other one's.
    if (envelope.method === "initialize") return refusal(404, -32601, "Method not found", envelope.id)
    // In the scope of the HTTP request, which ends when its response is written or its client is gone.
    const messages = yield* exchange.ask(body, envelope)
    if (messages === undefined) return refusal(503, -32600, "Too many requests wait.", envelope.id)
    const isLong = envelope.progressToken !== undefined || envelope.method === "subscriptions/listen"
    const early = isLong
      ? undefined
      : yield* Queue.take(messages).pipe(
          Effect.timeoutOption(PATIENCE),
          Effect.map(Option.getOrUndefined),
          Effect.orElseSucceed(() => undefined),
          // Effect runs handlers uninterruptibly, so a client that leaves would be noticed only after this wait.
          Effect.interruptible
        )
    const peeked = early === undefined ? undefined : Result.getOrUndefined(JsonRpcPeek.peek(early))
    if (early !== undefined && peeked?._tag === "Response") {
      const status = EdgeDoor.statusOf(envelope.method, early, peeked.isError)
      return HttpServerResponse.uint8Array(early, { status, contentType: JSON_TYPE })
    }
    const events = Stream.concat(
      early === undefined ? Stream.empty : Stream.succeed(early),
      Stream.fromQueue(messages)
    ).pipe(Stream.map((message) => SseText.message(message)))
    const alive = Stream.merge(
      events,
      Stream.map(Stream.tick(KEEP_ALIVE), () => SseText.COMMENT),
      {
        haltStrategy: "left"
      }
    )
    return HttpServerResponse.stream(alive, { contentType: EVENTS, headers: SSE_HEADERS })
  })

  const listen = (request: HttpServerRequest.HttpServerRequest) => {
    const id = request.headers["mcp-session-id"]
    if (id === undefined) return METHOD_NOT_ALLOWED
    if (!EdgeDoor.accepts(request.headers, EVENTS)) return refusal(406, -32600, `${EVENTS} must be acceptable.`)
    const events = sessions.find(id)?.listen(request.headers["last-event-id"])
    return events === undefined
      ? UNKNOWN_SESSION
      : HttpServerResponse.stream(events, { contentType: EVENTS, headers: SSE_HEADERS })
  }

  const route = (request: HttpServerRequest.HttpServerRequest) => {
    const refused = EdgeDoor.check(options.door, request.headers)
    if (refused !== undefined) {
      const challenge = refused.status === 401 ? { "www-authenticate": "Bearer" } : {}
      return Effect.succeed(refusal(refused.status, -32600, refused.message, "null", challenge))
    }
    const old = sse?.route(request)
    if (old !== undefined) return old
    if (request.url.split("?")[0] !== EdgeDoor.PATH) {
      return Effect.succeed(refusal(404, -32600, `The endpoint is ${EdgeDoor.PATH}.`))
    }
    if (request.method === "POST") return Effect.catch(post(request), (refused) => Effect.succeed(refused))
    if (request.method === "GET") return Effect.sync(() => listen(request))
    const id = request.headers["mcp-session-id"]
    if (request.method !== "DELETE" || id === undefined) return Effect.succeed(METHOD_NOT_ALLOWED)
    if (sessions.find(id) === undefined) return Effect.succeed(UNKNOWN_SESSION)
    return Effect.as(sessions.close(id), HttpServerResponse.empty({ status: 200 }))
  }

  yield* server.serve(
    Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) => {
      if (requests >= REQUESTS_MAX) return Effect.succeed(refusal(503, -32600, "Too many requests at once."))
      requests++
      return Effect.ensuring(
        route(request),
        Effect.sync(() => requests--)
      )
    })
  )
})

const { EVENTS, JSON_TYPE, refusal, SSE_HEADERS, UNKNOWN_SESSION } = EdgeReply
const METHOD_NOT_ALLOWED = refusal(405, -32600, "POST messages here; GET and DELETE need a session.")
/** The one revision whose clients may send arrays (mcp §1.1). */
const BATCHES = "2025-03-26"
const REQUESTS_MAX = 512
/** How long a modern request may take before its response becomes an event stream (mcp §6.5). */
const PATIENCE = "5 seconds"
const KEEP_ALIVE = "15 seconds"

/**
 * A service of a peer as a local streamable HTTP endpoint for clients of any revision (mcp §2.3, §2.4, §6.5). It is a door
 * of this machine (security rule 8): host, origin and token are checked before anything else is read.
 *
 * Owns the sessions of its clients, each with a `Shim` of its own; told of requests by the HTTP server.
 */
import { Effect, Exit, Option, Queue, Result, Schedule, Scope, Stream } from "effect"
import { type HttpServer, HttpServerRequest, HttpServerResponse } from "effect/http"
import { Crypto } from "../../../core/crypto/Crypto.ts"
import * as Bytes from "../../../core/data/Bytes.ts"
import type { Duplex } from "../../../core/net/Duplex.ts"
import * as DuplexPair from "../../../core/net/DuplexPair.ts"
import * as SseText from "../../../protocol/mcp/SseText.ts"
import type { CallMetrics } from "../../../protocol/relay/CallMetrics.ts"
import { Verdict } from "../../../protocol/relay/era/Verdict.ts"
import * as JsonRpcPeek from "../../../protocol/relay/JsonRpcPeek.ts"
import * as JsonSplice from "../../../protocol/relay/JsonSplice.ts"
import { STDIO_MESSAGE_BYTES_MAX } from "../../../protocol/relay/RelayControl.ts"
import * as BoundedBody from "../BoundedBody.ts"
import * as DetachBridge from "../mount/DetachBridge.ts"
import type { Egress } from "../mount/EgressGuard.ts"
import * as EraBridge from "../mount/EraBridge.ts"
import type { Route } from "../mount/Instances.ts"
import type { ListFile } from "../mount/ListFile.ts"
import type { MountBoard } from "../mount/MountBoard.ts"
import type { PinGuard } from "../mount/PinGuard.ts"
import * as Shim from "../mount/Shim.ts"
import type { Target } from "../Target.ts"
import * as EdgeDoor from "./EdgeDoor.ts"
import * as EdgeExchanges from "./EdgeExchanges.ts"
import * as EdgeSession from "./EdgeSession.ts"

/** What the endpoint leads to, and whom it lets in. */
export interface Options<E> {
  readonly target: Target
  /** The way of one session, which has its own where several peers have the service. */
  readonly follow: Effect.Effect<Route<E>, never, Scope.Scope>
  readonly door: EdgeDoor.EdgeDoor
  /** The clients are known to speak nothing but the modern revision. */
  readonly isModernOnly?: boolean
  /** Tools that work longer are answered with a handle; absent: the owner of the service says. */
  readonly detachAfter?: DetachBridge.After
  /**
   * Opens the server for one client, or for all modern ones, in place of a relay session to the target; its messages are
   * lines.
   */
  readonly connect?: (isShared: boolean) => Effect.Effect<Duplex, never, Scope.Scope>
  /** What watches the tools that the server of one session lists. */
  readonly pins?: (target: Target) => Effect.Effect<PinGuard>
  /** What may leave this node. */
  readonly egress?: Egress | undefined
  /** What is remembered of the service, for all clients. */
  readonly lists?: ListFile
  /** Counts the calls. */
  readonly metrics?: CallMetrics
  /** Where sessions are told of. */
  readonly board?: MountBoard
}

/** Serves until the surrounding scope ends. */
export const serve = Effect.fn("HttpEdge.serve")(function* <E>(
  server: HttpServer.HttpServer["Service"],
  options: Options<E>
): Effect.fn.Return<void, never, Scope.Scope | Crypto> {
  const scope = yield* Effect.scope
  const crypto = yield* Crypto
  const sessions = new Map<string, Entry>()
  let requests = 0

  const close = (id: string) =>
    Effect.suspend(() => {
      const entry = sessions.get(id)
      sessions.delete(id)
      return entry === undefined ? Effect.void : Effect.forkIn(Scope.close(entry.scope, Exit.void), scope)
    })

  /**
   * Clients that go without a word leave sessions behind; the oldest that nobody uses goes first, and is gone when this
   * succeeds. One whose client has left just now is noticed a moment later.
   */
  const makeRoom: Effect.Effect<boolean> = Effect.suspend(() => {
    const [id, entry] = [...sessions].find(([, { session }]) => session.isIdle()) ?? []
    if (id === undefined || entry === undefined) return Effect.succeed(false)
    sessions.delete(id)
    return Effect.as(Scope.close(entry.scope, Exit.void), true)
  }).pipe(Effect.repeat({ until: (isMade) => isMade, times: 4, schedule: Schedule.spaced("250 millis") }))

  const verdict = new Verdict()

  /** A relay session; the messages of its client's end are lines. */
  const connect = (isShared: boolean): Effect.Effect<Duplex, never, Scope.Scope> =>
    options.connect?.(isShared) ??
    Effect.gen(function* () {
      const { board, egress, isModernOnly = false, lists, metrics } = options
      const route = yield* options.follow
      const { target } = route
      const pins = options.pins && (yield* options.pins(target))
      const [near, far] = yield* DuplexPair.make
      const detaching = yield* DetachBridge.make(far, target, options.detachAfter ?? "owner")
      const client = yield* EraBridge.make({ client: detaching.client, target, verdict, isModernOnly, isShared })
      const { welcomed } = detaching
      const known = {
        ...(pins && { pins }),
        ...(lists && { lists }),
        ...(metrics && { metrics }),
        ...(board && { board })
      }
      const shim = Shim.run({ client, ...route, makeRoom, egress, welcomed, ...known })
      yield* Effect.forkScoped(Effect.ensuring(shim, far.end))
      return near
    }).pipe(Effect.provideService(Crypto, crypto))
  const exchange = yield* EdgeExchanges.make(connect(true), options.target, verdict)

  const openSession = Effect.gen(function* () {
    if (sessions.size >= SESSIONS_MAX && !(yield* makeRoom)) return undefined
    const own = yield* Scope.fork(scope, "sequential")
    const session = yield* Scope.provide(
      Effect.flatMap(connect(false), (near) => EdgeSession.make(near, options.target)),
      own
    )
    const id = Bytes.toHex(crypto.randomBytes(SESSION_BYTES))
    sessions.set(id, { session, scope: own })
    yield* Effect.forkIn(Effect.andThen(session.ended, close(id)), scope)
    return { id, session }
  })

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
    const read = yield* Effect.result(BoundedBody.read(request.stream, STDIO_MESSAGE_BYTES_MAX))
    if (Result.isFailure(read)) {
      return refusal(413, -32600, `A message may have at most ${STDIO_MESSAGE_BYTES_MAX} bytes.`)
    }
    const body = BoundedBody.oneLine(read.success)
    const peeked = JsonRpcPeek.peek(body)
    if (Result.isFailure(peeked)) return notJson(peeked.failure.reason)
    const envelope = peeked.success
    if (EdgeDoor.isModern(request.headers, body)) return yield* postModern(request.headers, body, envelope)
    const isOpening = envelope._tag === "Request" && envelope.method === "initialize"
    const id = request.headers["mcp-session-id"]
    if (id === undefined && !isOpening) return refusal(400, -32600, "A session is needed: send initialize first.")
    const known = id === undefined ? undefined : sessions.get(id)
    if (id !== undefined && known === undefined) return UNKNOWN_SESSION
    if (known !== undefined) {
      return EdgeDoor.hasKnownRevision(request.headers)
        ? yield* postLegacy(known.session, body, {})
        : refusal(400, -32600, "This revision is not spoken here.")
    }
    const opened = yield* openSession
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
    const events = sessions.get(id)?.session.listen(request.headers["last-event-id"])
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
    if (request.url.split("?")[0] !== EdgeDoor.PATH) {
      return Effect.succeed(refusal(404, -32600, `The endpoint is ${EdgeDoor.PATH}.`))
    }
    if (request.method === "POST") return post(request)
    if (request.method === "GET") return Effect.sync(() => listen(request))
    const id = request.headers["mcp-session-id"]
    if (request.method !== "DELETE" || id === undefined) return Effect.succeed(METHOD_NOT_ALLOWED)
    if (!sessions.has(id)) return Effect.succeed(UNKNOWN_SESSION)
    return Effect.as(close(id), HttpServerResponse.empty({ status: 200 }))
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

interface Entry {
  readonly session: EdgeSession.EdgeSession
  readonly scope: Scope.Closeable
}

const refusal = (
  status: number,
  code: number,
  message: string,
  id = "null",
  headers: Readonly<Record<string, string>> = {}
): HttpServerResponse.HttpServerResponse =>
  HttpServerResponse.text(`{"jsonrpc":"2.0","id":${id},"error":${JSON.stringify({ code, message })}}`, {
    status,
    headers,
    contentType: JSON_TYPE
  })

const notJson = (reason: JsonRpcPeek.NotAMessage["reason"]): HttpServerResponse.HttpServerResponse =>
  reason === "Json" || reason === "Utf8"
    ? refusal(400, -32700, "The body is not JSON.")
    : refusal(400, -32600, "The body is no JSON-RPC message.")

const JSON_TYPE = "application/json"
const EVENTS = "text/event-stream"
const SSE_HEADERS = { "cache-control": "no-cache, no-transform", "x-accel-buffering": "no" }
const UNKNOWN_SESSION = refusal(404, -32600, "This session is not known: send initialize again.")
const METHOD_NOT_ALLOWED = refusal(405, -32600, "POST messages here; GET and DELETE need a session.")
/** The one revision whose clients may send arrays (mcp §1.1). */
const BATCHES = "2025-03-26"
/** Not guessable, although a token protects the endpoint as well (mcp §6.5). */
const SESSION_BYTES = 16
/** Sessions of clients; an idle one makes room for a new one. */
const SESSIONS_MAX = 32
const REQUESTS_MAX = 512
/** How long a modern request may take before its response becomes an event stream (mcp §6.5). */
const PATIENCE = "5 seconds"
const KEEP_ALIVE = "15 seconds"

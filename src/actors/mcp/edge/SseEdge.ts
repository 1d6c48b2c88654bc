/**
 * HTTP+SSE, the transport of revision 2024-11-05 (mcp §1.1), beside the streamable one: GET opens an event stream, whose
 * first event says where to post; everything that the server says comes on that stream. The end of the stream is the end
 * of the session: clients of this transport cannot resume.
 *
 * Owns the sessions that are open; told of requests by the `HttpEdge`, behind the same door.
 */
import { Effect, Stream } from "effect"
import { type HttpServerRequest, HttpServerResponse } from "effect/http"
import { Crypto } from "../../../core/crypto/Crypto.ts"
import * as Bytes from "../../../core/data/Bytes.ts"
import type { Duplex } from "../../../core/net/Duplex.ts"
import * as SseText from "../../../protocol/mcp/SseText.ts"
import { LineSplitter } from "../../../protocol/relay/LineSplitter.ts"
import { MESSAGE_BYTES_MAX } from "../../../protocol/relay/RelayControl.ts"
import * as EdgeDoor from "./EdgeDoor.ts"
import * as EdgeReply from "./EdgeReply.ts"
import { type EdgeSessions, SESSIONS_MAX } from "./EdgeSessions.ts"

/** The two routes. */
export interface SseEdge {
  /** The answer to a request for one of the paths; undefined for another path. */
  readonly route: (
    request: HttpServerRequest.HttpServerRequest
  ) => Effect.Effect<HttpServerResponse.HttpServerResponse> | undefined
}

/** Nobody is there yet. `sessions` opens the servers, and counts its own clients against the same bound. */
export const make = Effect.fnUntraced(function* (
  sessions: Pick<EdgeSessions, "connect" | "makeRoom" | "size">
): Effect.fn.Return<SseEdge, never, Crypto> {
  const crypto = yield* Crypto
  const servers = new Map<string, Duplex>()

  /** Everything that one server says, after the place to post to. */
  const eventsOf = (id: string): Stream.Stream<Uint8Array> =>
    Stream.unwrap(
      Effect.gen(function* () {
        const server = yield* sessions.connect(false)
        servers.set(id, server)
        yield* Effect.addFinalizer(() => Effect.sync(() => servers.delete(id)))
        const lines = new LineSplitter(MESSAGE_BYTES_MAX)
        const said = Stream.fromIterableEffectRepeat(
          Effect.map(server.read, (chunk) =>
            lines.push(chunk).flatMap((line) => (line._tag === "Whole" ? [SseText.message(line.bytes)] : []))
          )
        )
        const alive = Stream.map(Stream.tick(KEEP_ALIVE), () => SseText.COMMENT)
        const endpoint = Stream.succeed(SseText.endpoint(`${MESSAGES_PATH}?${SESSION}=${id}`))
        return Stream.concat(endpoint, Stream.merge(said, alive, { haltStrategy: "left" }))
      })
    )

  const open = Effect.gen(function* () {
    if (servers.size + sessions.size() >= SESSIONS_MAX && !(yield* sessions.makeRoom)) {
      return EdgeReply.refusal(503, -32600, "Too many sessions are open.")
    }
    const events = eventsOf(Bytes.toHex(crypto.randomBytes(SESSION_BYTES)))
    return HttpServerResponse.stream(events, { contentType: EdgeReply.EVENTS, headers: EdgeReply.SSE_HEADERS })
  })

  const post = (request: HttpServerRequest.HttpServerRequest, query: string) =>
    Effect.gen(function* () {
      const server = servers.get(new URLSearchParams(query).get(SESSION) ?? "")
      if (server === undefined) return UNKNOWN_SESSION
      if (!EdgeDoor.isJson(request.headers)) return EdgeReply.refusal(415, -32600, "Messages are application/json.")
      const { body, envelope } = yield* EdgeReply.read(request)
      if (envelope._tag === "Batch") return EdgeReply.refusal(400, -32600, "Post one message at a time.")
      yield* Effect.ignore(server.write(Bytes.concat(body, NEWLINE)))
      return HttpServerResponse.text("Accepted", { status: 202 })
    }).pipe(Effect.catch((refused) => Effect.succeed(refused)))

  return {
    route: (request) => {
      const [path, query = ""] = request.url.split("?")
      if (path === SSE_PATH) return request.method === "GET" ? open : Effect.succeed(GET_ONLY)
      if (path === MESSAGES_PATH) return request.method === "POST" ? post(request, query) : Effect.succeed(POST_ONLY)
      return undefined
    }
  }
})

/** Where a client of this transport begins. */
export const SSE_PATH = "/sse"
const MESSAGES_PATH = "/messages"
const SESSION = "sessionId"
// A client that tries streamable HTTP first learns from 405 that this is the older transport (2025-03-26, "Backwards
// compatibility").
const GET_ONLY = EdgeReply.refusal(405, -32600, "Open the event stream here with GET.")
const POST_ONLY = EdgeReply.refusal(405, -32600, "POST messages here.")
const UNKNOWN_SESSION = EdgeReply.refusal(404, -32600, `This session is not open: GET ${SSE_PATH} first.`)
/** Not guessable, although a token protects the endpoint as well. */
const SESSION_BYTES = 16
const KEEP_ALIVE = "15 seconds"
const NEWLINE = Uint8Array.of(0x0a)

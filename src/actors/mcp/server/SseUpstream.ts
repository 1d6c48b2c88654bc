/**
 * An upstream server that speaks HTTP+SSE, the transport of revision 2024-11-05 (mcp §1.1): one event stream for all that it
 * says, whose first event names the place to post to. That place must be at the server's own origin, because what the
 * owner configured for this server, credentials included, goes there.
 *
 * Owns the stream; the end of its scope ends it, and with it the session.
 */
import { Deferred, Effect, type Scope } from "effect"
import type { HttpClient } from "effect/http"
import * as Bytes from "../../../core/data/Bytes.ts"
import * as BoundedBody from "../BoundedBody.ts"
import * as HttpCall from "./HttpCall.ts"
import * as HttpExchange from "./HttpExchange.ts"
import * as SseEvents from "./SseEvents.ts"

/** Which server, and who hears what it says. */
export interface Options {
  readonly client: HttpClient.HttpClient
  readonly place: HttpExchange.Place
  /** A message of the server. */
  readonly emit: (message: Uint8Array) => Effect.Effect<void>
  /** The stream is over, and the session with it. */
  readonly ended: (why: string) => Effect.Effect<void>
}

/** An open session. */
export interface SseUpstream {
  /** Sends a message; what the server answers comes on the stream. */
  readonly post: (message: Uint8Array) => Effect.Effect<void, HttpExchange.HttpFailed | HttpExchange.SessionLost>
}

/** A status with which a server answers a POST to the URL of its event stream (2025-03-26, "Backwards compatibility"). */
export const mayBe = ({ status }: HttpExchange.HttpFailed): boolean =>
  status === 400 || status === 404 || status === 405

/** Opens the stream and waits for the place to post to. */
export const open = Effect.fn("SseUpstream.open")(function* (
  options: Options
): Effect.fn.Return<SseUpstream, HttpExchange.HttpFailed, Scope.Scope> {
  const { client, ended, place } = options
  const response = yield* HttpExchange.send(client, place, { method: "GET", headers: { accept: "text/event-stream" } })
  if (response.status !== 200) return yield* HttpExchange.failedWith(response.status)
  if (!HttpCall.isEvents(response)) return yield* failed("it offers no event stream")
  const endpoint = yield* Deferred.make<string, HttpExchange.HttpFailed>()
  const reading = SseEvents.read(response.stream, (event) => {
    if (event._tag === "Retry" || event.data.length === 0) return Effect.void
    if (event.kind === "message") return options.emit(BoundedBody.oneLine(event.data))
    if (event.kind !== "endpoint") return Effect.void
    const url = HttpExchange.sameOrigin(place.url, Bytes.toUtf8Lossy(event.data.subarray(0, URL_BYTES_MAX)))
    // Only the first counts: a place that moved would get the rest of the session.
    return url === undefined
      ? Deferred.fail(endpoint, failed("it names another origin as the place for messages"))
      : Deferred.succeed(endpoint, url)
  })
  /** Before the session is open, its opening fails; later, it ends. */
  const over = (why: string) =>
    Effect.flatMap(Deferred.fail(endpoint, failed(why)), (isOpening) => (isOpening ? Effect.void : ended(why)))
  yield* reading.pipe(
    Effect.matchEffect({
      onFailure: (error) => over(`its event stream broke off (${error._tag})`),
      onSuccess: () => over("its event stream ended")
    }),
    Effect.forkScoped
  )
  const url = yield* Deferred.await(endpoint).pipe(
    Effect.timeoutOrElse({ duration: ENDPOINT_TIMEOUT, orElse: () => failed("it does not say where to post to") })
  )
  const target: HttpExchange.Place = { url, headers: place.headers, caller: place.caller }
  return {
    post: (body) =>
      Effect.gen(function* () {
        const answered = yield* HttpExchange.send(client, target, { method: "POST", headers: {}, body })
        if (answered.status === 404) return yield* new HttpExchange.SessionLost()
        if (answered.status < 200 || answered.status > 299) return yield* HttpExchange.failedWith(answered.status)
      }).pipe(Effect.scoped)
  }
})

const failed = (detail: string) =>
  new HttpExchange.HttpFailed({ kind: "unreachable", detail, delivered: false, retryable: false })

/** As a browser takes; longer ones are cut, and lead nowhere. */
const URL_BYTES_MAX = 8192
const ENDPOINT_TIMEOUT = "10 seconds"

/**
 * One HTTP request to an upstream MCP server, and what its status means (mcp §2.3, §2.4, §8 rules 3 and 10): to whom it
 * goes is fixed by the owner, nothing of a client's credentials is in it, and nothing of the server's challenge comes out.
 */
import { Effect, Schema, type Scope } from "effect"
import { type Headers, HttpClient, type HttpClientError, HttpClientRequest, type HttpClientResponse } from "effect/http"
import type { Kind } from "../../../protocol/relay/BridgeError.ts"

/** Why a request has no answer of the server; the facts of a `BridgeError` that do not depend on the request. */
export class HttpFailed extends Schema.TaggedError<HttpFailed>()("HttpFailed", {
  kind: Schema.Literals([
    "unreachable",
    "outcomeUnknown",
    "credentials",
    "tooLarge",
    "overloaded"
  ]) satisfies Schema.Schema<Kind>,
  /** For the owner of the service. */
  detail: Schema.String,
  delivered: Schema.Boolean,
  retryable: Schema.Boolean,
  /** What the server answered with, if that says more than the rest. */
  status: Schema.optionalKey(Schema.Int)
}) {}

/** The server does not know the session any more (mcp §2.3: 404): it took nothing of this request. */
export class SessionLost extends Schema.TaggedError<SessionLost>()("SessionLost", {}) {}

/** The way to one server. A redirect within its origin is followed and remembered. */
export interface Place {
  url: string
  /** What the owner configured. */
  readonly headers: Readonly<Record<string, string>>
  /** Who calls, for owners who want that told; asked for with every request. */
  readonly caller: () => Readonly<Record<string, string>>
}

/** What is asked. */
export interface Ask {
  readonly method: "POST" | "GET" | "DELETE"
  readonly headers: Headers.Input
  readonly body?: Uint8Array
}

/** Sends the request; the response's body may be read until the scope ends, which ends the request as well. */
export const send = (
  client: HttpClient.HttpClient,
  place: Place,
  ask: Ask,
  redirects = 0
): Effect.Effect<HttpClientResponse.HttpClientResponse, HttpFailed, Scope.Scope> =>
  Effect.gen(function* () {
    // The owner's headers come last: they may replace what we say, never what a client said, which is not there.
    const request = HttpClientRequest.make(ask.method)(place.url).pipe(
      HttpClientRequest.setHeaders(ask.headers),
      HttpClientRequest.setHeaders(place.headers),
      HttpClientRequest.setHeaders(place.caller()),
      ask.body === undefined ? (same) => same : HttpClientRequest.bodyUint8Array(ask.body, "application/json")
    )
    const response = yield* HttpClient.withScope(client)
      .execute(request)
      .pipe(
        // Neither a span with the URL nor a header that the owner did not configure.
        Effect.provideService(HttpClient.TracerDisabledWhen, () => true),
        Effect.mapError(failedBy)
      )
    const location = response.headers["location"]
    if (!isRedirect(response.status) || location === undefined) return response
    const target = sameOrigin(place.url, location)
    if (target === undefined || redirects === REDIRECTS_MAX) {
      const detail = "it redirects to another place; expose the URL where the server is"
      return yield* new HttpFailed({ kind: "unreachable", detail, delivered: false, retryable: false })
    }
    place.url = target
    return yield* send(client, place, ask, redirects + 1)
  })

/** What a status other than success means when the body is no JSON-RPC message. */
export const failedWith = (status: number): HttpFailed => {
  const failed = (kind: HttpFailed["kind"], delivered: boolean, retryable: boolean) =>
    new HttpFailed({ kind, detail: `it answered with status ${status}`, delivered, retryable, status })
  if (status === 401 || status === 403) return failed("credentials", false, false)
  if (status === 413) return failed("tooLarge", false, false)
  if (status === 429 || status === 503) return failed("overloaded", false, true)
  // Whatever stands in front of the server may have passed the request on before it failed.
  return status >= 500 ? failed("outcomeUnknown", true, false) : failed("unreachable", false, false)
}

/** The connection ended before the answer did. */
export const broken = (detail: string): HttpFailed =>
  new HttpFailed({ kind: "outcomeUnknown", detail, delivered: true, retryable: false })

const failedBy = ({ reason }: HttpClientError.HttpClientError): HttpFailed => {
  const code = codeOf(reason.cause)
  const detail = `it cannot be reached (${code === "" ? reason._tag : code})`
  return NOT_SENT.test(code)
    ? new HttpFailed({ kind: "unreachable", detail, delivered: false, retryable: true })
    : broken(`the connection broke (${code === "" ? reason._tag : code})`)
}

const codeOf = (cause: unknown): string => {
  if (!(cause instanceof Error)) return ""
  return "code" in cause && typeof cause.code === "string" ? cause.code : codeOf(cause.cause)
}

/** The URL of a redirect, or of a place that a server names, if that is at the server's own origin. */
export const sameOrigin = (from: string, location: string): string | undefined => {
  const target = URL.canParse(location, from) ? new URL(location, from) : undefined
  return target !== undefined && target.origin === new URL(from).origin ? target.href : undefined
}

/** Only those that repeat the request as it is. */
const isRedirect = (status: number): boolean => status === 307 || status === 308

/** Failures of a connection before a byte of the request went over it: name, dial, certificate. */
const NOT_SENT =
  /^(ECONNREFUSED|ENOTFOUND|EAI_AGAIN|EHOSTUNREACH|ENETUNREACH|EADDRNOTAVAIL|CERT_|ERR_TLS_|UNABLE_TO_|DEPTH_ZERO_|SELF_SIGNED_)/
const REDIRECTS_MAX = 3

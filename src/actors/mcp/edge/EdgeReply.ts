/** The short answers of an HTTP edge, and the reading of what is posted to it (mcp §2.3). */
import { Effect, Result } from "effect"
import { type HttpServerRequest, HttpServerResponse } from "effect/http"
import * as JsonRpcPeek from "../../../protocol/relay/JsonRpcPeek.ts"
import { STDIO_MESSAGE_BYTES_MAX } from "../../../protocol/relay/RelayControl.ts"
import * as BoundedBody from "../BoundedBody.ts"

/** A JSON-RPC error under an HTTP status; `id` is raw JSON text. */
export const refusal = (
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

/** A posted message on one line, with what kind of message it is. */
export interface Posted {
  readonly body: Uint8Array
  readonly envelope: JsonRpcPeek.Envelope
}

/** The message of a POST, or the answer that refuses it. */
export const read = (
  request: HttpServerRequest.HttpServerRequest
): Effect.Effect<Posted, HttpServerResponse.HttpServerResponse> =>
  Effect.matchEffect(BoundedBody.read(request.stream, STDIO_MESSAGE_BYTES_MAX), {
    onFailure: () => Effect.fail(refusal(413, -32600, `A message may have at most ${STDIO_MESSAGE_BYTES_MAX} bytes.`)),
    onSuccess: (bytes) => {
      const body = BoundedBody.oneLine(bytes)
      const peeked = JsonRpcPeek.peek(body)
      return Result.isFailure(peeked)
        ? Effect.fail(notJson(peeked.failure.reason))
        : Effect.succeed({ body, envelope: peeked.success })
    }
  })

const notJson = (reason: JsonRpcPeek.NotAMessage["reason"]): HttpServerResponse.HttpServerResponse =>
  reason === "Json" || reason === "Utf8"
    ? refusal(400, -32700, "The body is not JSON.")
    : refusal(400, -32600, "The body is no JSON-RPC message.")

/** The type of a single answer. */
export const JSON_TYPE = "application/json"
/** The type of an event stream. */
export const EVENTS = "text/event-stream"
/** Headers of an event stream: nothing on its way may keep it or wait for its end. */
export const SSE_HEADERS = { "cache-control": "no-cache, no-transform", "x-accel-buffering": "no" }
/** A session that was never opened here, or has ended; the client shall begin anew. */
export const UNKNOWN_SESSION = refusal(404, -32600, "This session is not known: send initialize again.")

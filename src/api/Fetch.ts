/** `fetch` for peers: what libraries that know nothing of Effect take to speak HTTP, such as clients of A2A. */
import { Cause, Effect, type Scope, Stream } from "effect"
import { HttpBody, HttpClient, HttpClientRequest, type HttpMethod } from "effect/http"
import * as Provided from "../core/actor/Provided.ts"
import { httpClient } from "./Http.ts"
import type { Pilot } from "./PilotService.ts"

/**
 * The function that the web calls `fetch`, for `http://NAME.pilot:PORT/` as `Pilot.httpClient` has it: any other host is refused.
 * Answers are streamed, what is sent is read into memory first; redirects are not followed. Like the web's it rejects with a
 * `TypeError`, whose cause is the failure, or with the reason of its `signal`, which also ends an answer. It works as long as the
 * scope around whoever asks for it.
 */
export const fetch: Effect.Effect<typeof globalThis.fetch, never, Pilot | Scope.Scope> = Effect.gen(function* () {
  const client = yield* HttpClient.HttpClient
  const run = Effect.runPromiseExitWith(yield* Provided.services<never>())
  const fetched: typeof globalThis.fetch = async (input, init) => {
    const request = new Request(input, init)
    const { headers, method, signal, url } = request
    const bytes = new Uint8Array(await request.arrayBuffer())
    const bare = HttpClientRequest.make(method as HttpMethod.HttpMethod)(url, { headers })
    const asked =
      bytes.length === 0 ? bare : HttpClientRequest.setBody(bare, HttpBody.uint8Array(bytes, typeOf(headers)))
    const exit = await run(client.execute(asked), { signal })
    signal.throwIfAborted()
    if (exit._tag === "Failure") {
      const cause = Cause.squash(exit.cause)
      throw new TypeError(`fetch failed: ${cause instanceof Error ? cause.message : String(cause)}`, { cause })
    }
    const answer = exit.value
    const body = method === "HEAD" || BODILESS.has(answer.status) ? null : bodyOf(answer.stream, signal)
    return new Response(body, { status: answer.status, headers: answer.headers })
  }
  return fetched
}).pipe(Effect.provide(httpClient))

const typeOf = (headers: Headers): string => headers.get("content-type") ?? "application/octet-stream"

/** Ends with the signal, as the body of the web's `fetch` does. */
const bodyOf = <E>(stream: Stream.Stream<Uint8Array, E>, signal: AbortSignal): ReadableStream =>
  Stream.toReadableStream(stream).pipeThrough(new TransformStream(), { signal })

/** Answers without a body, with which `Response` must not be given one. */
const BODILESS: ReadonlySet<number> = new Set([204, 205, 304])

/** `WebhookPost` on `node:http` and `node:https`. The name is looked up once, and only an address that is allowed is connected to. */
import { lookup } from "node:dns/promises"
import * as http from "node:http"
import * as https from "node:https"
import { isIP } from "node:net"
import { Effect, Layer } from "effect"
import { type Post, PostError, WebhookPost } from "./WebhookPost.ts"

/** The service. Each request has a connection of its own. */
export const layer: Layer.Layer<WebhookPost> = Layer.succeed(WebhookPost, {
  post: (post) =>
    Effect.flatMap(allowedAddresses(post), (addresses) => sendToOne(post, addresses)).pipe(
      Effect.timeoutOrElse({
        duration: post.timeoutMs,
        orElse: () => Effect.fail(new PostError({ reason: "Timeout", detail: `no answer within ${post.timeoutMs} ms` }))
      })
    )
})

interface Resolved {
  readonly address: string
  readonly family: number
}

/** Those that are allowed: a name may have others besides. */
const allowedAddresses = ({ admits, url }: Post): Effect.Effect<ReadonlyArray<Resolved>, PostError> => {
  const host = new URL(url).hostname.replace(/^\[|\]$/g, "")
  const family = isIP(host)
  const found =
    family > 0
      ? Effect.succeed([{ address: host, family }])
      : Effect.tryPromise({
          try: () => lookup(host, { all: true, verbatim: true }),
          catch: (error) => new PostError({ reason: "NotFound", detail: `${host}: ${messageOf(error)}` })
        })
  return Effect.flatMap(found, (addresses) => {
    const allowed = addresses.filter(({ address }) => admits(address))
    if (allowed.length > 0) return Effect.succeed(allowed)
    const shown = addresses.map(({ address }) => address).join(", ")
    const detail = `${host} leads to ${shown}, where this webhook is not allowed to go`
    return Effect.fail(new PostError({ reason: "NotAllowed", detail }))
  })
}

/** The next one only if nothing was sent to the one before. */
const sendToOne = (
  post: Post,
  [first, ...others]: ReadonlyArray<Resolved>
): Effect.Effect<{ readonly status: number }, PostError> => {
  if (first === undefined) return Effect.fail(new PostError({ reason: "NotConnected", detail: "no address" }))
  const sent = send(post, first)
  if (others.length === 0) return sent
  return Effect.catchIf(
    sent,
    ({ reason }) => reason === "NotConnected",
    () => sendToOne(post, others)
  )
}

const send = ({ body, headers, url }: Post, { address, family }: Resolved) =>
  Effect.callback<{ readonly status: number }, PostError>((resume) => {
    const { request } = url.startsWith("https:") ? https : http
    const sending = request(url, {
      method: "POST",
      agent: false,
      headers: { ...headers, "Content-Length": String(Buffer.byteLength(body)) },
      // The address that was looked at, whatever the name says by now; certificates are still checked by the name.
      lookup: (_host, options, found) =>
        options.all === true ? found(null, [{ address, family }]) : found(null, address, family)
    })
    sending.on("response", (response) => {
      resume(Effect.succeed({ status: response.statusCode ?? 0 }))
      response.on("error", () => undefined)
      response.destroy()
    })
    sending.on("error", (error) =>
      resume(
        Effect.fail(
          new PostError({
            reason: "code" in error && NOT_CONNECTED.has(String(error.code)) ? "NotConnected" : "Broken",
            detail: messageOf(error)
          })
        )
      )
    )
    sending.end(body)
    return Effect.sync(() => void sending.destroy())
  })

const messageOf = (error: unknown): string =>
  error instanceof Error ? error.message || ("code" in error ? String(error.code) : error.name) : String(error)

const NOT_CONNECTED: ReadonlySet<string> = new Set(["ECONNREFUSED", "ENETUNREACH", "EHOSTUNREACH", "EADDRNOTAVAIL"])

/** Opens WebSockets with the packages `ws` and `https-proxy-agent`. */
import type { IncomingMessage } from "node:http"
import { TLSSocket } from "node:tls"
import { Effect, type Scope } from "effect"
import { HttpsProxyAgent } from "https-proxy-agent"
import { WebSocket } from "ws"
import * as SelfSignedCertificate from "../crypto/SelfSignedCertificate.ts"
import * as NodeWebSocketPeer from "./NodeWebSocketPeer.ts"
import * as ProxySetting from "./ProxySetting.ts"
import { WebSocketError, type WebSocketTarget } from "./WebSocketClient.ts"
import type { WebSocketPeer } from "./WebSocketPeer.ts"

interface Limits {
  readonly timeoutMs: number
  readonly messageBytesMax: number
}

/** See `WebSocketClient`. */
export const connect = (
  target: WebSocketTarget,
  limits: Limits
): Effect.Effect<WebSocketPeer, WebSocketError, Scope.Scope> =>
  Effect.gen(function* () {
    const url = new URL(target.url)
    const proxy = yield* Effect.tryPromise({
      try: () => ProxySetting.resolve(target.proxy, url),
      catch: (error) => failure(target, "Proxy", error instanceof Error ? error.message : String(error))
    })
    const socket = yield* Effect.acquireRelease(
      open(target, proxy, limits).pipe(
        Effect.timeoutOrElse({
          duration: limits.timeoutMs,
          orElse: () => Effect.fail(failure(target, "Timeout", `no WebSocket within ${limits.timeoutMs} ms`))
        })
      ),
      (opened) => Effect.sync(() => close(opened)),
      { interruptible: true }
    )
    return NodeWebSocketPeer.make(socket)
  })

const open = (target: WebSocketTarget, proxy: string | undefined, { messageBytesMax }: Limits) =>
  Effect.callback<WebSocket, WebSocketError>((resume) => {
    let distrust: WebSocketError | undefined
    const socket = new WebSocket(target.url, [target.protocol], {
      ...(proxy === undefined ? {} : { agent: new HttpsProxyAgent(proxy, { keepAlive: false }) }),
      perMessageDeflate: false,
      maxPayload: messageBytesMax,
      // Judged below, before anything is said that matters.
      rejectUnauthorized: false
    })
    socket.once("upgrade", (response) => {
      distrust = judge(target, response)
      if (distrust !== undefined) socket.terminate()
    })
    socket.once("unexpected-response", (_request, response) => {
      const isProxys = proxy !== undefined && response.statusCode === PROXY_AUTHENTICATION
      const status = `${response.statusCode ?? ""} ${response.statusMessage ?? ""}`.trim()
      resume(Effect.fail(failure(target, isProxys ? "Proxy" : "NotOffered", `answered ${status}${by(proxy)}`)))
      socket.terminate()
    })
    socket.once("open", () => resume(distrust === undefined ? Effect.succeed(socket) : Effect.fail(distrust)))
    socket.on("error", (error) =>
      resume(Effect.fail(distrust ?? failure(target, "Unreachable", `${error.message}${by(proxy)}`)))
    )
    return Effect.sync(() => socket.terminate())
  })

/** A pin, or an authority that this host trusts: a proxy that reads TLS is one of its company's. */
const judge = (target: WebSocketTarget, { socket }: IncomingMessage): WebSocketError | undefined => {
  if (!(socket instanceof TLSSocket) || socket.authorized) return undefined
  const certificate = socket.getPeerX509Certificate()
  const shown = certificate === undefined ? "" : SelfSignedCertificate.fingerprintOf(certificate.raw)
  if (target.fingerprint !== undefined && shown === target.fingerprint) return undefined
  return failure(target, "Untrusted", `its certificate ${shown} is neither pinned nor of a trusted authority`)
}

const close = (socket: WebSocket): void => {
  socket.on("error", () => {})
  if (socket.readyState === socket.CONNECTING) return socket.terminate()
  socket.close()
  const expired = setTimeout(() => socket.terminate(), CLOSING_MS)
  socket.once("close", () => clearTimeout(expired))
}

const by = (proxy: string | undefined): string => (proxy === undefined ? "" : ` (through ${ProxySetting.shown(proxy)})`)

const failure = (target: WebSocketTarget, reason: WebSocketError["reason"], detail: string): WebSocketError =>
  new WebSocketError({ reason, url: target.url, detail })

/** For the other side to say goodbye. */
const CLOSING_MS = 2_000
/** RFC 9110 §15.5.8. */
const PROXY_AUTHENTICATION = 407

/** `TlsClient` over `node:net` and `node:tls`. */
import { connect as connectPlain, isIP, type Socket } from "node:net"
import { connect as connectSecure, type TLSSocket } from "node:tls"
import { Cause, Effect, Layer, Queue, type Scope } from "effect"
import * as SelfSignedCertificate from "../crypto/SelfSignedCertificate.ts"
import * as NodeWebSocketClient from "./NodeWebSocketClient.ts"
import { type ClientStream, ConnectError, StreamLost, TlsClient } from "./TlsClient.ts"
import type { WebSocketTarget } from "./WebSocketClient.ts"
import { WebSocketDuplex } from "./WebSocketDuplex.ts"

/** Provides `TlsClient` on real sockets. */
export const layer: Layer.Layer<TlsClient> = Layer.succeed(TlsClient, {
  connect: ({ through, ...options }) => {
    const { accept } = options
    if (accept === undefined) return openPlain(options)
    return through === undefined ? openSecure({ ...options, accept }) : openThrough({ ...options, accept }, through)
  }
})

interface Target {
  readonly host: string
  readonly port: number
  readonly timeoutMs: number
}

const openPlain = (target: Target): Effect.Effect<ClientStream, ConnectError, Scope.Scope> =>
  acquire(target, (resume) => {
    const socket = connectPlain({ host: target.host, port: target.port, noDelay: true })
    socket.once("connect", () => resume(Effect.succeed({ socket, fingerprint: undefined })))
    socket.on("error", (error) => resume(Effect.fail(failure(target, "Unreachable", error.message))))
    return socket
  })

/** The certificate that counts is the one inside: whoever ends the WebSocket's own TLS sees nothing of it. */
const openThrough = Effect.fnUntraced(function* (
  target: SecureTarget,
  through: WebSocketTarget
): Effect.fn.Return<ClientStream, ConnectError, Scope.Scope> {
  const limits = { timeoutMs: target.timeoutMs, messageBytesMax: MESSAGE_BYTES_MAX }
  const peer = yield* Effect.mapError(NodeWebSocketClient.connect(through, limits), (error) =>
    failure(target, error.reason === "Timeout" ? "Timeout" : "Unreachable", `${through.url}: ${error.detail}`)
  )
  return yield* openSecure(target, new WebSocketDuplex(peer))
})

interface SecureTarget extends Target {
  readonly accept: (fingerprint: string) => boolean
}

const openSecure = (
  target: SecureTarget,
  carrier?: WebSocketDuplex
): Effect.Effect<ClientStream, ConnectError, Scope.Scope> =>
  acquire(target, (resume) => {
    let isConnected = carrier !== undefined
    const socket = connectSecure({
      ...(carrier === undefined ? { host: target.host, port: target.port } : { socket: carrier }),
      // A server name must not be an address (RFC 6066 §3); the certificate is recognised by its fingerprint alone.
      ...(isIP(target.host) === 0 && { servername: target.host }),
      rejectUnauthorized: false,
      checkServerIdentity: () => undefined,
      minVersion: "TLSv1.2"
    })
    socket.setNoDelay(true)
    socket.once("connect", () => {
      isConnected = true
    })
    socket.once("secureConnect", () => resume(judge(target, socket)))
    // A server that does not speak TLS closes, resets or answers something else; all of it comes after the connection.
    socket.on("error", (error) =>
      resume(Effect.fail(failure(target, isConnected ? "NoTls" : "Unreachable", error.message)))
    )
    socket.once("close", () => resume(Effect.fail(failure(target, "NoTls", "closed during the TLS handshake"))))
    return socket
  })

const judge = (target: SecureTarget, socket: TLSSocket): Effect.Effect<Opened, ConnectError> => {
  const certificate = socket.getPeerX509Certificate()
  const fingerprint = certificate === undefined ? "" : SelfSignedCertificate.fingerprintOf(certificate.raw)
  if (target.accept(fingerprint)) return Effect.succeed({ socket, fingerprint })
  socket.destroy()
  return Effect.fail(failure(target, "Refused", "the server shows another certificate", fingerprint))
}

interface Opened {
  readonly socket: Socket
  readonly fingerprint: string | undefined
}

const acquire = (
  target: Target,
  open: (resume: (result: Effect.Effect<Opened, ConnectError>) => void) => Socket
): Effect.Effect<ClientStream, ConnectError, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.callback<Opened, ConnectError>((resume) => {
      const socket = open(resume)
      return Effect.sync(() => socket.destroy())
    }).pipe(
      Effect.timeoutOrElse({
        duration: target.timeoutMs,
        orElse: () => Effect.fail(failure(target, "Timeout", `no connection within ${target.timeoutMs} ms`))
      })
    ),
    ({ socket }) => Effect.sync(() => socket.destroy()),
    { interruptible: true }
  ).pipe(Effect.flatMap(toStream))

/** From here on the socket's events are the stream's. */
const toStream = Effect.fnUntraced(function* ({ socket, fingerprint }: Opened) {
  const chunks = yield* Queue.unbounded<Uint8Array, StreamLost | Cause.Done>()
  const lost = (detail: string) => Queue.failCauseUnsafe(chunks, Cause.fail(new StreamLost({ detail })))
  socket.on("data", (bytes: Uint8Array) => {
    Queue.offerUnsafe(chunks, bytes)
    // Read again when this chunk is taken, so that no more than one waits.
    socket.pause()
  })
  socket.once("end", () => Queue.endUnsafe(chunks))
  socket.once("error", (error) => lost(error.message))
  socket.once("close", () => lost("closed"))
  if (socket.destroyed) lost("closed")
  const stream: ClientStream = {
    fingerprint,
    read: Effect.tap(Queue.take(chunks), () => Effect.sync(() => socket.resume())),
    write: (bytes) =>
      Effect.callback((resume) => {
        socket.write(bytes, (error) =>
          resume(error ? Effect.fail(new StreamLost({ detail: error.message })) : Effect.void)
        )
      }),
    end: Effect.sync(() => {
      socket.end()
    })
  }
  return stream
})

const failure = (target: Target, reason: ConnectError["reason"], detail: string, fingerprint = ""): ConnectError =>
  new ConnectError({ reason, host: target.host, port: target.port, fingerprint, detail })

/** Of one message; the server sends what TLS gives it at once. */
const MESSAGE_BYTES_MAX = 1_048_576

/** `WebSocketListener` over `node:http`, `node:https` and the package `ws`. */
import { createServer as createHttp, type Server as HttpServer, type IncomingMessage } from "node:http"
import { createServer as createHttps } from "node:https"
import { createServer, type Server, type Socket } from "node:net"
import type { Duplex } from "node:stream"
import { Effect, Layer } from "effect"
import { WebSocketServer as Upgrader } from "ws"
import type { Endpoint } from "../data/Endpoint.ts"
import * as IpAddress from "../data/IpAddress.ts"
import * as NodeTcpServer from "./NodeTcpServer.ts"
import * as NodeWebSocketPeer from "./NodeWebSocketPeer.ts"
import {
  WebSocketListener,
  type WebSocketListenOptions,
  type WebSocketRequest,
  type WebSocketServer
} from "./WebSocketListener.ts"
import type { WebSocketPeer } from "./WebSocketPeer.ts"

/** Provides `WebSocketListener` on real sockets. */
export const layer: Layer.Layer<WebSocketListener> = Layer.succeed(WebSocketListener, {
  listen: (options) =>
    Effect.map(
      NodeTcpServer.listen(options, () => new Acceptor(options)),
      ({ onConnection, server }): WebSocketServer => ({ local: NodeTcpServer.localOf(server), onConnection })
    )
})

/** Counts connections, tells TLS from clear, and makes WebSockets of HTTP requests. */
class Acceptor {
  readonly server: Server
  readonly #options: WebSocketListenOptions
  readonly #plain: HttpServer
  readonly #secure: HttpServer
  readonly #upgrader: Upgrader
  readonly #sockets = new Set<Socket>()
  readonly #sources: NodeTcpServer.SourceCounts
  #take: ((peer: WebSocketPeer, request: WebSocketRequest) => void) | undefined

  constructor(options: WebSocketListenOptions) {
    this.#options = options
    this.#sources = new NodeTcpServer.SourceCounts(options.connectionsPerSourceMax)
    this.server = createServer({ noDelay: true }, (socket) => this.#accept(socket))
    this.#plain = createHttp(HTTP_LIMITS)
    this.#secure = createHttps({
      ...HTTP_LIMITS,
      cert: options.tls.certificatePem,
      key: options.tls.privateKeyPem,
      minVersion: "TLSv1.2",
      handshakeTimeout: OPENING_TIMEOUT_MS
    })
    this.#upgrader = new Upgrader({
      noServer: true,
      clientTracking: false,
      perMessageDeflate: false,
      maxPayload: options.messageBytesMax,
      handleProtocols: (offered, request) => {
        const protocol = options.protocols[pathOf(request)]
        return protocol !== undefined && offered.has(protocol) ? protocol : false
      }
    })
    for (const server of [this.#plain, this.#secure]) {
      server.on("request", (_request, response) => response.writeHead(426, CLOSE).end("a WebSocket is expected\n"))
      server.on("upgrade", (request, socket, head) => this.#upgrade(request, socket, head))
    }
  }

  readonly onConnection: WebSocketServer["onConnection"] = (accept) => {
    this.#take = accept
  }

  #accept(socket: Socket): void {
    socket.on("error", () => socket.destroy())
    const remote = NodeTcpServer.remoteOf(socket)
    if (remote === undefined || this.#sockets.size >= this.#options.connectionsMax) return void socket.destroy()
    // Behind a reverse proxy the sources are counted where they are known.
    if (!this.#options.isProxy(remote.host) && !this.#sources.count(remote.host, socket)) return void socket.destroy()
    this.#sockets.add(socket)
    socket.once("close", () => this.#sockets.delete(socket))
    const expire = setTimeout(() => socket.destroy(), OPENING_TIMEOUT_MS)
    socket.once("close", () => clearTimeout(expire))
    socket.once("data", (first: Uint8Array) => {
      clearTimeout(expire)
      socket.pause()
      socket.unshift(first)
      const server = first[0] === TLS_HANDSHAKE ? this.#secure : this.#plain
      server.emit("connection", socket)
      process.nextTick(() => socket.resume())
    })
  }

  readonly destroyAll = (): void => {
    for (const socket of this.#sockets) socket.destroy()
  }

  #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    socket.on("error", () => socket.destroy())
    const path = pathOf(request)
    const protocol = this.#options.protocols[path]
    const offered = String(request.headers["sec-websocket-protocol"] ?? "").split(",")
    if (protocol === undefined) return refuse(socket, "404 Not Found")
    if (!offered.some((name) => name.trim() === protocol)) return refuse(socket, "400 Bad Request")
    const remote = this.#remoteOf(request)
    if (remote === undefined) return refuse(socket, "400 Bad Request")
    if (remote.isForwarded && !this.#sources.count(remote.host, socket)) return refuse(socket, "429 Too Many Requests")
    this.#upgrader.handleUpgrade(request, socket, head, (opened) => {
      const peer = NodeWebSocketPeer.make(opened)
      if (this.#take === undefined) peer.destroy()
      else this.#take(peer, { path, remote: { host: remote.host, port: remote.port } })
    })
  }

  /** A reverse proxy names the client last of all. */
  #remoteOf({ headers, socket }: IncomingMessage): (Endpoint & { readonly isForwarded: boolean }) | undefined {
    const remote = NodeTcpServer.remoteOf(socket)
    if (remote === undefined || !this.#options.isProxy(remote.host)) {
      return remote === undefined ? undefined : { ...remote, isForwarded: false }
    }
    const named = String(headers["x-forwarded-for"] ?? "")
      .split(",")
      .at(-1)
    const host = IpAddress.canonical(named?.trim() ?? "")
    return host === undefined ? { ...remote, isForwarded: false } : { host, port: 0, isForwarded: true }
  }
}

const pathOf = ({ url = "/" }: IncomingMessage): string => url.split("?", 1)[0]!

const refuse = (socket: Duplex, status: string): void =>
  void socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`)

const CLOSE = { connection: "close", "content-type": "text/plain" }
/** The content type of the record that starts every TLS connection (RFC 8446 §5.1). */
const TLS_HANDSHAKE = 0x16
/** To send the first byte, and to finish the TLS handshake. */
const OPENING_TIMEOUT_MS = 10_000
/** A client that dawdles over its request is cut off. */
const HTTP_LIMITS = { headersTimeout: 10_000, requestTimeout: 15_000, keepAliveTimeout: 1000, maxHeaderSize: 8192 }

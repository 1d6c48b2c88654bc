/** `TlsSniffServer` over `node:net` and `node:tls`. */
import { createServer, type Socket } from "node:net"
import { createSecureContext, TLSSocket } from "node:tls"
import { Effect, Layer } from "effect"
import type { Endpoint } from "../data/Endpoint.ts"
import * as NodeTcpServer from "./NodeTcpServer.ts"
import {
  type ListeningServer,
  type ListenOptions,
  type ServedConnection,
  type ServerEvent,
  TlsSniffServer
} from "./TlsSniffServer.ts"
import { WebSocketDuplex } from "./WebSocketDuplex.ts"

/** Provides `TlsSniffServer` on real sockets. */
export const layer: Layer.Layer<TlsSniffServer> = Layer.succeed(TlsSniffServer, {
  listen: (options) =>
    Effect.map(
      NodeTcpServer.listen(options, () => makeAcceptor(options)),
      ({ onBatch, server, take }): ListeningServer => ({
        local: NodeTcpServer.localOf(server),
        onBatch,
        adopt: (peer, remote) => take(new WebSocketDuplex(peer), remote)
      })
    )
})

/** TCP, or what carries the same bytes. */
type Carrier = Socket | WebSocketDuplex

interface Acceptor extends NodeTcpServer.Serving {
  readonly take: (socket: Carrier, remote: Endpoint | undefined) => void
  readonly onBatch: ListeningServer["onBatch"]
}

/** Counts connections, tells TLS from plain text, and gathers events into batches. */
const makeAcceptor = (options: ListenOptions): Acceptor => {
  const secureContext = createSecureContext({
    cert: options.tls.certificatePem,
    key: options.tls.privateKeyPem,
    minVersion: "TLSv1.2"
  })
  const sockets = new Set<Carrier>()
  const sources = new NodeTcpServer.SourceCounts(options.connectionsPerSourceMax)
  const batches = makeBatches()
  let nextId = 1

  const admit = (socket: Carrier, remote: Endpoint): boolean => {
    if (sockets.size >= options.connectionsMax || !sources.count(remote.host, socket)) return false
    sockets.add(socket)
    socket.once("close", () => sockets.delete(socket))
    return true
  }

  const take = (socket: Carrier, remote: Endpoint | undefined): void => {
    socket.on("error", () => socket.destroy())
    if (remote === undefined || !admit(socket, remote)) {
      socket.destroy()
      return
    }
    const expire = setTimeout(() => socket.destroy(), options.openingTimeoutMs)
    socket.once("close", () => clearTimeout(expire))
    socket.once("data", (first) => {
      socket.pause()
      socket.unshift(first)
      const serve = (stream: Carrier, isTls: boolean): void => {
        clearTimeout(expire)
        attach(stream, { id: nextId++, remote, isTls }, batches.push)
      }
      if (first[0] !== TLS_HANDSHAKE) return serve(socket, false)
      const secure = new TLSSocket(socket, { isServer: true, secureContext })
      secure.on("error", () => socket.destroy())
      secure.once("secure", () => serve(secure, true))
    })
  }

  const destroyAll = (): void => {
    for (const socket of sockets) socket.destroy()
  }
  const server = createServer({ noDelay: true }, (socket) => take(socket, NodeTcpServer.remoteOf(socket)))
  return { server, take, onBatch: batches.onBatch, destroyAll }
}

/** Reports a connection's events from here on. */
const attach = (
  stream: Carrier,
  identity: Pick<ServedConnection, "id" | "remote" | "isTls">,
  push: (event: ServerEvent) => void
): void => {
  const connection: ServedConnection = {
    ...identity,
    bufferedBytes: () => stream.writableLength,
    send: (bytes) => {
      if (stream.writable) stream.write(bytes)
    },
    pause: () => stream.pause(),
    resume: () => stream.resume(),
    // A client that goes on sending, or never closes its own end, keeps nothing open.
    end: () => stream.destroySoon(),
    destroy: () => stream.destroy()
  }
  push({ _tag: "Opened", connection })
  stream.on("data", (bytes: Uint8Array) => push({ _tag: "Received", connection, bytes }))
  stream.once("close", () => push({ _tag: "Closed", connection }))
  stream.resume()
}

const makeBatches = () => {
  let receive: ((batch: ReadonlyArray<ServerEvent>) => void) | undefined
  let batch: Array<ServerEvent> = []
  const flush = (): void => {
    if (receive === undefined || batch.length === 0) return
    const events = batch
    batch = []
    receive(events)
  }
  return {
    push: (event: ServerEvent): void => {
      if (batch.push(event) === 1) setImmediate(flush)
    },
    onBatch: (receiver: (batch: ReadonlyArray<ServerEvent>) => void): void => {
      receive = receiver
      flush()
    }
  }
}

/** The content type of the record that starts every TLS connection (RFC 8446 §5.1). */
const TLS_HANDSHAKE = 0x16

/** `TlsSniffServer` over `node:net` and `node:tls`. */
import { createServer, type Server, type Socket } from "node:net"
import { createSecureContext, TLSSocket } from "node:tls"
import { Effect, Layer } from "effect"
import type { Endpoint } from "../data/Endpoint.ts"
import * as IpAddress from "../data/IpAddress.ts"
import * as SourceGroup from "../data/SourceGroup.ts"
import {
  type ListeningServer,
  type ListenOptions,
  type ServedConnection,
  type ServerEvent,
  TlsSniffServer
} from "./TlsSniffServer.ts"
import { BindError } from "./UdpEndpoint.ts"
import { WebSocketDuplex } from "./WebSocketDuplex.ts"

/** Provides `TlsSniffServer` on real sockets. */
export const layer: Layer.Layer<TlsSniffServer> = Layer.succeed(TlsSniffServer, {
  listen: (options) =>
    Effect.map(
      Effect.acquireRelease(open(options), ({ acceptor, server }) => close(acceptor, server)),
      ({ acceptor, server }): ListeningServer => ({
        local: localOf(server),
        onBatch: acceptor.onBatch,
        adopt: (peer, remote) => acceptor.take(new WebSocketDuplex(peer), remote)
      })
    )
})

const open = (options: ListenOptions) =>
  Effect.callback<{ readonly acceptor: Acceptor; readonly server: Server }, BindError>((resume) => {
    const prepared = prepare(options)
    if (prepared instanceof BindError) return resume(Effect.fail(prepared))
    const { acceptor, server } = prepared
    server.once("error", (error) => resume(Effect.fail(bindError(options, error))))
    server.listen({ host: options.host, port: options.port }, () => {
      // An accept error later on (no more file descriptors) must not end the process; the server goes on accepting.
      server.on("error", () => {})
      resume(Effect.succeed({ acceptor, server }))
    })
  })

/** A certificate that does not parse is known before any client is. */
const prepare = (options: ListenOptions) => {
  try {
    const acceptor = makeAcceptor(options)
    return { acceptor, server: createServer({ noDelay: true }, acceptor.accept) }
  } catch (error) {
    return bindError(options, error instanceof Error ? error : new Error(String(error)))
  }
}

const close = (acceptor: Acceptor, server: Server) =>
  Effect.callback<void>((resume) => {
    server.close(() => resume(Effect.void))
    acceptor.destroyAll()
  })

/** TCP, or what carries the same bytes. */
type Carrier = Socket | WebSocketDuplex

interface Acceptor {
  readonly accept: (socket: Socket) => void
  readonly take: (socket: Carrier, remote: Endpoint | undefined) => void
  readonly onBatch: ListeningServer["onBatch"]
  readonly destroyAll: () => void
}

/** Counts connections, tells TLS from plain text, and gathers events into batches. */
const makeAcceptor = (options: ListenOptions): Acceptor => {
  const secureContext = createSecureContext({
    cert: options.tls.certificatePem,
    key: options.tls.privateKeyPem,
    minVersion: "TLSv1.2"
  })
  const sockets = new Set<Carrier>()
  const perSource = new Map<string, number>()
  const batches = makeBatches()
  let nextId = 1

  const admit = (socket: Carrier, remote: Endpoint): boolean => {
    const source = SourceGroup.of(remote.host)
    const count = perSource.get(source) ?? 0
    if (sockets.size >= options.connectionsMax || count >= options.connectionsPerSourceMax) return false
    sockets.add(socket)
    perSource.set(source, count + 1)
    socket.once("close", () => {
      sockets.delete(socket)
      const left = (perSource.get(source) ?? 1) - 1
      if (left === 0) perSource.delete(source)
      else perSource.set(source, left)
    })
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
  return { accept: (socket) => take(socket, remoteOf(socket)), take, onBatch: batches.onBatch, destroyAll }
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

const remoteOf = (socket: Socket): Endpoint | undefined => {
  const host = IpAddress.canonical(socket.remoteAddress ?? "")
  return host === undefined || socket.remotePort === undefined ? undefined : { host, port: socket.remotePort }
}

const localOf = (server: Server): Endpoint => {
  const address = server.address()
  return address === null || typeof address === "string"
    ? { host: "", port: 0 }
    : { host: address.address, port: address.port }
}

const bindError = (options: ListenOptions, error: Error): BindError => {
  const code = "code" in error && typeof error.code === "string" ? error.code : ""
  return new BindError({
    reason: REASONS.get(code) ?? "Other",
    host: options.host ?? "",
    port: options.port,
    detail: error.message
  })
}

const REASONS: ReadonlyMap<string, BindError["reason"]> = new Map([
  ["EADDRINUSE", "PortInUse"],
  ["EADDRNOTAVAIL", "AddressNotAvailable"],
  ["EACCES", "PermissionDenied"],
  ["EPERM", "PermissionDenied"]
])
/** The content type of the record that starts every TLS connection (RFC 8446 §5.1). */
const TLS_HANDSHAKE = 0x16

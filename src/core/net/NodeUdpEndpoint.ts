/**
 * `UdpEndpoint` over `node:dgram`. One unconnected socket serves all peers; its `lookup` answers at once, because
 * destinations are literals, which saves a trip through the resolver's thread pool for every datagram.
 */
import { createSocket, type RemoteInfo, type Socket } from "node:dgram"
import { setImmediate } from "node:timers"
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import { Effect, FileSystem, Layer, type Scope } from "effect"
import * as Bytes from "../data/Bytes.ts"
import * as NodeBindError from "./NodeBindError.ts"
import * as NodeBuffers from "./NodeBuffers.ts"
import * as NodeInterfaceMtu from "./NodeInterfaceMtu.ts"
import {
  type BindError,
  type Datagram,
  type UdpCounters,
  UdpEndpoint,
  type UdpSocket,
  uncounted
} from "./UdpEndpoint.ts"

/**
 * Asked of the kernel for each direction: with its default, a saturated receiver lost 8.5 % of the datagrams, with this
 * none. The kernel may grant less; the socket then works with what it got.
 */
export const SOCKET_BUFFER_BYTES = 4 * 1024 * 1024

/** Real UDP sockets. What it means for the whole process: see `NodeBuffers`. */
export const layer: Layer.Layer<UdpEndpoint> = Layer.effect(
  UdpEndpoint,
  Effect.map(FileSystem.FileSystem, (fileSystem) => {
    NodeBuffers.countAsHeap()
    return { bind: (options) => bind(fileSystem, options), addresses: NodeInterfaceMtu.addresses }
  })
).pipe(Layer.provide(NodeFileSystem.layer))

interface BindOptions {
  readonly host: string
  readonly port: number
  readonly receiveBufferBytes?: number
  readonly counters?: UdpCounters
}

const bind = (
  fileSystem: FileSystem.FileSystem,
  options: BindOptions
): Effect.Effect<UdpSocket, BindError, Scope.Scope> =>
  Effect.map(Effect.acquireRelease(open(options), close), (socket) => ({
    ...wrap(socket, options.counters),
    mtuTowards: (to) => NodeInterfaceMtu.towards(fileSystem, to)
  }))

const open = (options: BindOptions): Effect.Effect<Socket, BindError> =>
  Effect.callback<Socket, BindError>((resume) => {
    const isIpv6 = options.host.includes(":")
    const socket = createSocket({
      type: isIpv6 ? "udp6" : "udp4",
      ipv6Only: isIpv6,
      lookup: (host, _options, done) => done(null, host, isIpv6 ? 6 : 4)
    })
    const refused = (error: NodeJS.ErrnoException) => {
      socket.close()
      resume(Effect.fail(NodeBindError.make(options, error)))
    }
    socket.once("error", refused)
    socket.once("listening", () => {
      socket.off("error", refused)
      // Errors of single datagrams are counted where they are sent; one without a listener would end the process.
      socket.on("error", () => {})
      askForBuffers(socket, options.receiveBufferBytes ?? SOCKET_BUFFER_BYTES)
      resume(Effect.succeed(socket))
    })
    socket.bind({ address: options.host, port: options.port })
  })

const close = (socket: Socket): Effect.Effect<void> =>
  Effect.callback((resume) => {
    socket.close(() => resume(Effect.void))
  })

/** The kernel may refuse, or grant less; both only cost datagrams under load. */
const askForBuffers = (socket: Socket, receiveBufferBytes: number): void => {
  for (const ask of [
    () => socket.setRecvBufferSize(receiveBufferBytes),
    () => socket.setSendBufferSize(SOCKET_BUFFER_BYTES)
  ]) {
    try {
      ask()
    } catch {}
  }
}

const wrap = (socket: Socket, counters: UdpCounters = uncounted()): Omit<UdpSocket, "mtuTowards"> => {
  const { address, port } = socket.address()
  let isClosed = false
  let receive: (batch: ReadonlyArray<Datagram>) => void = () => {}
  let batch: Array<Datagram> = []

  const flush = () => {
    const received = batch
    batch = []
    if (!isClosed) receive(received)
  }
  // One function for all datagrams: a closure for each would be garbage on the packet path.
  const sent = (error: Error | null) => {
    if (error !== null) counters.sendErrors++
  }
  socket.on("close", () => {
    isClosed = true
  })
  socket.on("message", (bytes: Uint8Array, { address: host, port }: RemoteInfo) => {
    counters.receivedDatagrams++
    counters.receivedBytes += bytes.length
    if (batch.push({ bytes, from: { host, port } }) === 1) setImmediate(flush)
  })

  return {
    local: { host: address, port },
    counters,
    onBatch: (receiver) => {
      receive = receiver
    },
    send: (bytes, to) => {
      // Node throws for what it can see to be wrong; on the packet path that is a lost datagram like any other.
      if (isClosed || !isPort(to.port)) {
        counters.sendErrors++
        return
      }
      counters.sentDatagrams++
      counters.sentBytes += Bytes.lengthOf(bytes)
      socket.send(bytes, to.port, to.host, sent)
    }
  }
}

const isPort = (port: number): boolean => Number.isInteger(port) && port > 0 && port <= 0xffff

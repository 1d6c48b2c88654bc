/** `Tcp` over `node:net`. */
import * as Net from "node:net"
import process from "node:process"
import { Cause, Effect, Layer, Queue, type Scope } from "effect"
import { Signal } from "../actor/Signal.ts"
import type { Endpoint } from "../data/Endpoint.ts"
import { codeOf, describe } from "./NodeLocalPath.ts"
import { Tcp, type TcpConnection, TcpError, type TcpListener } from "./Tcp.ts"

const connect = (to: Endpoint): Effect.Effect<TcpConnection, TcpError, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.callback<Net.Socket, TcpError>((resume) => {
      const socket = Net.connect({ ...to, allowHalfOpen: true, noDelay: true })
      const refuse = (cause: unknown) => resume(Effect.fail(tcpError(cause)))
      socket.once("error", refuse)
      socket.once("connect", () => {
        socket.off("error", refuse)
        resume(Effect.succeed(socket))
      })
      return Effect.sync(() => socket.destroy())
    }),
    (socket) => Effect.sync(() => close(socket)),
    { interruptible: true }
  ).pipe(Effect.map(connectionOf))

const listen = Effect.fnUntraced(function* (
  at: Endpoint,
  backlog: number
): Effect.fn.Return<TcpListener, TcpError, Scope.Scope> {
  const waiting = yield* Queue.dropping<Net.Socket>(backlog)
  const server = yield* Effect.acquireRelease(
    Effect.callback<Net.Server, TcpError>((resume) => {
      const server = Net.createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
        // Errors before anybody takes it end it, and nothing else.
        socket.on("error", ignore)
        if (!Queue.offerUnsafe(waiting, socket)) socket.resetAndDestroy()
      })
      server.once("error", (cause) => resume(Effect.fail(tcpError(cause))))
      server.listen({ ...at, backlog }, () => resume(Effect.succeed(server)))
      return Effect.sync(() => server.close())
    }),
    (server) =>
      Effect.gen(function* () {
        server.close()
        for (const socket of yield* Queue.clear(waiting)) socket.resetAndDestroy()
      })
  )
  const address = server.address()
  return {
    local: address !== null && typeof address === "object" ? { host: address.address, port: address.port } : at,
    accept: Effect.map(Queue.take(waiting), connectionOf)
  }
})

/** The service. */
export const layer: Layer.Layer<Tcp> = Layer.succeed(Tcp, { connect, listen })

const connectionOf = (socket: Net.Socket): TcpConnection => {
  const changed = new Signal()
  let ended: TcpError | Cause.Done | undefined
  const end = (how: TcpError | Cause.Done) => {
    ended ??= how
    changed.raise()
  }
  let isCorked = false
  const uncork = () => {
    isCorked = false
    socket.uncork()
  }
  const cut = () => new TcpError({ reason: "Reset", detail: "the connection is closed" })
  socket.on("readable", () => changed.raise())
  socket.on("end", () => end(Cause.Done()))
  socket.on("error", (cause) => end(tcpError(cause)))
  socket.on("close", () => end(cut()))
  if (socket.destroyed) end(cut())
  const read: TcpConnection["read"] = Effect.suspend(() => {
    const chunk: Uint8Array | null = socket.read()
    if (chunk !== null) return Effect.succeed(chunk)
    if (ended !== undefined) return Effect.fail(ended)
    return Effect.andThen(
      changed.waitUnless(() => socket.readableLength > 0 || ended !== undefined),
      read
    )
  })
  return {
    remote: { host: socket.remoteAddress ?? "", port: socket.remotePort ?? 0 },
    read,
    write: (bytes) =>
      Effect.callback<void, TcpError>((resume) => {
        if (!socket.writable) return resume(Effect.fail(cut()))
        // What is written in one turn leaves in one system call.
        if (!isCorked) {
          isCorked = true
          socket.cork()
          process.nextTick(uncork)
        }
        if (socket.write(bytes)) return resume(Effect.void)
        const stop = () => {
          socket.off("drain", onDrain)
          socket.off("close", onClose)
        }
        const onDrain = () => {
          stop()
          resume(Effect.void)
        }
        const onClose = () => {
          stop()
          resume(Effect.fail(cut()))
        }
        socket.on("drain", onDrain)
        socket.on("close", onClose)
        return Effect.sync(stop)
      }),
    end: Effect.sync(() => void (socket.writable && socket.end())),
    reset: Effect.sync(() => void socket.resetAndDestroy())
  }
}

/** What was written is still delivered; nothing is read any more. */
const close = (socket: Net.Socket): void => {
  socket.on("error", ignore)
  socket.destroySoon()
}

const ignore = () => {}

const tcpError = (cause: unknown): TcpError =>
  new TcpError({
    reason: REASONS.get(codeOf(cause)) ?? "Other",
    detail: describe(cause)
  })

const REASONS: ReadonlyMap<string, TcpError["reason"]> = new Map([
  ["ECONNREFUSED", "Refused"],
  ["ETIMEDOUT", "TimedOut"],
  ["EHOSTUNREACH", "Unreachable"],
  ["ENETUNREACH", "Unreachable"],
  ["ECONNRESET", "Reset"],
  ["EPIPE", "Reset"],
  ["EADDRINUSE", "PortInUse"],
  ["EADDRNOTAVAIL", "AddressNotAvailable"],
  ["EACCES", "PermissionDenied"],
  ["EPERM", "PermissionDenied"],
  ["EMFILE", "TooManyFiles"],
  ["ENFILE", "TooManyFiles"]
])

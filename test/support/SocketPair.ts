/** Two ends of one local socket in memory, with the back-pressure of a real one. */
import { Cause, Effect, Queue, type Scope } from "effect"
import { Socket } from "effect/socket"

/** The two ends. */
export interface SocketPair {
  readonly left: Socket.Socket
  readonly right: Socket.Socket
}

/** A fresh pair. A direction that holds `capacityBytes` unread bytes makes its writer wait. */
export const make = Effect.fnUntraced(function* (capacityBytes = 65536): Effect.fn.Return<SocketPair> {
  const toRight = yield* pipe(capacityBytes)
  const toLeft = yield* pipe(capacityBytes)
  return { left: end(toLeft, toRight), right: end(toRight, toLeft) }
})

type Pipe = Queue.Queue<Uint8Array, Socket.SocketError>

/** A queue of small pieces, so that its capacity in pieces is one in bytes. */
const pipe = (capacityBytes: number): Effect.Effect<Pipe> =>
  Queue.bounded<Uint8Array, Socket.SocketError>(Math.ceil(capacityBytes / PIECE_BYTES))

const end = (incoming: Pipe, outgoing: Pipe): Socket.Socket => {
  const hangUp = Effect.sync(() => {
    Queue.failCauseUnsafe(outgoing, Cause.fail(closed))
    Queue.failCauseUnsafe(incoming, Cause.fail(closed))
  })
  const writeAll = (chunks: ReadonlyArray<Uint8Array | string>): Effect.Effect<void, Socket.SocketError> =>
    Effect.gen(function* () {
      for (const chunk of chunks) {
        const bytes = typeof chunk === "string" ? new TextEncoder().encode(chunk) : chunk
        for (let at = 0; at < bytes.length; at += PIECE_BYTES) {
          if (!(yield* Queue.offer(outgoing, bytes.slice(at, at + PIECE_BYTES)))) return yield* closed
        }
      }
    })
  const reader: Effect.Effect<Socket.Reader, never, Scope.Scope> = Effect.acquireRelease(
    Effect.succeed({
      pull: Effect.map(Queue.take(incoming), (chunk) => [chunk] as const),
      upgrade: () => Effect.die("no TLS")
    }),
    () => hangUp
  )
  const writer: Socket.Writer = {
    write: (chunk) => (Socket.isCloseEvent(chunk) ? hangUp : writeAll([chunk])),
    writeAll
  }
  return Socket.make({ reader, writer: Effect.succeed(writer) })
}

const closed = new Socket.SocketError({ reason: new Socket.SocketCloseError({ code: 1000 }) })
const PIECE_BYTES = 4096

/**
 * A connected `net.Socket` as an `effect/socket` Socket. The platform's own adapter loads TLS and cryptography with it,
 * which costs more than half of the start of a short command.
 */
import type * as Net from "node:net"
import { Effect, type Scope } from "effect"
import { Socket } from "effect/socket"
import { Signal } from "../actor/Signal.ts"

/**
 * Reading starts with the reader, whose scope ends the connection; what was written is still delivered. A socket that
 * nobody reads fills its kernel buffer, and the other side waits.
 */
export const make = (connection: Net.Socket): Socket.Socket =>
  Socket.make({
    reader: reader(connection),
    writer: Effect.acquireRelease(Effect.succeed(writer(connection)), () => Effect.sync(() => connection.end()))
  })

const reader = (connection: Net.Socket): Effect.Effect<Socket.Reader, never, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Effect.sync(() => listen(connection)),
      ({ stop }) => Effect.sync(stop)
    ),
    ({ pull }) => ({ pull, upgrade: () => Effect.fail(closed(1003)) })
  )

interface Listening {
  readonly pull: Effect.Effect<readonly [Uint8Array], Socket.SocketError>
  readonly stop: () => void
}

const listen = (connection: Net.Socket): Listening => {
  // Whoever waits for bytes runs at once, and not a turn of the event loop later.
  const changed = new Signal()
  let chunks: Array<Uint8Array> = []
  let ended: Socket.SocketError | undefined
  const end = (error: Socket.SocketError) => {
    ended ??= error
    changed.raise()
  }
  // Flowing, because a stream of Node that is asked for each chunk takes a turn of its queue more for it.
  connection.on("data", (chunk: Uint8Array) => {
    chunks.push(chunk)
    if (!changed.isAwaited && chunks.length >= CHUNKS_MAX) connection.pause()
    changed.raise()
  })
  connection.on("end", () => end(closed(1000)))
  connection.on("close", () => end(closed(1006)))
  connection.on("error", (cause) => end(new Socket.SocketError({ reason: new Socket.SocketReadError({ cause }) })))
  if (connection.destroyed) end(closed(1006))
  // Whoever accepted it may have held it back until somebody listens.
  connection.resume()
  const isThere = () => chunks.length > 0 || ended !== undefined
  const pull: Listening["pull"] = Effect.suspend(() => {
    const [first, ...others] = chunks
    if (first !== undefined) {
      chunks = others
      if (others.length === 0 && connection.isPaused()) connection.resume()
      return Effect.succeed([first] as const)
    }
    return ended === undefined ? Effect.andThen(changed.waitUnless(isThere), pull) : Effect.fail(ended)
  })
  const stop = () => {
    end(closed(1006))
    connection.destroySoon()
  }
  return { pull, stop }
}

const writer = (connection: Net.Socket): Socket.Writer => {
  const put = (write: () => boolean): Effect.Effect<void, Socket.SocketError> =>
    Effect.suspend(() => {
      if (!connection.writable) return Effect.fail(closed(1006))
      return write() ? Effect.void : drained(connection)
    })
  return {
    write: (chunk) =>
      Socket.isCloseEvent(chunk) ? Effect.sync(() => void connection.destroy()) : put(() => connection.write(chunk)),
    writeAll: (chunks) =>
      put(() => {
        connection.cork()
        const isRoomy = chunks.map((chunk) => connection.write(chunk)).every(Boolean)
        connection.uncork()
        return isRoomy
      })
  }
}

const drained = (connection: Net.Socket): Effect.Effect<void, Socket.SocketError> =>
  Effect.callback((resume) => {
    const stop = () => {
      connection.off("drain", onDrain)
      connection.off("close", onClose)
    }
    const onDrain = () => {
      stop()
      resume(Effect.void)
    }
    const onClose = () => {
      stop()
      resume(Effect.fail(closed(1006)))
    }
    connection.on("drain", onDrain)
    connection.on("close", onClose)
    return Effect.sync(stop)
  })

/** Chunks of at most 64 KB that wait for a reader before the socket is no longer read. */
const CHUNKS_MAX = 2

const closed = (code: number): Socket.SocketError =>
  new Socket.SocketError({ reason: new Socket.SocketCloseError({ code }) })

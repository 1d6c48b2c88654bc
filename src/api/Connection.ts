/** An open stream to a port of a peer, as agent authors use it. */
import { Cause, Effect, Queue, Stream } from "effect"
import { Socket } from "effect/socket"
import type { ConnectionReset } from "../actors/node/Node.ts"
import type { Duplex } from "../core/net/Duplex.ts"

/** Ends with the scope it was dialled or accepted in. */
export interface Connection {
  /** The peer's address, `0:0000.0000.0002`. */
  readonly remote: string
  /** The peer's port. */
  readonly remotePort: number
  readonly localPort: number
  /** Waits while the peer does not read. */
  readonly write: (data: Uint8Array | string) => Effect.Effect<void, ConnectionReset>
  /**
   * On, as it is at first: a write leaves at once. Off: short writes wait for the acknowledgement of earlier ones, at most
   * 40 ms, so that many share one packet (Nagle).
   */
  readonly setNoDelay: (isOn: boolean) => Effect.Effect<void>
  /** What the peer sends, in order, until it closes. One reader at a time. */
  readonly readable: Stream.Stream<Uint8Array, ConnectionReset>
  /**
   * No more writes: everything written is delivered, then the peer's `readable` ends. Ours goes on until the peer's end,
   * which an implementation that knows no half-closed streams sends at once. Idempotent.
   */
  readonly end: Effect.Effect<void>
  /** No more writes, and no more reads: a peer that goes on sending is told. Idempotent; also done when the scope ends. */
  readonly close: Effect.Effect<void>
  /** The same stream for Effect's rpc, http and socket modules. */
  readonly socket: Socket.Socket
  /** The same stream in chunks as they arrive; its `end` is that of the connection. */
  readonly duplex: Duplex<ConnectionReset>
}

/** How a connection begins. */
export interface Options {
  /** Whether writes leave at once; true unless told otherwise. See `Connection.setNoDelay`. */
  readonly noDelay?: boolean
}

/** The connection as the options want it. */
export const configured = (connection: Connection, { noDelay = true }: Options = {}): Effect.Effect<Connection> =>
  noDelay ? Effect.succeed(connection) : Effect.as(connection.setNoDelay(false), connection)

/** A connection over any duplex that fails with `ConnectionReset`, and what closes both its directions. */
export const fromDuplex = (
  duplex: Duplex<ConnectionReset>,
  ends: Pick<Connection, "remote" | "remotePort" | "localPort" | "close" | "setNoDelay">
): Connection => ({
  ...ends,
  duplex,
  write: (data) => duplex.write(bytesOf(data)),
  end: duplex.end,
  // Made when asked for: most connections are used in one of the three ways.
  get readable() {
    return Stream.fromPull(Effect.succeed(Effect.map(duplex.read, (chunk) => [chunk] as const)))
  },
  get socket() {
    return toSocket(duplex, ends.close)
  }
})

/** A clean end is close code 1000, as Effect's sockets have it. */
const toSocket = (duplex: Duplex<ConnectionReset>, close: Effect.Effect<void>): Socket.Socket =>
  Socket.make({
    reader: Effect.gen(function* () {
      // Closing the reader's scope must fail a pull that waits (see `Socket.make`).
      const ended = yield* Queue.bounded<never, Socket.SocketError>(1)
      yield* Effect.addFinalizer(() => Queue.fail(ended, closed()))
      const pull = duplex.read.pipe(
        Effect.map((chunk) => [chunk] as const),
        Effect.catch((error) => (Cause.isDone(error) ? closed() : readFailed(error))),
        Effect.raceFirst(Queue.take(ended))
      )
      return { pull, upgrade: () => new Socket.SocketError({ reason: new Socket.SocketUpgradeError({}) }) }
    }),
    writer: Effect.succeed({
      write: (chunk) => (Socket.isCloseEvent(chunk) ? close : send(duplex, bytesOf(chunk))),
      writeAll: (chunks) => Effect.forEach(chunks, (chunk) => send(duplex, bytesOf(chunk)), { discard: true })
    })
  })

const send = (duplex: Duplex<ConnectionReset>, bytes: Uint8Array): Effect.Effect<void, Socket.SocketError> =>
  Effect.mapError(
    duplex.write(bytes),
    (cause) => new Socket.SocketError({ reason: new Socket.SocketWriteError({ cause }) })
  )

const closed = () => new Socket.SocketError({ reason: new Socket.SocketCloseError({ code: 1000 }) })

const readFailed = (cause: ConnectionReset) => new Socket.SocketError({ reason: new Socket.SocketReadError({ cause }) })

const bytesOf = (data: Uint8Array | string): Uint8Array => (typeof data === "string" ? UTF8.encode(data) : data)

const UTF8 = new TextEncoder()

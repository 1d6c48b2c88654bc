/**
 * Virtual ports as Effect's sockets: what its rpc, http and socket modules run on. `Pilot.socket` dials, again and again if its
 * user wants to; `Pilot.socketServer` accepts from the peers that are named.
 */
import { Cause, Effect, Layer, Schedule, type Scope, Stream } from "effect"
import { NetAddress } from "effect/net"
import { Socket, SocketServer } from "effect/socket"
import type { DialError, PortInUse } from "../actors/node/Node.ts"
import * as Provided from "../core/actor/Provided.ts"
import { type Access, type Gate, gate } from "./Access.ts"
import { Current } from "./Caller.ts"
import type { Connection } from "./Connection.ts"
import * as Nearest from "./Nearest.ts"
import type * as Peer from "./Peer.ts"
import { type DialOptions, Pilot, type PilotError } from "./PilotService.ts"
import { Redialling } from "./Redialling.ts"

/** A port of this node for the peers that are named. */
export interface ServerOptions extends Access {
  readonly port: number
}

/** Why a server cannot begin: an `allow` that leads to nobody, a port that is taken, no node. */
export type ServerError = DialError | Peer.NoSuchPeer | PilotError | PortInUse

/**
 * A socket to a port of a peer. Acquiring its reader dials, and the end of the reader's scope closes the connection; then it can
 * be acquired again. Writes wait for the connection. Of several peers (`Peer.capable`, `Peer.anyOf`) each dial takes the fastest. A dial that fails is a
 * `SocketOpenError`, whose cause is the `DialError`.
 */
export const socket = (
  peer: string | Peer.Selector,
  port: number,
  options?: DialOptions
): Effect.Effect<Socket.Socket, never, Pilot> =>
  Effect.map(Provided.services<Pilot>(), (context) => {
    const dial = Nearest.dial(peer, port, options)
    return new Redialling(Effect.mapError(Effect.provideContext(dial, context), cannotOpen)).socket
  })

/**
 * Effect's `SocketServer` on a port of this node. Streams of peers that are not named are closed without a word. When the daemon
 * of this node restarts, the port is taken again. Handlers know the peer by `Pilot.caller`.
 */
export const socketServer = (options: ServerOptions): Layer.Layer<SocketServer.SocketServer, ServerError, Pilot> =>
  Layer.effect(SocketServer.SocketServer, makeServer(options))

/** See `socketServer`. */
export const makeServer = Effect.fnUntraced(function* (
  options: ServerOptions
): Effect.fn.Return<SocketServer.SocketServer["Service"], ServerError, Pilot | Scope.Scope> {
  const { accept, address } = yield* makeAcceptor(options)
  return {
    address,
    run: (handler) =>
      accept((connection) => Effect.asVoid(handler(connection.socket))).pipe(
        Effect.mapError(
          (cause) =>
            new SocketServer.SocketServerError({ reason: new SocketServer.SocketServerUnknownError({ cause }) })
        )
      )
  }
})

/** Accepts the named peers' connections, each in a fiber with its caller in `Current`, until interrupted. */
export interface Acceptor {
  readonly address: NetAddress.SocketAddress
  readonly accept: <E, R>(
    serve: (connection: Connection) => Effect.Effect<void, E, R>
  ) => Effect.Effect<never, PilotError, R>
}

/** The port is taken when this returns, for as long as the scope lives. */
export const makeAcceptor = Effect.fnUntraced(function* (
  options: ServerOptions
): Effect.fn.Return<Acceptor, ServerError, Pilot | Scope.Scope> {
  const pilot = yield* Pilot
  const { port } = options
  const { address } = yield* pilot.info
  const admit = yield* gate(options, `port ${port}`)
  const first = yield* pilot.bind(port)
  // Tried for ever, so it never fails.
  const again = pilot.bind(port).pipe(
    Effect.tapError(({ message }) => Effect.logWarning(`port ${port} is not served: ${message}`)),
    Effect.retry(REBINDING)
  )
  return {
    address: NetAddress.unixPathAddress(`pilot/${address}/${port}`),
    accept: Effect.fnUntraced(function* (serve) {
      const room = new Room()
      const accepting = (connections: Stream.Stream<Connection, PilotError>) =>
        Stream.runForEach(connections, (connection) => Effect.forkScoped(carry(connection, admit, room, serve))).pipe(
          Effect.catch(({ message }) => Effect.logWarning(`port ${port} is lost: ${message}`))
        )
      yield* Effect.scoped(accepting(first))
      return yield* Effect.forever(Effect.scoped(Effect.flatMap(Effect.orDie(again), accepting)))
    })
  }
})

/** One connection, from its acceptance to its end. */
const carry = <E, R>(
  connection: Connection,
  admit: Gate,
  room: Room,
  serve: (connection: Connection) => Effect.Effect<void, E, R>
): Effect.Effect<void, never, R> =>
  Effect.gen(function* () {
    if (!room.enter(connection.remote)) return yield* Effect.logDebug(`too many streams of ${connection.remote}`)
    yield* Effect.gen(function* () {
      const caller = yield* admit(connection.remote)
      if (caller === undefined) return yield* Effect.logDebug(`${connection.remote} is not allowed here`)
      yield* Effect.provideService(serve(connection), Current, caller)
    }).pipe(Effect.ensuring(Effect.sync(() => room.leave(connection.remote))))
  }).pipe(
    Effect.ensuring(connection.close),
    Effect.catchCause((cause) =>
      Cause.hasInterruptsOnly(cause)
        ? Effect.interrupt
        : Effect.logDebug(`a stream of ${connection.remote} ended`, cause)
    )
  )

/** Counts the streams of one port. */
class Room {
  readonly #counts = new Map<string, number>()
  #total = 0

  enter(remote: string): boolean {
    const count = this.#counts.get(remote) ?? 0
    if (count >= STREAMS_PER_PEER_MAX || this.#total >= STREAMS_MAX) return false
    this.#counts.set(remote, count + 1)
    this.#total++
    return true
  }

  leave(remote: string): void {
    const count = (this.#counts.get(remote) ?? 1) - 1
    if (count === 0) this.#counts.delete(remote)
    else this.#counts.set(remote, count)
    this.#total--
  }
}

const cannotOpen = (cause: DialError | Peer.NoSuchPeer | PilotError): Socket.SocketError =>
  new Socket.SocketError({
    reason: new Socket.SocketOpenError({
      kind: cause._tag === "DialError" && cause.reason === "Timeout" ? "Timeout" : "Unknown",
      cause
    })
  })

/** A daemon that restarts is back soon; one that was stopped may take its time. */
const REBINDING = Schedule.min([Schedule.exponential("100 millis"), Schedule.spaced("5 seconds")])
/** Streams of one peer to one port that a program serves. */
const STREAMS_PER_PEER_MAX = 64
/** Streams to one such port. */
const STREAMS_MAX = 1024

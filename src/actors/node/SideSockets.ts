/**
 * A node's UDP socket with others beside it: to the rest of the node it is one socket. A side socket sends to one endpoint and
 * hears only that; once it is kept, everything that goes there leaves by it. So which of them is used is a property of the remote
 * endpoint, and paths need not know. What arrives by one says so (`Datagram.by`) and changes nothing here: whoever finds it authentic keeps
 * the socket.
 *
 * Side sockets live in the scope they were opened in.
 */
import { Deferred, Effect, Exit, Scope } from "effect"
import type { Pieces } from "../../core/data/Bytes.ts"
import * as Bytes from "../../core/data/Bytes.ts"
import * as Endpoint from "../../core/data/Endpoint.ts"
import type { BindError, Datagram, UdpEndpoint, UdpSocket } from "../../core/net/UdpEndpoint.ts"

/** Sockets that were opened together, towards one endpoint. */
export interface Group {
  readonly to: Endpoint.Endpoint
  readonly size: number
  /** One of them sends. */
  readonly send: (index: number, bytes: Pieces) => void
  /** Whether a datagram came by one of them. */
  readonly has: (by: number) => boolean
  /** From now on the node sends there by that one; the others are closed. The first call counts. */
  readonly keep: (by: number) => void
  /** Those that are left are closed; everything goes by the node's own socket again. */
  readonly release: () => void
}

/** Mutable, one for each socket that peers reach. */
export class SideSockets implements UdpSocket {
  readonly local: UdpSocket["local"]
  readonly other: UdpSocket["other"]
  readonly counters: UdpSocket["counters"]
  readonly mtuTowards: UdpSocket["mtuTowards"]
  readonly #main: UdpSocket
  readonly #udp: UdpEndpoint["Service"]
  #receive: (batch: ReadonlyArray<Datagram>) => void = () => {}
  /** Few, and looked at for each datagram. */
  #routes: ReadonlyArray<Route> = []
  #lastId = 0

  constructor(main: UdpSocket, udp: UdpEndpoint["Service"]) {
    this.#main = main
    this.#udp = udp
    this.local = main.local
    this.other = main.other
    this.counters = main.counters
    this.mtuTowards = main.mtuTowards
  }

  readonly onBatch = (receive: (batch: ReadonlyArray<Datagram>) => void): void => {
    this.#receive = receive
    this.#main.onBatch(receive)
  }

  readonly send = (bytes: Pieces, to: Endpoint.Endpoint): void => {
    const route = this.#routes.length === 0 ? undefined : this.#routes.find((one) => Endpoint.equals(one.to, to))
    if (route === undefined) this.#main.send(bytes, to)
    else this.#sendBy(route.socket, bytes, to)
  }

  /** Endpoints that side sockets are kept for. */
  get kept(): number {
    return this.#routes.length
  }

  /**
   * Opens a group and gives it to `opened`; ends when it was released. Fails, with all of them closed again, where the host refuses
   * one, and where as many as may be are kept.
   */
  run(to: Endpoint.Endpoint, count: number, opened: (group: Group) => void): Effect.Effect<void, BindError | "Full"> {
    return Effect.scoped(
      Effect.gen({ self: this }, function* () {
        if (this.#routes.length >= KEPT_MAX) return yield* Effect.fail("Full" as const)
        const sides: Array<Side> = []
        for (let index = 0; index < count; index++) sides.push(yield* this.#open(to))
        const kept = Deferred.makeUnsafe<Side | undefined>()
        const released = Deferred.makeUnsafe<void>()
        opened(this.#group(to, sides, kept, released))
        const chosen = yield* Deferred.await(kept)
        const others = sides.filter((side) => side !== chosen)
        yield* Effect.forEach(others, ({ scope }) => Scope.close(scope, Exit.void), { discard: true })
        if (chosen !== undefined) yield* Deferred.await(released)
      })
    )
  }

  #group(
    to: Endpoint.Endpoint,
    sides: ReadonlyArray<Side>,
    kept: Deferred.Deferred<Side | undefined>,
    released: Deferred.Deferred<void>
  ): Group {
    return {
      to,
      size: sides.length,
      send: (index, bytes) => {
        const side = sides[index]
        if (side !== undefined) this.#sendBy(side.socket, bytes, to)
      },
      has: (by) => sides.some(({ id }) => id === by),
      keep: (by) => {
        const side = sides.find(({ id }) => id === by)
        if (side === undefined || !Deferred.doneUnsafe(kept, Exit.succeed(side))) return
        this.#routes = [...this.#routes, { to, socket: side.socket }]
      },
      release: () => {
        this.#forget(sides)
        Deferred.doneUnsafe(kept, Exit.succeed(undefined))
        Deferred.doneUnsafe(released, Exit.void)
      }
    }
  }

  /** In a scope of its own, so that it can be closed alone. */
  #open(to: Endpoint.Endpoint): Effect.Effect<Side, BindError, Scope.Scope> {
    return Effect.gen({ self: this }, function* () {
      const scope = yield* Scope.fork(yield* Effect.scope)
      const id = ++this.#lastId
      const bound = this.#udp.bind({ host: this.local.host, port: 0 })
      const side: Side = { id, scope, socket: yield* Scope.provide(bound, scope) }
      yield* Scope.addFinalizer(
        scope,
        Effect.sync(() => this.#forget([side]))
      )
      side.socket.onBatch((batch) => {
        const heard = batch.filter(({ from }) => Endpoint.equals(from, to)).map((datagram) => ({ ...datagram, by: id }))
        for (const { bytes } of heard) {
          this.counters.receivedDatagrams++
          this.counters.receivedBytes += bytes.length
        }
        if (heard.length > 0) this.#receive(heard)
      })
      return side
    })
  }

  #forget(sides: ReadonlyArray<Side>): void {
    if (this.#routes.length > 0)
      this.#routes = this.#routes.filter(({ socket }) => !sides.some((side) => side.socket === socket))
  }

  /** Counted as the node's own. */
  #sendBy(socket: UdpSocket, bytes: Pieces, to: Endpoint.Endpoint): void {
    this.counters.sentDatagrams++
    this.counters.sentBytes += Bytes.lengthOf(bytes)
    socket.send(bytes, to)
  }
}

interface Side {
  readonly id: number
  readonly socket: UdpSocket
  readonly scope: Scope.Closeable
}

interface Route {
  readonly to: Endpoint.Endpoint
  readonly socket: UdpSocket
}

/** Peers that are reached by a side socket at one time. */
export const KEPT_MAX = 32

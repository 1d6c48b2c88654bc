/**
 * The doors that a node opens to its programs wherever it is met: a port bound here is bound in every membership, those that
 * come later included, and what arrives there waits in one queue (wire §9.2); datagrams reach every subscriber. Shared by the
 * `NodeCore` of each membership; what only one of them serves stays in its `Listeners`.
 */
import { type Cause, Effect, Queue, type Scope } from "effect"
import type { PortTable } from "../../protocol/stream/PortTable.ts"
import { ReceiveBudget } from "../../protocol/stream/ReceiveBudget.ts"
import type { Port } from "../../protocol/wire/Address.ts"
import * as HandshakeMessage from "../../protocol/wire/HandshakeMessage.ts"
import { BirthdayDesk } from "./BirthdayDesk.ts"
import { DatagramPorts } from "./DatagramPorts.ts"
import { type Connection, type Listener, PortInUse } from "./Node.ts"

/** One per process that is a node. */
export class Doors {
  /** For the received bytes of all streams together. */
  readonly receiveBudget = new ReceiveBudget()
  readonly birthdays = new BirthdayDesk()
  readonly #queues = new Map<Port, Queue.Queue<Connection, Cause.Done>>()
  readonly #tables = new Set<PortTable>()
  /** Who hears datagrams, wherever they come from. */
  readonly datagrams: DatagramPorts
  #connectionId = 0

  /** `start` gives any number; see `DatagramPorts`. */
  constructor(start: () => number) {
    this.datagrams = new DatagramPorts(start)
  }

  /** Connection ids are of the whole node (node §1.5). */
  readonly nextConnectionId = (): number => ++this.#connectionId

  /** The connections that wait on a port, if it is bound. */
  queue(port: Port): Queue.Queue<Connection, Cause.Done> | undefined {
    return this.#queues.get(port)
  }

  /** The ports of another membership: what is bound is bound there too, until the scope ends. */
  attach(ports: PortTable): Effect.Effect<void, never, Scope.Scope> {
    const attached = Effect.sync(() => {
      this.#tables.add(ports)
      for (const port of this.#queues.keys()) ports.bind(port)
    })
    return Effect.asVoid(Effect.acquireRelease(attached, () => Effect.sync(() => void this.#tables.delete(ports))))
  }

  /** Binds a port everywhere for as long as the scope lives. */
  listen(port: Port): Effect.Effect<Listener, PortInUse, Scope.Scope> {
    return Effect.map(
      Effect.acquireRelease(
        Effect.suspend(() => (this.#isFree(port) ? this.#bind(port) : new PortInUse({ port }))),
        (queue) => this.#unbind(port, queue)
      ),
      (queue) => ({ port, accept: Queue.take(queue) })
    )
  }

  /** The handshake's is each membership's own, also while there is none. */
  #isFree(port: Port): boolean {
    const isTaken = [...this.#tables].some((table) => table.isBound(port))
    return port !== HandshakeMessage.PORT && !this.#queues.has(port) && !isTaken
  }

  #bind(port: Port) {
    return Effect.map(Queue.dropping<Connection, Cause.Done>(ACCEPT_QUEUE_MAX), (queue) => {
      this.#queues.set(port, queue)
      for (const table of this.#tables) table.bind(port)
      return queue
    })
  }

  #unbind(port: Port, queue: Queue.Queue<Connection, Cause.Done>): Effect.Effect<void> {
    this.#queues.delete(port)
    for (const table of this.#tables) table.unbind(port)
    return abandon(queue)
  }
}

/** Nobody accepts any more: what waits is reset. */
export const abandon = (queue: Queue.Queue<Connection, Cause.Done>): Effect.Effect<void> =>
  Queue.clear(queue).pipe(
    Effect.flatMap((waiting) => Effect.forEach(waiting, (connection) => connection.reset, { discard: true })),
    Effect.andThen(Queue.end(queue))
  )

/** As many as a port may have (wire §8): the 64 of the reference are full before a listener that is there has had a turn. */
export const ACCEPT_QUEUE_MAX = 1024

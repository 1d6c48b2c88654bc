/**
 * The bound ports of a node and the connections waiting to be accepted on them (wire §9.2): at most 64 per port, the
 * next is reset. Closing a listener's scope unbinds the port and resets what nobody accepted.
 */
import { Cause, Effect, Queue, type Scope } from "effect"
import type { PortTable } from "../../protocol/stream/PortTable.ts"
import type { Port } from "../../protocol/wire/Address.ts"
import { type Connection, type Listener, PortInUse } from "./Node.ts"

/** All listeners of one node; read synchronously when a SYN arrives. */
export class Listeners {
  readonly #ports: PortTable
  readonly #queues = new Map<Port, Queue.Queue<Connection, Cause.Done>>()

  constructor(ports: PortTable) {
    this.#ports = ports
  }

  /** Whether a SYN to the port can be taken now. */
  hasRoom(port: Port): boolean {
    const queue = this.#queues.get(port)
    return queue !== undefined && Queue.sizeUnsafe(queue) < ACCEPT_QUEUE_MAX
  }

  /** Queues an open connection; false when nobody listens any more or the queue is full. */
  offer(port: Port, connection: Connection): boolean {
    const queue = this.#queues.get(port)
    return queue !== undefined && Queue.offerUnsafe(queue, connection)
  }

  /** Binds a port for as long as the scope lives. */
  listen(port: Port): Effect.Effect<Listener, PortInUse, Scope.Scope> {
    return Effect.acquireRelease(
      Effect.suspend(() => (this.#ports.bind(port) ? Effect.as(this.#bind(port), port) : new PortInUse({ port }))),
      (bound) => this.#unbind(bound)
    ).pipe(
      Effect.map((bound) => {
        const queue = this.#queues.get(bound)
        return { port: bound, accept: queue === undefined ? Cause.done() : Queue.take(queue) }
      })
    )
  }

  #bind(port: Port): Effect.Effect<void> {
    return Effect.map(Queue.dropping<Connection, Cause.Done>(ACCEPT_QUEUE_MAX), (queue) => {
      this.#queues.set(port, queue)
    })
  }

  #unbind(port: Port): Effect.Effect<void> {
    const queue = this.#queues.get(port)
    this.#queues.delete(port)
    this.#ports.unbind(port)
    if (queue === undefined) return Effect.void
    return Queue.clear(queue).pipe(
      Effect.flatMap((waiting) => Effect.forEach(waiting, (connection) => connection.reset, { discard: true })),
      Effect.andThen(Queue.end(queue))
    )
  }
}

/** wire §8. */
export const ACCEPT_QUEUE_MAX = 64

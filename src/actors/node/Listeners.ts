/**
 * Where a SYN to one membership may lead: to a port that this membership alone serves (the trust handshake), or to one of the
 * node's `Doors`, which show the peer's address as it reads outside. Where too many connections wait on a port, the next is reset
 * (wire §9.2). Closing a listener's scope unbinds the port and resets what nobody accepted.
 */
import { Cause, Effect, Queue, type Scope } from "effect"
import type { PortTable } from "../../protocol/stream/PortTable.ts"
import type { Address, Port } from "../../protocol/wire/Address.ts"
import { ACCEPT_QUEUE_MAX, abandon, type Doors } from "./Doors.ts"
import { type Connection, type Listener, PortInUse } from "./Node.ts"

/** How what belongs to one registry reads outside its membership; nothing for what has no name there. */
export interface Outside {
  readonly address: (address: Address) => Address | undefined
  readonly connection: (connection: Connection) => Connection | undefined
}

/** All listeners of one membership; read synchronously when a SYN arrives. */
export class Listeners {
  readonly #ports: PortTable
  readonly #doors: Doors
  readonly #outside: Outside
  readonly #queues = new Map<Port, Queue.Queue<Connection, Cause.Done>>()

  constructor(ports: PortTable, doors: Doors, outside: Outside) {
    this.#ports = ports
    this.#doors = doors
    this.#outside = outside
  }

  /** Whether a SYN to the port can be taken now. */
  hasRoom(port: Port): boolean {
    const queue = this.#queues.get(port) ?? this.#doors.queue(port)
    return queue !== undefined && Queue.sizeUnsafe(queue) < ACCEPT_QUEUE_MAX
  }

  /** Queues an open connection; false when nobody listens any more or the queue is full. */
  offer(port: Port, connection: Connection): boolean {
    const own = this.#queues.get(port)
    if (own !== undefined) return Queue.offerUnsafe(own, connection)
    const queue = this.#doors.queue(port)
    const shown = queue === undefined ? undefined : this.#outside.connection(connection)
    return queue !== undefined && shown !== undefined && Queue.offerUnsafe(queue, shown)
  }

  /** Binds a port of this membership alone for as long as the scope lives. */
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
    return queue === undefined ? Effect.void : abandon(queue)
  }
}

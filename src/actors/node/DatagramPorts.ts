/**
 * Who hears the datagrams of a node (wire §11): whoever asked for all of them, and whoever holds the port they come to.
 * Mutable, owned by one node.
 */
import { Effect, Queue, type Scope } from "effect"
import { Port } from "../../protocol/wire/Address.ts"
import { type DatagramReceived, PortInUse } from "./Node.ts"

/** A port that is held until its scope ends. */
export interface HeldPort {
  readonly port: Port
  /** What came to it; the newest are dropped when nobody takes them. */
  readonly received: Queue.Dequeue<DatagramReceived>
}

type Heard = Queue.Queue<DatagramReceived>

/** The ports and listeners of one node. */
export class DatagramPorts {
  readonly #all = new Set<Heard>()
  readonly #held = new Map<Port, Heard>()
  readonly #start: () => number
  #cursor: number | undefined

  /** `start` gives any number, which says what port comes first when none is asked for; peers may still write to the last life's. */
  constructor(start: () => number) {
    this.#start = start
  }

  /** Every datagram from now on, as long as the scope lives. */
  all(capacity: number): Effect.Effect<Queue.Dequeue<DatagramReceived>, never, Scope.Scope> {
    return this.#listen(
      capacity,
      (queue) => this.#all.add(queue),
      (queue) => this.#all.delete(queue)
    )
  }

  /** Holds a port, or a free one above 49151: nobody else is given it or may send from it. */
  hold(wanted: Port | undefined, capacity: number): Effect.Effect<HeldPort, PortInUse, Scope.Scope> {
    return Effect.suspend((): Effect.Effect<HeldPort, PortInUse, Scope.Scope> => {
      const port = wanted ?? this.#free()
      if (port === undefined || this.#held.has(port)) return new PortInUse({ port: port ?? 0 })
      const listening = this.#listen(
        capacity,
        (queue) => this.#held.set(port, queue),
        () => this.#held.delete(port)
      )
      return Effect.map(listening, (received) => ({ port, received }))
    })
  }

  /** Gives one that has come to whom it is for. */
  received(datagram: DatagramReceived): void {
    const held = this.#held.get(datagram.destinationPort)
    if (held !== undefined) Queue.offerUnsafe(held, datagram)
    for (const queue of this.#all) Queue.offerUnsafe(queue, datagram)
  }

  #free(): Port | undefined {
    let cursor = this.#cursor ?? EPHEMERAL_FIRST + (this.#start() % EPHEMERAL_PORTS)
    for (let tries = 0; tries < EPHEMERAL_PORTS; tries++) {
      const port = Port(cursor)
      cursor = cursor === EPHEMERAL_LAST ? EPHEMERAL_FIRST : cursor + 1
      this.#cursor = cursor
      if (!this.#held.has(port)) return port
    }
    return undefined
  }

  #listen(
    capacity: number,
    begin: (queue: Heard) => unknown,
    end: (queue: Heard) => unknown
  ): Effect.Effect<Heard, never, Scope.Scope> {
    const opened = Effect.tap(Queue.dropping<DatagramReceived>(capacity), (queue) => Effect.sync(() => begin(queue)))
    return Effect.acquireRelease(opened, (queue) => {
      end(queue)
      return Queue.shutdown(queue)
    })
  }
}

/** wire §2. */
const EPHEMERAL_FIRST = 49152
const EPHEMERAL_LAST = 65535
const EPHEMERAL_PORTS = EPHEMERAL_LAST - EPHEMERAL_FIRST + 1

/**
 * A standing checker: what is read from a stream is what was written to it, each byte once and in order, and the end comes
 * after the last byte. It stands between a node and its users, so it sees what they see, whatever happened below.
 */
import { Cause, Effect } from "effect"
import type { Connection, Listener, Node } from "../actors/node/Node.ts"
import type { Address } from "../protocol/wire/Address.ts"

/** Where the ledger tells. */
export interface Sinks {
  /** A stream broke its promise. */
  readonly violated: (detail: string) => void
  /** Somebody writes this; it must not be seen on the wire. */
  readonly written: (bytes: Uint8Array) => void
}

/** Mutable; one for each simulated world. It holds the bytes that were written and not yet read. */
export class StreamLedger {
  /** Bytes read and found right. */
  checkedBytes = 0
  /** Streams ever opened. */
  opened = 0
  readonly #sinks: Sinks
  /** The latest stream between two ports of two nodes. */
  readonly #streams = new Map<string, Stream>()
  /** All with bytes on the way. */
  readonly #directions = new Set<Direction>()

  constructor(sinks: Sinks) {
    this.#sinks = sinks
  }

  /** Bytes written and not read yet, of the stream that has most of them. */
  get unreadBytesMax(): number {
    return [...this.#directions].reduce((most, { read, written }) => Math.max(most, written - read), 0)
  }

  /** The same node, watched; `namesOf` tells what both ends of a connection to an address are called in the whole world. */
  watch(
    node: Node["Service"],
    namesOf: (remote: Address) => Effect.Effect<readonly [string, string]> = (remote) =>
      Effect.map(node.address, (self) => [`${self.node}`, `${remote.node}`])
  ): Node["Service"] {
    const watched = (side: Side) => (connection: Connection) =>
      Effect.map(namesOf(connection.remote), (names) => this.#connection(connection, names, side))
    return {
      ...node,
      dial: (target, port, options) => Effect.flatMap(node.dial(target, port, options), watched("dialler")),
      listen: (port) =>
        Effect.map(
          node.listen(port),
          (listener): Listener => ({ ...listener, accept: Effect.flatMap(listener.accept, watched("acceptor")) })
        )
    }
  }

  #connection(connection: Connection, [self, peer]: readonly [string, string], side: Side): Connection {
    const { closed, id, localPort, remote, remotePort } = connection
    const here = `${self}:${localPort}`
    const there = `${peer}:${remotePort}`
    const stream = this.#claim(side === "dialler" ? `${here} > ${there}` : `${there} > ${here}`, side)
    const [outgoing, incoming] =
      side === "dialler" ? [stream.toAcceptor, stream.toDialler] : [stream.toDialler, stream.toAcceptor]
    return {
      id,
      localPort,
      remote,
      remotePort,
      closed,
      setNoDelay: (isOn) => connection.setNoDelay(isOn),
      write: (bytes) => this.#write(connection, outgoing, bytes),
      read: this.#read(connection, incoming),
      end: Effect.andThen(
        Effect.sync(() => {
          outgoing.isEnded = true
        }),
        connection.end
      ),
      close: Effect.andThen(
        Effect.sync(() => {
          outgoing.isEnded = true
          incoming.isAbandoned = true
        }),
        connection.close
      ),
      reset: Effect.andThen(
        Effect.sync(() => {
          outgoing.isUnsure = true
        }),
        connection.reset
      )
    }
  }

  /** Both ends of a stream find each other by their ports; whoever comes second to an end has a new stream. */
  #claim(name: string, side: Side): Stream {
    const known = this.#streams.get(name)
    const stream = known === undefined || known.claimed.has(side) ? this.#open(name) : known
    stream.claimed.add(side)
    return stream
  }

  #open(name: string): Stream {
    this.opened++
    const former = this.#streams.get(name)
    if (former !== undefined) {
      this.#directions.delete(former.toAcceptor)
      this.#directions.delete(former.toDialler)
    }
    const stream = {
      claimed: new Set<Side>(),
      toAcceptor: makeDirection(name),
      toDialler: makeDirection(`${name} (back)`)
    }
    this.#streams.set(name, stream)
    return stream
  }

  #write(connection: Connection, direction: Direction, bytes: Uint8Array) {
    return Effect.suspend(() => {
      this.#directions.add(direction)
      direction.chunks.push(bytes.slice())
      direction.written += bytes.length
      this.#sinks.written(bytes)
      return connection.write(bytes)
    }).pipe(
      // Nobody knows how much of it was taken.
      Effect.onError(() =>
        Effect.sync(() => {
          direction.isUnsure = true
        })
      )
    )
  }

  #read(connection: Connection, direction: Direction): Connection["read"] {
    return connection.read.pipe(
      Effect.tap((chunk) => Effect.sync(() => this.#check(direction, chunk))),
      Effect.tapError((error) => Effect.sync(() => (Cause.isDone(error) ? this.#ended(direction) : undefined)))
    )
  }

  #check(direction: Direction, chunk: Uint8Array): void {
    let at = 0
    while (at < chunk.length) {
      const expected = direction.chunks[0]
      if (expected === undefined) {
        if (!direction.isUnsure) this.#violated(direction, "more bytes than were written")
        return
      }
      const left = expected.length - direction.offset
      const count = Math.min(left, chunk.length - at)
      for (let index = 0; index < count; index++) {
        if (chunk[at + index] !== expected[direction.offset + index]) {
          if (!direction.isUnsure) this.#violated(direction, "another byte than was written")
          return
        }
      }
      at += count
      direction.read += count
      this.checkedBytes += count
      direction.offset += count
      if (count === left) {
        direction.chunks.shift()
        direction.offset = 0
      }
    }
    if (direction.read === direction.written) this.#directions.delete(direction)
  }

  #ended(direction: Direction): void {
    if (direction.isUnsure || direction.isAbandoned || !direction.isEnded || direction.read === direction.written)
      return
    this.#violated(direction, "the end comes before the last byte")
  }

  #violated({ name, read, written }: Direction, detail: string): void {
    this.#sinks.violated(`stream ${name}: ${detail}, after ${read} of ${written} bytes`)
  }
}

type Side = "dialler" | "acceptor"

interface Stream {
  readonly claimed: Set<Side>
  readonly toAcceptor: Direction
  readonly toDialler: Direction
}

interface Direction {
  readonly name: string
  /** Written and not read; `offset` bytes of the first one are. */
  readonly chunks: Array<Uint8Array>
  offset: number
  written: number
  read: number
  /** The writer has said that this is all. */
  isEnded: boolean
  /** The reader has closed the stream, and reads to the end of what it had. */
  isAbandoned: boolean
  /** A write failed, or the stream was reset: what follows cannot be told. */
  isUnsure: boolean
}

const makeDirection = (name: string): Direction => ({
  name,
  chunks: [],
  offset: 0,
  written: 0,
  read: 0,
  isEnded: false,
  isAbandoned: false,
  isUnsure: false
})

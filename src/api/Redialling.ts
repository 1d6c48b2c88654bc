/** One `Socket` over connections that follow one another: each acquisition of its reader dials the next. */
import { Effect, Latch, type Scope } from "effect"
import { Socket } from "effect/socket"
import type { Connection } from "./Connection.ts"

/** Mutable: knows the connection of now. */
export class Redialling {
  readonly #dial: Effect.Effect<Connection, Socket.SocketError, Scope.Scope>
  readonly #isOpen = Latch.makeUnsafe(false)
  #current: Socket.Writer | undefined

  constructor(dial: Effect.Effect<Connection, Socket.SocketError, Scope.Scope>) {
    this.#dial = dial
  }

  /** For Effect's modules. */
  get socket(): Socket.Socket {
    return Socket.make({ reader: this.#reader, writer: Effect.succeed(this.#writer) })
  }

  readonly #reader: Socket.Socket["reader"] = Effect.gen({ self: this }, function* () {
    const { socket } = yield* this.#dial
    const [writer, reader] = [yield* socket.writer, yield* socket.reader]
    yield* Effect.acquireRelease(
      Effect.sync(() => {
        this.#current = writer
        this.#isOpen.openUnsafe()
      }),
      () =>
        Effect.sync(() => {
          if (this.#current !== writer) return
          this.#current = undefined
          this.#isOpen.closeUnsafe()
        })
    )
    return reader
  })

  readonly #writer: Socket.Writer = {
    write: (chunk) => this.#with((writer) => writer.write(chunk)),
    writeAll: (chunks) => this.#with((writer) => writer.writeAll(chunks))
  }

  #with<A>(write: (writer: Socket.Writer) => Effect.Effect<A, Socket.SocketError>) {
    return Effect.flatMap(this.#isOpen.await, () =>
      // Closed again while the writer was woken: the reader's failure tells its user.
      this.#current === undefined
        ? Effect.fail(new Socket.SocketError({ reason: new Socket.SocketCloseError({ code: 1006 }) }))
        : write(this.#current)
    )
  }
}

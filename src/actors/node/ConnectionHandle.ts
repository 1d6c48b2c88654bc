/** What the user of a connection holds: reading, writing and ending as effects over a stream that answers at once. */
import { Effect } from "effect"
import type { Signal } from "../../core/actor/Signal.ts"
import type { Address, Port } from "../../protocol/wire/Address.ts"
import type { Connection, ConnectionReset, DirectStream } from "./Node.ts"

/** Where a connection belongs. */
export type Place = Pick<Connection, "id" | "localPort" | "remote" | "remotePort">

/** A stream whose owner runs on this thread. */
export interface Stream extends DirectStream {
  /** Raised when `write` may take more, or nothing any more. */
  readonly writable: Signal
  /** Raised when the connection is gone. */
  readonly closed: Signal
  readonly isGone: boolean
  readonly canWrite: boolean
  /** `write` would take something, or nothing can be written any more. */
  readonly isWritable: boolean
  /** How many of the bytes were taken. */
  readonly write: (bytes: Uint8Array) => number
  readonly setNoDelay: (isOn: boolean) => void
  readonly end: () => void
  readonly close: () => void
  readonly reset: () => void
  /** Why it cannot be written. */
  readonly failure: () => Effect.Effect<never, ConnectionReset>
}

/** One per connection. What its effects do is decided when they run. */
export class ConnectionHandle implements Connection {
  readonly #live: Stream
  readonly #options: Place
  #read: Connection["read"] | undefined
  #write: Connection["write"] | undefined

  constructor(live: Stream, options: Place) {
    this.#live = live
    this.#options = options
  }

  get id(): number {
    return this.#options.id
  }

  get localPort(): Port {
    return this.#options.localPort
  }

  get remote(): Address {
    return this.#options.remote
  }

  get remotePort(): Port {
    return this.#options.remotePort
  }

  get read(): Connection["read"] {
    const live = this.#live
    this.#read ??= Effect.suspend(() => {
      const next = live.read()
      if (next === undefined)
        return Effect.andThen(
          live.readable.waitUnless(() => live.isReadable),
          this.read
        )
      return next instanceof Uint8Array ? Effect.succeed(next) : next
    })
    return this.#read
  }

  /** Also works apart from the handle, as its effects do: whoever adapts a connection passes it on as it is. */
  get write(): Connection["write"] {
    this.#write ??= (bytes) => writing(this.#live, bytes)
    return this.#write
  }

  get direct(): DirectStream {
    return this.#live
  }

  setNoDelay(isOn: boolean): Effect.Effect<void> {
    return Effect.sync(() => this.#live.setNoDelay(isOn))
  }

  get end(): Effect.Effect<void> {
    return Effect.sync(() => this.#live.end())
  }

  get close(): Effect.Effect<void> {
    return Effect.sync(() => this.#live.close())
  }

  get reset(): Effect.Effect<void> {
    return Effect.sync(() => this.#live.reset())
  }

  get closed(): Effect.Effect<void> {
    const live = this.#live
    return live.closed.waitUnless(() => live.isGone)
  }
}

const writing = (live: Stream, bytes: Uint8Array): Effect.Effect<void, ConnectionReset> =>
  Effect.suspend(() => {
    if (!live.canWrite) return live.failure()
    const accepted = live.write(bytes)
    if (accepted === bytes.length) return Effect.void
    return Effect.andThen(
      live.writable.waitUnless(() => live.isWritable),
      writing(live, bytes.subarray(accepted))
    )
  })

/**
 * The daemon's half of one overlay connection of a local client: bytes from the client wait here for the stream's send
 * buffer, and leave in order, the close after the last of them (node §1.3 rule 3). It outlives its client for exactly
 * that. Mutable, owned by one `IpcClientActor`.
 */
import { Effect, Latch } from "effect"
import { Signal } from "../../core/actor/Signal.ts"
import type { Connection, ConnectionReset } from "../node/Node.ts"

/** What a client has sent on one connection and the stream has not taken yet. */
export class IpcPipe {
  readonly connection: Connection
  /** The end of the receive side was reported; a Close is answered once, not twice (node §1.5). */
  hasEnded = false
  #pending: Array<Uint8Array> = []
  #sizeBytes = 0
  #isEnding = false
  #isClosing = false
  #isBroken = false
  /** `run` has nothing to write, and writes nothing. */
  #isIdle = false
  /** Wakes `run` at once: a frame is on its way to the network before the next one is looked at. */
  readonly #changed = new Signal()
  readonly #hasRoom = Latch.makeUnsafe(true)

  readonly #broken: (reason: ConnectionReset["reason"]) => void

  /** `broken` is told, once, why the stream takes no more of what the client sends. */
  constructor(connection: Connection, broken: (reason: ConnectionReset["reason"]) => void) {
    this.connection = connection
    this.#broken = broken
  }

  /**
   * Takes what the client sent; gives what to wait for while too much of it is unsent. Dropped after an end, a close or a
   * reset.
   */
  send(data: Uint8Array): Effect.Effect<void> | undefined {
    if (this.#isEnding || this.#isBroken || data.length === 0) return undefined
    if (this.#sizeBytes >= ROOM_BYTES)
      return Effect.andThen(
        this.#hasRoom.await,
        Effect.suspend(() => this.send(data) ?? Effect.void)
      )
    // What the stream takes at once needs nobody to be woken for it.
    const taken = this.#isIdle && this.#pending.length === 0 ? (this.connection.direct?.writeSome(data) ?? 0) : 0
    if (taken === data.length) return undefined
    const rest = taken === 0 ? data : data.subarray(taken)
    this.#pending.push(rest)
    this.#sizeBytes += rest.length
    if (this.#sizeBytes >= ROOM_BYTES) this.#hasRoom.closeUnsafe()
    this.#changed.raise()
    return undefined
  }

  /** Everything taken goes out first, then writing ends; reading goes on (wire §17). */
  end(): void {
    this.#isEnding = true
    this.#hasRoom.openUnsafe()
    this.#changed.raise()
  }

  /** Everything taken goes out first, then the stream is closed. */
  close(): void {
    this.#isEnding = true
    this.#isClosing = true
    this.#hasRoom.openUnsafe()
    this.#changed.raise()
  }

  /** Moves the bytes on; ends when the stream is closed or reset. */
  readonly run: Effect.Effect<void> = Effect.suspend(() => {
    const next = this.#pending.shift()
    this.#isIdle = next === undefined
    if (next !== undefined) {
      this.#sizeBytes -= next.length
      if (this.#sizeBytes < ROOM_BYTES) this.#hasRoom.openUnsafe()
      return Effect.andThen(
        Effect.catch(this.connection.write(next), ({ reason }) => Effect.sync(() => this.#break(reason))),
        this.run
      )
    }
    if (this.#isClosing) return this.connection.close
    const isEnding = this.#isEnding
    const woken = Effect.andThen(
      this.#changed.waitUnless(() => this.#pending.length > 0 || this.#isClosing || this.#isEnding !== isEnding),
      this.run
    )
    return isEnding ? Effect.andThen(this.connection.end, woken) : woken
  })

  /** The stream is dead: nothing more can be sent, and whoever waits for room need not. */
  #break(reason: ConnectionReset["reason"]): void {
    this.#isBroken = true
    this.#pending = []
    this.#sizeBytes = 0
    this.#hasRoom.openUnsafe()
    this.#broken(reason)
  }
}

/** Bytes of one connection that wait for its send buffer before the client's socket is no longer read. */
const ROOM_BYTES = 256 << 10

/** The client's half of one overlay connection over the IPC socket: what arrived and was not read yet. */
import { Cause, Effect, Latch } from "effect"
import { Signal } from "../../core/actor/Signal.ts"
import type { IpcError } from "./IpcError.ts"

/**
 * Bytes received and not read, over all connections of a client. While it is above its bound the client does not read
 * its socket, so that the daemon stops reading the streams and their windows close: the socket has no other signal.
 */
export class IpcBudget {
  readonly #hasRoom = Latch.makeUnsafe(true)
  #bufferedBytes = 0

  /** Waits until the client may read its socket again. */
  readonly hasRoom: Effect.Effect<void> = this.#hasRoom.await

  /** Counts what arrived. */
  take(sizeBytes: number): void {
    this.#bufferedBytes += sizeBytes
    if (this.#bufferedBytes > BUFFERED_BYTES_MAX) this.#hasRoom.closeUnsafe()
  }

  /** Counts what was read or dropped. */
  release(sizeBytes: number): void {
    this.#bufferedBytes -= sizeBytes
    if (this.#bufferedBytes <= BUFFERED_BYTES_MAX / 2) this.#hasRoom.openUnsafe()
  }
}

/** What has arrived for one connection. Mutable, owned by the client; one reader. */
export class IpcStream {
  readonly #budget: IpcBudget
  readonly #changed = new Signal()
  #chunks: Array<Uint8Array> = []
  #end: IpcError | Cause.Done | undefined
  #failure: IpcError | undefined

  constructor(budget: IpcBudget) {
    this.#budget = budget
  }

  /** The next chunk as the daemon sent it, never empty; then how the stream ended. */
  readonly read: Effect.Effect<Uint8Array, IpcError | Cause.Done> = Effect.suspend(() => {
    const chunk = this.#chunks.shift()
    if (chunk !== undefined) {
      this.#budget.release(chunk.length)
      return Effect.succeed(chunk)
    }
    if (this.#end !== undefined) return Effect.fail(this.#end)
    return Effect.andThen(
      this.#changed.waitUnless(() => this.#chunks.length > 0 || this.#end !== undefined),
      this.read
    )
  })

  /** No more will come. */
  get hasEnded(): boolean {
    return this.#end !== undefined
  }

  /** Why nothing can be written any more. */
  get failure(): IpcError | undefined {
    return this.#failure
  }

  /** It was reset; what arrived, an end included, can still be read. */
  reset(error: IpcError): void {
    this.#failure ??= error
    this.finish(error)
  }

  /** One `Recv`; `deliver` follows the last of them. */
  receive(chunk: Uint8Array): void {
    if (chunk.length === 0 || this.#end !== undefined) return
    this.#chunks.push(chunk)
    this.#budget.take(chunk.length)
  }

  /** Wakes the reader, at once. */
  deliver(): void {
    this.#changed.raise()
  }

  /** No more will come: the end of the stream, or the loss of the socket. What arrived can still be read. */
  finish(end: IpcError | Cause.Done = Cause.Done()): void {
    this.#end ??= end
    this.#changed.raise()
  }

  /** Nobody reads any more: gives back what is buffered. */
  discard(): void {
    for (const chunk of this.#chunks) this.#budget.release(chunk.length)
    this.#chunks = []
    this.finish()
  }
}

/** Above this the client stops reading its socket. */
const BUFFERED_BYTES_MAX = 16 << 20

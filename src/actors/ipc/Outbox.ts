/**
 * Frames on their way to one local client. Replies are always taken: their number is bounded by the requests in
 * progress. Whatever can wait (stream data, accepted streams) waits for room, which closes the window of its stream; a
 * datagram that finds no room is dropped (node §1.3 rule 6). Mutable, with one owner; one writer empties it.
 */
import { Effect, Latch } from "effect"
import { Signal } from "../../core/actor/Signal.ts"
import type { Turns } from "../../core/actor/Turns.ts"

/** The frames one client has not been sent yet. */
export class Outbox {
  #frames: Array<Uint8Array> = []
  #sizeBytes = 0
  #isScheduled = false
  readonly #hasFrames = new Signal()
  readonly #hasRoom = Latch.makeUnsafe(true)
  readonly #turns: Turns

  /** Frames of one turn leave together, at its end. */
  constructor(turns: Turns) {
    this.#turns = turns
  }

  /** Takes a frame in any case, in pieces or whole. The bytes must stay as they are. */
  push(...pieces: ReadonlyArray<Uint8Array>): void {
    for (const piece of pieces) {
      this.#frames.push(piece)
      this.#sizeBytes += piece.length
    }
    if (!this.#isScheduled && this.#hasFrames.isAwaited) {
      this.#isScheduled = true
      this.#turns.schedule(this.#flush)
    }
    if (this.#sizeBytes >= ROOM_BYTES) this.#hasRoom.closeUnsafe()
  }

  /** Takes a frame if there is room. */
  offer(...pieces: ReadonlyArray<Uint8Array>): boolean {
    if (this.#sizeBytes >= ROOM_BYTES) return false
    this.push(...pieces)
    return true
  }

  /** Completes when there is room. */
  readonly hasRoom: Effect.Effect<void> = this.#hasRoom.await

  /** Waits for room, then takes the frame. */
  send(frame: Uint8Array): Effect.Effect<void> {
    return Effect.suspend(() => (this.offer(frame) ? Effect.void : Effect.andThen(this.hasRoom, this.send(frame))))
  }

  /** The next frames, at least one and at most about `BATCH_BYTES`. */
  readonly take: Effect.Effect<readonly [Uint8Array, ...Array<Uint8Array>]> = Effect.suspend(() => {
    const [first, ...others] = this.#batch()
    return first === undefined
      ? Effect.andThen(
          this.#hasFrames.waitUnless(() => this.#frames.length > 0),
          this.take
        )
      : Effect.succeed([first, ...others] as const)
  })

  readonly #flush = (): void => {
    this.#isScheduled = false
    this.#hasFrames.raise()
  }

  #batch(): ReadonlyArray<Uint8Array> {
    let count = 0
    for (let sizeBytes = 0; count < this.#frames.length && sizeBytes < BATCH_BYTES; count++)
      sizeBytes += this.#frames[count]!.length
    const batch = count === this.#frames.length ? this.#frames : this.#frames.slice(0, count)
    this.#frames = count === this.#frames.length ? [] : this.#frames.slice(count)
    for (const frame of batch) this.#sizeBytes -= frame.length
    if (this.#sizeBytes < ROOM_BYTES) this.#hasRoom.openUnsafe()
    return batch
  }
}

/** Unsent bytes of one client above which everything but replies waits. */
const ROOM_BYTES = 256 << 10
/** One write to the socket; a client that reads at all takes this much within the write time-out. */
const BATCH_BYTES = 64 << 10

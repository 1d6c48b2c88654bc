/** Frames of the event stream out of a byte stream, one at a time; a long one needs room before it is read on. */
import { type Cause, Data, Effect } from "effect"
import { Deque } from "../../core/data/Deque.ts"
import * as DecodeError from "../../protocol/wire/DecodeError.ts"
import { type EventFrame, EventFrameSplitter } from "../../protocol/wire/EventFrame.ts"

/** The stream cannot be read on. */
export class BadFrame extends Data.TaggedError("BadFrame")<{ readonly detail: string }> {}

/** Room for one long frame, given back when the frame is not needed any more. */
export interface Room {
  readonly release: () => void
  /** How long the rest of the frame may take. */
  readonly timeoutMs: number
}

/** One reader of one stream; `close` gives back its room. */
export class FrameReader<E> {
  readonly #read: Effect.Effect<Uint8Array, E | Cause.Done>
  readonly #admit: ((sizeBytes: number) => Effect.Effect<Room, BadFrame>) | undefined
  readonly #splitter: EventFrameSplitter
  readonly #ready = new Deque<EventFrame>()
  #bad: BadFrame | undefined
  #room: Room | undefined

  constructor(
    read: Effect.Effect<Uint8Array, E | Cause.Done>,
    admit?: (sizeBytes: number) => Effect.Effect<Room, BadFrame>,
    payloadBytesMax?: number
  ) {
    this.#splitter = new EventFrameSplitter(payloadBytesMax)
    this.#read = read
    this.#admit = admit
  }

  /** The next frame, whose room is given back with the one after it. */
  readonly next: Effect.Effect<EventFrame, E | Cause.Done | BadFrame> = Effect.suspend(() => {
    const frame = this.#ready.shift()
    if (frame !== undefined) return Effect.succeed(frame)
    if (this.#splitter.frameBytes === 0) this.close()
    if (this.#bad !== undefined) return Effect.fail(this.#bad)
    return Effect.flatMap(this.#chunk(), (chunk) => this.#take(chunk))
  })

  /** Gives back the room of a frame under way. */
  close(): void {
    this.#room?.release()
    this.#room = undefined
  }

  #chunk(): Effect.Effect<Uint8Array, E | Cause.Done | BadFrame> {
    if (this.#room === undefined) return this.#read
    return Effect.timeoutOrElse(this.#read, {
      duration: this.#room.timeoutMs,
      orElse: () => Effect.fail(new BadFrame({ detail: "a frame takes too long" }))
    })
  }

  #take(chunk: Uint8Array): Effect.Effect<EventFrame, E | Cause.Done | BadFrame> {
    const { exceeded, frames } = this.#splitter.push(chunk)
    for (const frame of frames) this.#ready.push(frame)
    if (exceeded !== undefined) this.#bad = new BadFrame({ detail: DecodeError.format(exceeded) })
    const { frameBytes } = this.#splitter
    const isLong = frameBytes > LONG_BYTES && this.#room === undefined
    if (!isLong || this.#admit === undefined) return this.next
    return Effect.flatMap(this.#admit(frameBytes), (room) => {
      this.#room = room
      return this.next
    })
  }
}

/** Shorter frames need no room: a stream's own buffers hold more. */
const LONG_BYTES = 64 << 10

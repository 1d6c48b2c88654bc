/**
 * Frames of data exchange over a byte stream, for both ends (node §4.1). Large payloads are paid for before they are read:
 * whoever reads reserves their size first, so that many of them cannot fill the memory.
 */
import { Cause, Effect, Schema } from "effect"
import type { Duplex } from "../../core/net/Duplex.ts"
import { type DataFrame, DataFrameSplitter } from "../../protocol/wire/DataFrame.ts"

/** The other end announced a frame that is longer than any may be. */
export class FrameTooLong extends Schema.TaggedError<FrameTooLong>()("FrameTooLong", {
  announcedBytes: Schema.Finite
}) {}

/** The stream ended inside a frame. */
export class FrameCut extends Schema.TaggedError<FrameCut>()("FrameCut", {}) {}

/** A stream of frames. One reader, one writer. */
export interface FrameLink<E> {
  /** The next frame; `Cause.Done` when the stream ends after one. */
  readonly read: Effect.Effect<DataFrame, ReadError<E>>
  /** Whole frames, or parts of one, in order. */
  readonly write: (bytes: Uint8Array) => Effect.Effect<void, E>
  readonly end: Effect.Effect<void>
}

/** Why there is no next frame. */
export type ReadError<E> = E | Cause.Done | FrameTooLong | FrameCut

/** What is done before a frame of more than `RESERVE_BYTES_MIN` is read, with its size. */
export type Reserve = (sizeBytes: number) => Effect.Effect<void>

/** The frames of a stream. */
export const make = <E>({ end, read, write }: Duplex<E>, reserve: Reserve = () => Effect.void): FrameLink<E> => {
  const splitter = new DataFrameSplitter()
  let frames: ReadonlyArray<DataFrame> = []
  let taken = 0
  let isReserved = false
  let tooLong: number | undefined
  const chunk: Effect.Effect<Uint8Array, ReadError<E>> = Effect.catch(read, (error) =>
    Effect.fail<ReadError<E>>(Cause.isDone(error) && splitter.isInside ? new FrameCut() : error)
  )
  const take = (bytes: Uint8Array): Effect.Effect<DataFrame, ReadError<E>> => {
    const { exceeded, frames: completed } = splitter.push(bytes)
    frames = completed
    taken = 0
    // Told after the frames before it.
    if (exceeded !== undefined) tooLong = "actual" in exceeded ? exceeded.actual : 0
    return more
  }
  const more: Effect.Effect<DataFrame, ReadError<E>> = Effect.suspend(() => {
    if (taken < frames.length) {
      isReserved = false
      return Effect.succeed(frames[taken++]!)
    }
    if (tooLong !== undefined) return new FrameTooLong({ announcedBytes: tooLong })
    if (isReserved || splitter.announcedBytes <= RESERVE_BYTES_MIN) return Effect.flatMap(chunk, take)
    isReserved = true
    return Effect.andThen(reserve(splitter.announcedBytes), Effect.flatMap(chunk, take))
  })
  return { read: more, write, end }
}

/** Smaller frames come whole in a read or two. */
export const RESERVE_BYTES_MIN = 64 << 10

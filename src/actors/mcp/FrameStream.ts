/**
 * Relay frames over one byte stream (mcp §6.2). Whatever ends the stream is a `StreamLost`: a session outlives streams,
 * so nobody above needs to know more.
 */
import { Cause, Effect, Result, Schema } from "effect"
import type { Duplex } from "../../core/net/Duplex.ts"
import { FrameSplitter } from "../../protocol/relay/FrameSplitter.ts"
import { encode, Frame } from "../../protocol/relay/RelayFrame.ts"

/** The stream is over: it ended, it broke, or it carried something that is no frame. */
export class StreamLost extends Schema.TaggedError<StreamLost>()("StreamLost", {
  reason: Schema.Literals(["Ended", "Broken", "Malformed", "Violation", "Silent", "Displaced"]),
  detail: Schema.String
}) {}

/** Both directions of one stream. */
export interface FrameStream {
  /** The next frame; those that came with it stay for later. */
  readonly next: Effect.Effect<Frame, StreamLost>
  /** The frames that are there, or those of the next chunk; never none. */
  readonly read: Effect.Effect<ReadonlyArray<Frame>, StreamLost>
  /** Whole frames, already encoded. */
  readonly write: (bytes: Uint8Array) => Effect.Effect<void, StreamLost>
  /** One frame. */
  readonly send: (frame: Frame) => Effect.Effect<void, StreamLost>
  /** Nothing more will be written. */
  readonly end: Effect.Effect<void>
}

/** Frames over `duplex`; `head` are bytes already read from it. */
export const make = <E>(duplex: Duplex<E>, head: Uint8Array = new Uint8Array(0)): FrameStream => {
  const splitter = new FrameSplitter()
  let chunk: Uint8Array | undefined = head.length > 0 ? head : undefined
  let waiting: ReadonlyArray<Frame> = []
  const received = (bytes: Uint8Array): FrameStream["read"] => {
    const frames = splitter.push(bytes)
    if (Result.isFailure(frames)) return new StreamLost({ reason: "Malformed", detail: frames.failure.reason })
    return frames.success.length > 0 ? Effect.succeed(frames.success) : more
  }
  const more: FrameStream["read"] = Effect.flatMap(Effect.mapError(duplex.read, lost), received)
  const read: FrameStream["read"] = Effect.suspend(() => {
    if (waiting.length > 0) {
      const frames = waiting
      waiting = []
      return Effect.succeed(frames)
    }
    if (chunk === undefined) return more
    const bytes = chunk
    chunk = undefined
    return received(bytes)
  })
  const next = Effect.map(read, (frames) => {
    waiting = frames.slice(1)
    return frames[0] ?? Frame.Status({ status: { state: "" } })
  })
  const write = (bytes: Uint8Array) => Effect.mapError(duplex.write(bytes), lost)
  return { next, read, write, send: (frame) => write(encode(frame)), end: duplex.end }
}

/** What a failed read or write means. */
export const lost = (error: unknown): StreamLost =>
  Cause.isDone(error)
    ? new StreamLost({ reason: "Ended", detail: "the other side closed the stream" })
    : new StreamLost({ reason: "Broken", detail: error instanceof Error ? error.message : String(error) })

/**
 * One event stream of a legacy HTTP session (mcp §2.3, §6.5): what it said last, and who reads it. Mutable; owned by the
 * `EdgeSession`, which decides what it says.
 */
import { Cause, Effect, Latch, Stream } from "effect"
import * as EventLog from "../../../protocol/mcp/EventLog.ts"
import * as SseText from "../../../protocol/mcp/SseText.ts"

/** A stream. */
export interface EventStream {
  readonly id: number
  readonly log: EventLog.EventLog
  readonly wake: Latch.Latch
  /** The newest event that a reader has taken. */
  sent: number
  unanswered: number
  readers: number
  newestReader: number
  isDone: boolean
}

/** One that has said nothing, or what is kept of an earlier process. */
export const make = (id: number, log = new EventLog.EventLog(), isDone = false): EventStream => ({
  id,
  log,
  wake: Latch.makeUnsafe(false),
  sent: 0,
  unanswered: 0,
  readers: 0,
  newestReader: 0,
  isDone
})

/** Waits while the reader of a stream is far behind; `room` opens when one has read. */
export const waitForRoom = (stream: EventStream, room: Latch.Latch): Effect.Effect<void> =>
  Effect.gen(function* () {
    while (stream.readers > 0 && stream.log.bytesAfter(stream.sent) > BEHIND_BYTES_MAX) {
      room.closeUnsafe()
      yield* room.await
    }
  })

/**
 * The events after `from`, as they come, until the stream is done or the session over; a newer reader of the same stream
 * takes its place.
 */
export const follow = (
  stream: EventStream,
  from: number,
  room: Latch.Latch,
  isOver: () => boolean
): Stream.Stream<Uint8Array> =>
  Stream.suspend(() => {
    const reader = ++stream.newestReader
    let seq = from
    stream.readers++
    const pull: Effect.Effect<readonly [Uint8Array, ...Array<Uint8Array>], Cause.Done> = Effect.gen(function* () {
      while (true) {
        if (stream.newestReader !== reader) return yield* Cause.done()
        const [first, ...more] = stream.log.after(seq)
        if (first !== undefined) {
          const events = [first, ...more]
          seq = events[events.length - 1]?.seq ?? seq
          stream.sent = Math.max(stream.sent, seq)
          room.openUnsafe()
          return [textOf(stream, first), ...more.map((event) => textOf(stream, event))] as const
        }
        if (stream.isDone || isOver()) return yield* Cause.done()
        stream.wake.closeUnsafe()
        const woken = yield* Effect.timeoutOption(stream.wake.await, KEEP_ALIVE)
        if (woken._tag === "None") return [SseText.COMMENT] as const
      }
    })
    return Stream.fromPull(Effect.succeed(pull)).pipe(
      Stream.ensuring(
        Effect.sync(() => {
          stream.readers--
          room.openUnsafe()
        })
      )
    )
  })

const textOf = (stream: EventStream, { data, seq }: EventLog.LoggedEvent): Uint8Array =>
  SseText.message(data, EventLog.formatId(stream.id, seq))

/** What a slow reader of one stream may have before it (mcp §6.5). */
const BEHIND_BYTES_MAX = 4_194_304
const KEEP_ALIVE = "15 seconds"

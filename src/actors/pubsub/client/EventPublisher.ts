/**
 * Publishes to one broker, over any stream that was dialled to its port 1002. With a broker of ours every event is answered
 * with its sequence number once it is on disk; one of the reference answers nothing.
 */
import { type Cause, Deferred, Effect, Exit, Queue, Result, Schema, type Scope, Semaphore } from "effect"
import * as Bytes from "../../../core/data/Bytes.ts"
import { Deque } from "../../../core/data/Deque.ts"
import type { Duplex } from "../../../core/net/Duplex.ts"
import * as EventExtension from "../../../protocol/wire/EventExtension.ts"
import * as EventFrame from "../../../protocol/wire/EventFrame.ts"
import { type BadFrame, FrameReader } from "../FrameReader.ts"

/** An event may not have arrived, or did not. */
export class NotPublished extends Schema.TaggedError<NotPublished>()("NotPublished", {
  /** `Refused`: the broker did not take it. `Unknown`: the stream ended before the broker had answered. */
  reason: Schema.Literals(["Invalid", "Refused", "Unknown"]),
  detail: Schema.String
}) {
  override get message(): string {
    return this.detail
  }
}

/** An open publisher. */
export interface EventPublisher {
  /** The event's sequence number, when it is on the broker's disk. Many may be on their way at once. */
  readonly publish: (topic: string, data: Uint8Array) => Effect.Effect<number, NotPublished>
  /** The stream is gone: what is published now fails. */
  readonly isClosed: () => boolean
}

/** A publisher to a broker of ours, until the scope or the stream ends. */
export const make = Effect.fnUntraced(function* <E>(
  stream: Duplex<E>,
  nonce: string
): Effect.fn.Return<EventPublisher, E, Scope.Scope> {
  const waiting = new Deque<Deferred.Deferred<number, NotPublished>>()
  const room = yield* Semaphore.make(UNDER_WAY_MAX)
  // In the order of `waiting`, and whole, whoever leaves meanwhile: answers come in the order of the frames.
  const frames = yield* Queue.unbounded<Uint8Array>()
  let isClosed = false
  yield* stream.write(EventFrame.encode(Bytes.empty, EventExtension.encodeOffer({ _tag: "Publish", nonce })))
  const reader = new FrameReader(stream.read)
  const settled = (exit: Exit.Exit<number, NotPublished>) => {
    settle(waiting, exit)
    return Effect.asVoid(room.release(1))
  }
  const answer = Effect.flatMap(reader.next, ({ payload }) => {
    const message = EventExtension.decode(payload)
    if (Result.isFailure(message) || waiting.length === 0) return Effect.void
    if (message.success._tag === "Stored") return settled(Exit.succeed(message.success.sequence))
    return message.success._tag === "Refused" ? settled(refused(message.success.reason)) : Effect.void
  })
  const lose = Effect.suspend(() => {
    isClosed = true
    return Effect.whileLoop({ while: () => waiting.length > 0, body: () => settled(unknown), step: () => {} })
  })
  const writing = Effect.forever(Effect.flatMap(Queue.take(frames), stream.write))
  const over = Effect.raceFirst(Effect.ignore(writing), Effect.ignore(Effect.forever(answer)))
  yield* Effect.forkScoped(Effect.ensuring(over, lose), { startImmediately: true })
  return {
    isClosed: () => isClosed,
    publish: (topic, data) =>
      Effect.suspend(() => {
        const topicBytes = Bytes.fromUtf8(topic)
        const problem = problemWith(topicBytes, data)
        if (problem !== undefined) return problem
        const stored = Deferred.makeUnsafe<number, NotPublished>()
        const put = Effect.suspend(() => {
          waiting.push(stored)
          if (isClosed) return lose
          Queue.offerUnsafe(frames, EventFrame.encode(topicBytes, data))
          return Effect.void
        })
        return Effect.uninterruptibleMask((restore) =>
          restore(room.take(1)).pipe(Effect.andThen(put), Effect.andThen(restore(Deferred.await(stored))))
        )
      })
  }
})

/**
 * Publishes one event and ends the stream, as clients of the reference do, and waits for the broker's end: then it has
 * seen the event. The sequence number is undefined with a broker of the reference.
 */
export const publishOnce = Effect.fnUntraced(function* <E>(
  stream: Duplex<E>,
  topic: string,
  data: Uint8Array,
  nonce: string
): Effect.fn.Return<number | undefined, E | NotPublished | BadFrame> {
  const topicBytes = Bytes.fromUtf8(topic)
  const problem = problemWith(topicBytes, data)
  if (problem !== undefined) return yield* problem
  yield* stream.write(EventFrame.encode(topicBytes, EventExtension.encodeOffer({ _tag: "Publish", nonce })))
  yield* stream.write(EventFrame.encode(topicBytes, data))
  yield* stream.end
  const reader = new FrameReader(stream.read)
  let isExtended = false
  const next: Effect.Effect<number | undefined, E | NotPublished | BadFrame | Cause.Done> = Effect.flatMap(
    reader.next,
    ({ payload }) => {
      const answer = EventExtension.decodeAnswer(payload)
      isExtended ||= Result.isSuccess(answer) && answer.success.nonce === nonce
      const message = isExtended ? EventExtension.decode(payload) : undefined
      if (message === undefined || Result.isFailure(message)) return next
      if (message.success._tag === "Stored") return Effect.succeed(message.success.sequence)
      return message.success._tag === "Refused" ? refused(message.success.reason) : next
    }
  )
  return yield* Effect.catchTag(next, "Done", () => (isExtended ? unknown : Effect.succeed(undefined)))
})

const problemWith = (topic: Uint8Array, data: Uint8Array): Effect.Effect<never, NotPublished> | undefined => {
  if (topic.length > EventFrame.TOPIC_BYTES_MAX) return invalid("topic", EventFrame.TOPIC_BYTES_MAX)
  return data.length > EventFrame.PAYLOAD_BYTES_MAX ? invalid("data", EventFrame.PAYLOAD_BYTES_MAX) : undefined
}

const invalid = (what: string, bytesMax: number) =>
  Effect.fail(new NotPublished({ reason: "Invalid", detail: `the ${what} is longer than ${bytesMax} bytes` }))

const refused = (detail: string) => Exit.fail(new NotPublished({ reason: "Refused", detail }))

const unknown = Exit.fail(
  new NotPublished({ reason: "Unknown", detail: "the broker was lost before it had answered; it may have the event" })
)

const settle = (
  waiting: Deque<Deferred.Deferred<number, NotPublished>>,
  exit: Exit.Exit<number, NotPublished>
): void => {
  const next = waiting.shift()
  if (next !== undefined) Deferred.doneUnsafe(next, exit)
}

/** Events on their way to the broker, which takes as many of one connection into its log at once; more wait. */
const UNDER_WAY_MAX = 256

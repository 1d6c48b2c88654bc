/**
 * One subscription to one broker, over any stream that was dialled to its port 1002. With a broker of ours it knows its
 * place; with one of the reference it hears what is published while the stream lasts, and filters what that cannot.
 */
import { type Cause, Effect, Result } from "effect"
import * as Bytes from "../../../core/data/Bytes.ts"
import type { Duplex } from "../../../core/net/Duplex.ts"
import * as TopicPattern from "../../../protocol/pubsub/TopicPattern.ts"
import type { NodeId } from "../../../protocol/wire/Address.ts"
import * as EventExtension from "../../../protocol/wire/EventExtension.ts"
import * as EventFrame from "../../../protocol/wire/EventFrame.ts"
import { BadFrame, FrameReader } from "../FrameReader.ts"

/** What is asked for. */
export interface Wanted {
  readonly pattern: TopicPattern.TopicPattern
  /** The broker keeps the place of a consumer by its name and this node's key. */
  readonly consumer?: string | undefined
  readonly start: EventExtension.Start
  readonly policy: EventExtension.Policy
}

/** An event as it was heard. What brokers of the reference do not tell is undefined. */
export interface HeardEvent {
  readonly _tag: "Event"
  readonly topic: string
  readonly data: Uint8Array
  readonly sequence: number | undefined
  readonly publishedAtMs: number | undefined
  readonly publisher: NodeId | undefined
}

/** Everything that a broker tells. */
export type Item =
  | HeardEvent
  /** The broker is one of ours: what follows comes behind this position of this log. */
  | { readonly _tag: "Placed"; readonly log: string; readonly position: number }
  /** Events of these numbers are not kept any more. */
  | { readonly _tag: "Gap"; readonly first: number; readonly last: number }
  /** So many were left out, because this subscriber did not keep up. */
  | { readonly _tag: "Dropped"; readonly count: number }

/** An open subscription. One reader. */
export interface EventSubscription<E> {
  readonly next: Effect.Effect<Item, E | Cause.Done | BadFrame>
  /** Everything up to this number is done with; nothing to a broker of the reference. */
  readonly acknowledge: (sequence: number) => Effect.Effect<void, E>
}

/** Subscribes. `nonce` must be nobody's guess: it tells the broker's answer from events. */
export const make = Effect.fnUntraced(function* <E>(
  stream: Duplex<E>,
  wanted: Wanted,
  nonce: string
): Effect.fn.Return<EventSubscription<E>, E> {
  const { consumer, pattern, policy, start } = wanted
  const offer = EventExtension.encodeOffer({
    ...{ _tag: "Subscribe", nonce, filter: pattern.text, consumer, start, policy }
  })
  yield* stream.write(EventFrame.encode(Bytes.fromUtf8(TopicPattern.literal(pattern)), offer))
  const payloadBytesMax = EventFrame.PAYLOAD_BYTES_MAX + EventExtension.EVENT_HEAD_BYTES
  const reader = new FrameReader(stream.read, undefined, payloadBytesMax)
  let kind: "unknown" | "plain" | "extended" = "unknown"
  const item = (frame: EventFrame.EventFrame): Effect.Effect<Item | undefined, BadFrame> => {
    if (kind === "unknown") {
      const answer = EventExtension.decodeAnswer(frame.payload)
      const isAnswer = Result.isSuccess(answer) && answer.success.nonce === nonce
      kind = isAnswer ? "extended" : "plain"
      if (isAnswer) return Effect.succeed({ _tag: "Placed", ...placeIn(answer.success) })
    }
    return kind === "plain" ? Effect.succeed(plainItem(pattern, frame)) : extendedItem(frame)
  }
  const next: EventSubscription<E>["next"] = Effect.flatMap(Effect.flatMap(reader.next, item), (read) =>
    read === undefined ? next : Effect.succeed(read)
  )
  return {
    next,
    acknowledge: (sequence) =>
      kind === "extended"
        ? stream.write(EventFrame.encode(Bytes.empty, EventExtension.encode({ _tag: "Acknowledge", sequence })))
        : Effect.void
  }
})

const placeIn = ({ log, position }: EventExtension.Answer) => ({ log, position })

/** What passed the coarse filter of a broker of the reference; topics that are no text concern nobody. */
const plainItem = (pattern: TopicPattern.TopicPattern, frame: EventFrame.EventFrame): Item | undefined => {
  const topic = Bytes.toUtf8(frame.topic)
  if (topic === undefined || !TopicPattern.matches(pattern, TopicPattern.topic(topic))) return undefined
  const { payload: data } = frame
  return { _tag: "Event", topic, data, sequence: undefined, publishedAtMs: undefined, publisher: undefined }
}

/** Messages that this version does not know are passed over. */
const extendedItem = (frame: EventFrame.EventFrame): Effect.Effect<Item | undefined, BadFrame> => {
  const message = EventExtension.decode(frame.payload)
  if (Result.isFailure(message)) {
    return message.failure._tag === "UnknownType"
      ? Effect.succeed(undefined)
      : Effect.fail(new BadFrame({ detail: "the broker's message is not understood" }))
  }
  switch (message.success._tag) {
    case "Event":
      return Effect.succeed({ ...message.success, topic: Bytes.toUtf8Lossy(frame.topic) })
    case "Gap":
    case "Dropped":
      return Effect.succeed(message.success)
    default:
      return Effect.succeed(undefined)
  }
}

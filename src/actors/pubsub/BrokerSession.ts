/**
 * One connection to a broker. Its first frame subscribes (node §5); what follows are events, unless the first frame offered
 * our extension: then the connection either hears events, with its place in the log, or publishes them and is told when
 * they are stored (`EventExtension`).
 */
import { type Cause, Clock, Deferred, Effect, Exit, Result } from "effect"
import * as MonotonicTime from "../../core/actor/MonotonicTime.ts"
import { Signal } from "../../core/actor/Signal.ts"
import * as Bytes from "../../core/data/Bytes.ts"
import { TokenBucket } from "../../core/data/TokenBucket.ts"
import { Subscription } from "../../protocol/pubsub/Subscription.ts"
import * as TopicPattern from "../../protocol/pubsub/TopicPattern.ts"
import * as Address from "../../protocol/wire/Address.ts"
import * as EventExtension from "../../protocol/wire/EventExtension.ts"
import * as EventFrame from "../../protocol/wire/EventFrame.ts"
import type { Connection, ConnectionReset } from "../node/Node.ts"
import type { ArrivingFrames } from "./ArrivingFrames.ts"
import type { BrokerContext } from "./BrokerContext.ts"
import * as BrokerFeed from "./BrokerFeed.ts"
import * as BrokerPolicy from "./BrokerPolicy.ts"
import * as BrokerPublishing from "./BrokerPublishing.ts"
import type { JournalError, Place } from "./EventJournal.ts"
import { BadFrame, FrameReader } from "./FrameReader.ts"

/** One connection, with what is known of its peer. */
export interface Session {
  readonly context: BrokerContext
  readonly connection: Connection
  /** A number of its own, never 0. */
  readonly origin: number
  /** It is this node itself: its publications have no rate. */
  readonly isSelf: boolean
  /** The Ed25519 key of the peer, in hexadecimal: what the place of a named consumer is kept under. */
  readonly key: string
  readonly arriving: ArrivingFrames
  readonly subscribers: Map<number, Subscriber>
}

/** For the broker's status. */
export interface Subscriber {
  readonly remote: string
  readonly consumer: string
  readonly subscription: Subscription
}

/** Serves the connection until it ends. */
export const serve = (session: Session): Effect.Effect<void> => {
  const { arriving, connection, context } = session
  const reader = new FrameReader(connection.read, (sizeBytes) => arriving.admit(connection.remote.node, sizeBytes))
  const first = Effect.timeoutOrElse(reader.next, {
    duration: FIRST_FRAME_MS,
    orElse: () => Effect.fail(new BadFrame({ detail: "no subscription came" }))
  })
  return Effect.flatMap(first, (frame) => begin(session, reader, frame)).pipe(
    Effect.catchTags({
      Done: () => connection.close,
      ConnectionReset: () => Effect.void,
      BadFrame: ({ detail }) => {
        context.counters.malformed++
        return Effect.andThen(Effect.logDebug(`events: ${remoteOf(session)}: ${detail}`), connection.reset)
      },
      JournalError: ({ detail }) => Effect.andThen(Effect.logError(`events: ${detail}`), connection.reset)
    }),
    Effect.onInterrupt(() => connection.reset),
    Effect.ensuring(Effect.sync(() => reader.close()))
  )
}

type Failure = Cause.Done | ConnectionReset | BadFrame | JournalError
type Reader = FrameReader<ConnectionReset>

const begin = (session: Session, reader: Reader, frame: EventFrame.EventFrame): Effect.Effect<void, Failure> => {
  const topic = Bytes.toUtf8(frame.topic)
  if (topic === undefined) return Effect.fail(new BadFrame({ detail: "a filter that is no text" }))
  const offer = EventExtension.decodeOffer(frame.payload)
  // Who publishes to a broker of the reference subscribes too; what it may not hear it does not hear.
  if (Result.isFailure(offer)) return plain(session, reader, topic)
  if (offer.success._tag === "Subscribe") {
    if (!BrokerPolicy.mayHear(session, topic)) return session.connection.reset
    return subscribed(session, reader, frame.topic, offer.success)
  }
  const answer = answerFrame(session, frame.topic, offer.success.nonce, session.context.table.recent.last)
  return Effect.andThen(session.connection.write(answer), BrokerPublishing.serve({ ...session, reader }))
}

/** As a broker of the reference: it hears, and whatever it sends is published. */
const plain = Effect.fnUntraced(function* (session: Session, reader: Reader, topic: string) {
  const { connection, context, isSelf, origin } = session
  const clock = yield* Clock.Clock
  const rate = new TokenBucket(context.limits.rate, MonotonicTime.nowMsUnsafe(clock))
  const publish = Effect.flatMap(reader.next, ({ payload, topic: topicBytes }) => {
    const text = Bytes.toUtf8(topicBytes)
    if (text === undefined) {
      context.counters.malformed++
      return Effect.void
    }
    if (!isSelf && !rate.take(MonotonicTime.nowMsUnsafe(clock))) {
      context.counters.rateLimited++
      context.report({ _tag: "EventsRateLimited", remote: remoteOf(session), topic: text })
      return Effect.void
    }
    // A broker of the reference has no word for no.
    if (BrokerPolicy.refusal(session, text, payload.length) !== undefined) return Effect.void
    const settled = Deferred.makeUnsafe<void>()
    const publication = {
      ...{ topic: text, topicBytes, payload, origin },
      publisher: connection.remote.node,
      from: remoteOf(session),
      settle: () => Deferred.doneUnsafe(settled, Exit.void)
    }
    return Effect.andThen(context.publish(publication), Deferred.await(settled))
  })
  const offer = { filter: topic, consumer: undefined, policy: "drop" as const }
  yield* hearing(session, offer, context.table.recent.last, false, Effect.forever(publish))
})

type Wanted = Pick<Extract<EventExtension.Offer, { readonly _tag: "Subscribe" }>, "filter" | "consumer" | "policy">

const subscribed = Effect.fnUntraced(function* (
  session: Session,
  reader: Reader,
  topic: Uint8Array,
  offer: Extract<EventExtension.Offer, { readonly _tag: "Subscribe" }>
) {
  const { connection, context, key } = session
  const { consumer } = offer
  const position = yield* placeOf(session, offer)
  yield* connection.write(answerFrame(session, topic, offer.nonce, position))
  const acknowledged = Effect.flatMap(reader.next, ({ payload }) => {
    const message = EventExtension.decode(payload)
    if (Result.isFailure(message) || message.success._tag !== "Acknowledge")
      return Effect.fail(new BadFrame({ detail: "not an acknowledgement" }))
    const acknowledged = Math.min(message.success.sequence, context.table.recent.last)
    if (consumer !== undefined) context.acknowledge({ key, name: consumer, acknowledged })
    return Effect.void
  })
  yield* hearing(session, offer, position, true, Effect.forever(acknowledged))
})

/** A named consumer goes on where it was; its place is on disk before it hears anything. */
const placeOf = Effect.fnUntraced(function* (
  { context, key }: Session,
  { consumer, start }: Extract<EventExtension.Offer, { readonly _tag: "Subscribe" }>
) {
  const { journal, table } = context
  const known = consumer === undefined ? undefined : yield* context.place({ key, name: consumer })
  if (known !== undefined) return known
  const position =
    start._tag === "Now"
      ? table.recent.last
      : start._tag === "After" && start.log === journal.log
        ? Math.min(start.sequence, table.recent.last)
        : journal.first() - 1
  if (consumer === undefined) return position
  const place: Place = { key, name: consumer, acknowledged: position }
  yield* journal.remember([place], yield* Clock.currentTimeMillis)
  return position
})

/** Feeds the connection while `listening` reads it. */
const hearing = <E>(
  session: Session,
  wanted: Wanted,
  position: number,
  isExtended: boolean,
  listening: Effect.Effect<never, E>
): Effect.Effect<void, E | ConnectionReset | JournalError> => {
  const { connection, context, origin, subscribers } = session
  const ready = new Signal()
  const subscription = new Subscription({
    pattern: TopicPattern.parse(wanted.filter),
    policy: wanted.policy,
    origin,
    position,
    wake: () => context.wake(ready)
  })
  const remote = remoteOf(session)
  const enter = Effect.sync(() => {
    if (position < context.table.recent.last) {
      subscription.fallBehind(position)
      subscription.reached(position, context.table.recent)
    }
    context.table.add(subscription)
    subscribers.set(origin, { remote, consumer: wanted.consumer ?? "", subscription })
    context.report({ _tag: "EventSubscribed", topic: wanted.filter, remote })
  })
  const leave = Effect.sync(() => {
    context.table.remove(subscription)
    subscribers.delete(origin)
    context.unblocked.raise()
    context.report({ _tag: "EventUnsubscribed", topic: wanted.filter, remote })
  })
  const feed = BrokerFeed.run({
    ...{ context, subscription, connection, ready, isExtended },
    hears: BrokerPolicy.hears(session)
  })
  return Effect.acquireUseRelease(
    enter,
    () => Effect.raceFirst(feed, listening),
    () => leave
  )
}

const answerFrame = ({ context }: Session, topic: Uint8Array, nonce: string, position: number): Uint8Array =>
  EventFrame.encode(topic, EventExtension.encodeAnswer({ nonce, log: context.journal.log, position }))

/** `0:0000.0000.0002:49174`. */
export const remoteOf = ({ connection }: Pick<Session, "connection">): string =>
  Address.formatSocket({ address: connection.remote, port: connection.remotePort })

/** A client subscribes at once. */
const FIRST_FRAME_MS = 30_000

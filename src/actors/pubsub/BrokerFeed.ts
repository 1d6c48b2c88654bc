/**
 * Writes to one subscriber what it wants to hear: from memory while it keeps up, from the log while it does not. It holds
 * no more than one write; a subscriber that takes none for `stalledMs` is given up.
 */
import { Effect, Fiber } from "effect"
import type { Signal } from "../../core/actor/Signal.ts"
import * as Bytes from "../../core/data/Bytes.ts"
import type { RecentEvent, StoredEvent } from "../../protocol/pubsub/RecentEvents.ts"
import type { Subscription } from "../../protocol/pubsub/Subscription.ts"
import * as TopicPattern from "../../protocol/pubsub/TopicPattern.ts"
import * as EventExtension from "../../protocol/wire/EventExtension.ts"
import * as EventFrame from "../../protocol/wire/EventFrame.ts"
import { type Connection, ConnectionReset } from "../node/Node.ts"
import type { BrokerContext } from "./BrokerContext.ts"
import type { JournalError } from "./EventJournal.ts"

/** One subscriber. */
export interface Feed {
  readonly context: BrokerContext
  readonly subscription: Subscription
  readonly connection: Connection
  /** Raised by the subscription. */
  readonly ready: Signal
  /** The subscriber is one of ours: it is told of places, gaps and what was dropped. */
  readonly isExtended: boolean
  /** Whether the policy lets it hear an event of this topic. */
  readonly hears: (topic: string) => boolean
}

/** Goes on until the connection does not. */
export const run = (feed: Feed): Effect.Effect<never, ConnectionReset | JournalError> => {
  let toldDropped = 0
  const { context, ready, subscription } = feed
  const step = Effect.suspend((): Effect.Effect<void, ConnectionReset | JournalError> => {
    if (subscription.isBehind) return fromLog(feed)
    const events = subscription.take(context.table.recent, WRITE_BYTES)
    if (subscription.isBehind) return Effect.void
    const dropped = subscription.dropped - toldDropped
    toldDropped = subscription.dropped
    if (dropped > 0 && feed.isExtended)
      return Effect.andThen(tell(feed, { _tag: "Dropped", count: dropped }), deliver(feed, events))
    if (events.length > 0) return deliver(feed, events)
    return ready.waitUnless(() => subscription.pending > 0 || subscription.isBehind)
  })
  return Effect.forever(step)
}

const deliver = (feed: Feed, taken: ReadonlyArray<RecentEvent>): Effect.Effect<void, ConnectionReset> => {
  const { context, isExtended } = feed
  if (feed.subscription.policy === "block") context.unblocked.raise()
  const events = taken.filter(({ topic }) => feed.hears(topic.text))
  if (events.length === 0) return Effect.void
  context.counters.delivered += events.length
  const frames = events.map((event) => (isExtended ? event.extended : event.plain))
  return write(feed, frames.length === 1 ? frames[0]! : Bytes.concat(...frames))
}

/** The next part of the log; what retention has taken away is told. */
const fromLog = Effect.fnUntraced(function* (feed: Feed): Effect.fn.Return<void, ConnectionReset | JournalError> {
  const { context, subscription } = feed
  const { journal, table } = context
  const lost = journal.first() - 1 - subscription.position
  if (lost > 0) {
    const first = subscription.position + 1
    subscription.fallBehind(journal.first() - 1)
    yield* tell(feed, { _tag: "Gap", first, last: first + lost - 1 })
  }
  const isWanted = (topic: string) =>
    TopicPattern.matches(subscription.pattern, TopicPattern.topic(topic)) && feed.hears(topic)
  const { events, position } = yield* journal.read(subscription.position, isWanted, WRITE_BYTES)
  if (events.length > 0) {
    context.counters.delivered += events.length
    yield* write(feed, Bytes.concat(...events.map(extended)))
  }
  subscription.reached(position, table.recent)
  // The log is read synchronously, and everybody else has a turn between two parts.
  yield* Effect.yieldNow
})

const extended = (event: StoredEvent): Uint8Array => {
  const head = EventExtension.eventHead(event.sequence, event.publishedAtMs, event.publisher)
  return EventFrame.encode(Bytes.fromUtf8(event.topic), head, event.payload)
}

const tell = (feed: Feed, message: EventExtension.Message): Effect.Effect<void, ConnectionReset> =>
  write(feed, EventFrame.encode(Bytes.empty, EventExtension.encode(message)))

/** A stream with room takes everything at once, and needs no timer. */
const write = ({ connection, context }: Feed, bytes: Uint8Array): Effect.Effect<void, ConnectionReset> =>
  Effect.flatMap(Effect.forkChild(connection.write(bytes), { startImmediately: true }), (writing) => {
    const written = writing.pollUnsafe()
    if (written !== undefined) return written
    return Effect.timeoutOrElse(Fiber.join(writing), {
      duration: context.limits.stalledMs,
      orElse: () => Effect.andThen(connection.reset, Effect.fail(new ConnectionReset({ reason: "LocalAbort" })))
    })
  })

/** Of one write, about: enough to share packets, and little to hold. */
const WRITE_BYTES = 64 << 10

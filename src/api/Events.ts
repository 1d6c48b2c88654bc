/**
 * Events between agents (`docs/events.md`): publish on the own node, and hear this node and every peer that it trusts, so that
 * neither side has to know the other. An event that was acknowledged to its publisher is on disk, with a number; a named
 * consumer hears each at least once, also those that came while it was away.
 */
import { Effect, Schema, Stream } from "effect"
import type { FeedItem, Heard } from "../actors/pubsub/client/EventFeed.ts"
import * as Bytes from "../core/data/Bytes.ts"
import * as Address from "../protocol/wire/Address.ts"
import { Events, type EventsError, type SubscribeOptions } from "./EventsService.ts"

export { Events, EventsError, type SubscribeOptions } from "./EventsService.ts"

/** An event. */
export interface Event {
  readonly _tag: "Event"
  readonly topic: string
  readonly data: Uint8Array
  /** The data as text. */
  readonly text: string
  /** Whose broker it was heard from, `0:0000.0000.0002`. */
  readonly broker: string
  /** Its place in that broker's log, which duplicates share; none from a broker of the reference, like what follows. */
  readonly sequence: number | undefined
  readonly publishedAtMs: number | undefined
  /** Who published it: the broker's own node, or a peer of it. */
  readonly publisher: string | undefined
}

/** Everything that a subscription tells. */
export type Update =
  | Event
  /** Its events are heard from now on. */
  | { readonly _tag: "Joined"; readonly broker: string }
  /** It is not reached, for now, or not trusted any more. */
  | { readonly _tag: "Left"; readonly broker: string; readonly detail: string }
  /** The broker does not keep these any more. */
  | { readonly _tag: "Gap"; readonly broker: string; readonly first: number; readonly last: number }
  /** The broker has left out so many (policy `drop`). */
  | { readonly _tag: "Dropped"; readonly broker: string; readonly count: number }
  /** The broker has lost its log and begun another: what it published meanwhile may be lost. */
  | { readonly _tag: "LogChanged"; readonly broker: string }

/**
 * Publishes an event. Text and bytes are sent as they are, anything else as JSON. Gives the event's sequence number once it is
 * on disk; undefined when `to` names a peer whose broker is of the reference, which does not tell.
 */
export const publish = (
  topic: string,
  data: unknown,
  options?: { readonly to?: string }
): Effect.Effect<number | undefined, EventsError, Events> =>
  Effect.flatMap(Events, (events) => events.publish(topic, bytesOf(data), options))

/**
 * Events whose topic matches: `data.done` that one, `data.*` whatever begins so, `*` all (`docs/events.md`). Goes on through
 * breaks and restarts of either side until it is stopped; what is lost nevertheless is logged. With `consumer`, an event counts
 * as heard when the next one is asked for, or when the stream was run to its end without failing.
 */
export const subscribe = (pattern: string, options: SubscribeOptions = {}): Stream.Stream<Event, EventsError, Events> =>
  watch(pattern, options).pipe(
    Stream.tap((update) => (LOSSES.has(update._tag) ? Effect.logWarning("events were lost", update) : Effect.void)),
    Stream.filter((update) => update._tag === "Event")
  )

/** The same with everything else that is told: brokers that come and go, gaps, and what was left out. */
export const watch = (pattern: string, options: SubscribeOptions = {}): Stream.Stream<Update, EventsError, Events> =>
  Stream.scoped(
    Stream.fromPull(
      Effect.gen(function* () {
        const events = yield* Events
        const next = yield* events.follow(pattern, options)
        let last: Heard | undefined
        const done = Effect.suspend(() => {
          const heard = last
          last = undefined
          return heard?.acknowledge ?? Effect.void
        })
        yield* Effect.addFinalizer((exit) => (exit._tag === "Success" ? done : Effect.void))
        const take = Effect.map(next, (heard) => {
          last = heard
          return [updateOf(heard)] as const
        })
        return Effect.andThen(done, take)
      })
    )
  )

/** The data of an event as a schema has it, from JSON. */
export const decode =
  <A, I>(schema: Schema.Codec<A, I>) =>
  (event: Event): Effect.Effect<A, Schema.SchemaError> =>
    Schema.decodeUnknownEffect(Schema.fromJsonString(schema))(event.text)

/** An event or a notice as it is told. */
export const updateOf = ({ broker, item }: { readonly broker: Address.NodeId; readonly item: FeedItem }): Update => {
  const from = addressOf(broker)
  if (item._tag !== "Event") return { ...item, broker: from }
  const { data, publishedAtMs, publisher, sequence, topic } = item
  return {
    ...{ _tag: "Event", topic, data, broker: from, sequence, publishedAtMs },
    get text() {
      return Bytes.toUtf8Lossy(data)
    },
    publisher: publisher === undefined ? undefined : addressOf(publisher)
  }
}

const addressOf = (node: Address.NodeId): string => Address.format(Address.make(0, node))

const bytesOf = (data: unknown): Uint8Array => {
  if (data instanceof Uint8Array) return data
  return Bytes.fromUtf8(typeof data === "string" ? data : JSON.stringify(data ?? null))
}

const LOSSES: ReadonlySet<Update["_tag"]> = new Set(["Gap", "Dropped", "LogChanged"])

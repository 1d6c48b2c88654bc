/** The `Events` service: publish to the own broker, hear others. `Events.ts` is its face for users. */
import { Context, Effect, Exit, Schema, Scope, Semaphore } from "effect"
import * as EventFeed from "../actors/pubsub/client/EventFeed.ts"
import * as EventPublisher from "../actors/pubsub/client/EventPublisher.ts"
import * as Bytes from "../core/data/Bytes.ts"
import type { Duplex } from "../core/net/Duplex.ts"
import * as TopicPattern from "../protocol/pubsub/TopicPattern.ts"
import { NodeId } from "../protocol/wire/Address.ts"
import type { Policy, Start } from "../protocol/wire/EventExtension.ts"
import * as EventFrame from "../protocol/wire/EventFrame.ts"
import type { Pilot } from "./PilotService.ts"

/** An event was not published, or a broker cannot be heard. */
export class EventsError extends Schema.TaggedError<EventsError>()("EventsError", {
  /**
   * `Invalid`: the topic or the data cannot be sent. `Refused`: the broker did not take it. `Unconfirmed`: the broker was lost
   * before it had answered, and may have it. `Unreachable`: no broker answers, or no daemon.
   */
  reason: Schema.Literals(["Invalid", "Refused", "Unconfirmed", "Unreachable"]),
  detail: Schema.String
}) {
  override get message(): string {
    return this.detail
  }
}

/** What is wanted of whom. */
export interface SubscribeOptions {
  /** One peer, by hostname, address or node id. Without it: this node itself and every peer that it trusts. */
  readonly from?: string
  /**
   * Each broker keeps the place of this consumer, by this name and this node's key, so that it misses nothing while it is
   * away, as long as the broker keeps the events. Two programs of a node that hear the same need two names.
   */
  readonly consumer?: string
  /** Where it begins: with what is published from now on, unless told otherwise. Of a known consumer the broker knows. */
  readonly since?: "now" | "earliest"
  /** What happens when it does not keep up; `replay` from the broker's log unless told otherwise. */
  readonly policy?: Policy
}

/** Publishes and hears. */
export class Events extends Context.Service<
  Events,
  {
    /** On this node's own broker, or on that of a peer; see `Events.publish`. */
    readonly publish: (
      topic: string,
      data: Uint8Array,
      options?: { readonly to?: string }
    ) => Effect.Effect<number | undefined, EventsError>
    /** What is heard next, until the scope ends; see `Events.watch`. */
    readonly follow: (
      pattern: string,
      options: SubscribeOptions
    ) => Effect.Effect<Effect.Effect<EventFeed.Heard>, EventsError, Scope.Scope>
  }
>()("effect-pilot/api/Events") {}

/** The service on any `Pilot`: brokers are reached through streams, that of the own node as well. */
export const make = Effect.fnUntraced(function* (
  pilot: Pilot["Service"],
  randomBytes: (sizeBytes: number) => Uint8Array
): Effect.fn.Return<Events["Service"], never, Scope.Scope> {
  const nonce = () => Bytes.toHex(randomBytes(NONCE_BYTES))
  const dial = (target: string): Effect.Effect<Duplex<EventFeed.Failure>, EventsError, Scope.Scope> =>
    Effect.mapError(
      Effect.map(pilot.dial(target, EventFrame.PORT), ({ duplex }) => duplex),
      unreachable
    )
  const network: EventFeed.Network<EventsError> = {
    brokers: Effect.mapError(
      Effect.zipWith(pilot.info, pilot.trusted, ({ node }, peers) => [
        NodeId(node),
        ...peers.map((peer) => NodeId(peer.node))
      ]),
      unreachable
    ),
    dial: (node) => dial(String(node)),
    randomBytes
  }
  const own = yield* ownPublisher(
    Effect.flatMap(Effect.mapError(pilot.info, unreachable), ({ node }) =>
      Effect.flatMap(dial(String(node)), (stream) => EventPublisher.make(stream, nonce()))
    )
  )
  const publish: Events["Service"]["publish"] = (topic, data, options) => {
    if (options?.to === undefined)
      return Effect.mapError(
        Effect.flatMap(own, (publisher) => publisher.publish(topic, data)),
        publishError
      )
    const once = Effect.flatMap(dial(options.to), (stream) => EventPublisher.publishOnce(stream, topic, data, nonce()))
    return Effect.mapError(Effect.scoped(once), publishError)
  }
  return {
    publish: Effect.fn("Events.publish")(publish),
    follow: Effect.fn("Events.follow")(function* (pattern, { consumer, from, policy = "replay", since = "now" }) {
      const start: Start = { _tag: since === "earliest" ? "Earliest" : "Now" }
      const node = from === undefined ? undefined : yield* Effect.mapError(pilot.resolve(from), unreachable)
      const wanted = { pattern: TopicPattern.parse(pattern), consumer, start, policy }
      const options = node === undefined ? wanted : { ...wanted, from: NodeId(node.node) }
      return yield* Effect.mapError(EventFeed.follow(network, options), unreachable)
    })
  }
})

/** One stream to the own broker for all that this program publishes, opened when it is needed. */
const ownPublisher = Effect.fnUntraced(function* <E>(
  open: Effect.Effect<EventPublisher.EventPublisher, E, Scope.Scope>
) {
  const scope = yield* Effect.scope
  const oneAtATime = yield* Semaphore.make(1)
  let current: { readonly publisher: EventPublisher.EventPublisher; readonly scope: Scope.Closeable } | undefined
  return Effect.suspend(() => {
    if (current !== undefined && !current.publisher.isClosed()) return Effect.succeed(current.publisher)
    return oneAtATime.withPermit(
      Effect.gen(function* () {
        if (current !== undefined && !current.publisher.isClosed()) return current.publisher
        if (current !== undefined) yield* Scope.close(current.scope, Exit.void)
        current = undefined
        const own = yield* Scope.fork(scope)
        const publisher = yield* Scope.provide(open, own).pipe(Effect.onError(() => Scope.close(own, Exit.void)))
        current = { publisher, scope: own }
        return publisher
      })
    )
  })
})

const unreachable = ({ message }: EventFeed.Failure) => new EventsError({ reason: "Unreachable", detail: message })

const publishError = (error: EventsError | EventFeed.Failure): EventsError => {
  if (error instanceof EventsError) return error
  if (!(error instanceof EventPublisher.NotPublished)) return unreachable(error)
  return new EventsError({ reason: error.reason === "Unknown" ? "Unconfirmed" : error.reason, detail: error.detail })
}

const NONCE_BYTES = 16

/**
 * The broker of a node (node §5): one log, one table of subscribers.
 *
 * Owns the table, the log and the connections to port 1002. Told by its connections and by the node's own programs what is
 * published and acknowledged; tells subscribers through their connections. All publications of one turn are stored in one
 * transaction, then told, then acknowledged. Mailbox full: publishers wait. What fails in the log is told to its publisher;
 * a defect restarts the actor with the same table, three times a minute. Who may reach the port is the node's decision
 * (security rule 3).
 */
import { Clock, Data, Deferred, Effect, Exit, Result, type Scope } from "effect"
import * as Actor from "../../core/actor/Actor.ts"
import * as MonotonicTime from "../../core/actor/MonotonicTime.ts"
import { Signal } from "../../core/actor/Signal.ts"
import * as Bytes from "../../core/data/Bytes.ts"
import type { ProtocolEvent } from "../../protocol/ProtocolEvent.ts"
import { BrokerTable } from "../../protocol/pubsub/BrokerTable.ts"
import { RecentEvent } from "../../protocol/pubsub/RecentEvents.ts"
import * as TopicPattern from "../../protocol/pubsub/TopicPattern.ts"
import * as Address from "../../protocol/wire/Address.ts"
import * as EventFrame from "../../protocol/wire/EventFrame.ts"
import { Node, type PortInUse } from "../node/Node.ts"
import { type Guard, PolicyGuard } from "../policy/PolicyGuard.ts"
import type { PeerKeys } from "../trust/PeerKeys.ts"
import { type Broker, type BrokerStatus, PublishError } from "./Broker.ts"
import * as BrokerContext from "./BrokerContext.ts"
import * as BrokerListener from "./BrokerListener.ts"
import type { Subscriber } from "./BrokerSession.ts"
import type { ConsumerId, EventJournal, Place } from "./EventJournal.ts"
import * as Journal from "./EventJournal.ts"

/** What may be told to the actor. */
export type Message = Data.TaggedEnum<{
  Publish: { readonly publication: BrokerContext.Publication }
  /** A place waits to be written. */
  Acknowledged: {}
}>
/** Constructors of `Message`. */
export const Message = Data.taggedEnum<Message>()

/** What a broker is made from. */
export interface Options {
  readonly journal: EventJournal
  readonly limits?: Partial<BrokerContext.Limits>
  readonly report: (event: ProtocolEvent) => void
}

/** Serves port 1002 in the surrounding scope. */
export const spawn = Effect.fn("BrokerActor.spawn")(function* (
  options: Options
): Effect.fn.Return<Broker["Service"], PortInUse, Node | PeerKeys | Scope.Scope> {
  const node = yield* Node
  const state = makeState(options, yield* PolicyGuard)
  const ref = yield* Actor.spawn<Message, never, never>({
    name: "broker",
    mailbox: { capacity: MAILBOX_CAPACITY, overflow: "backpressure" },
    start: Effect.map(Clock.Clock, (clock) => handlers(state, clock)),
    restart: { intensity: 3, periodMs: 60_000 },
    onExit: () => Effect.sync(() => abandon(state))
  })
  yield* Effect.addFinalizer(() => flush(state))
  const { journal } = state
  const context: BrokerContext.BrokerContext = {
    ...state,
    wake: (ready) => void state.woken.add(ready),
    publish: (publication) => {
      state.open.add(publication)
      return Effect.catch(ref.tell(Message.Publish({ publication })), () => Effect.sync(() => abandon(state)))
    },
    acknowledge: (place) => {
      keep(state, place)
      ref.tellUnsafe(Message.Acknowledged())
    },
    place: (consumer) =>
      Effect.map(journal.place(consumer), (stored) => {
        const kept = state.places.get(idOf(consumer))?.acknowledged
        return kept === undefined ? stored : Math.max(kept, stored ?? 0)
      })
  }
  const subscribers = yield* BrokerListener.spawn(context)
  return {
    publish: (topic, payload) => publish(context, node, topic, payload),
    status: Effect.sync(() => statusOf(state, subscribers))
  }
})

interface State extends Omit<BrokerContext.BrokerContext, "wake" | "publish" | "acknowledge" | "place"> {
  /** Publications that are not settled. */
  readonly open: Set<BrokerContext.Publication>
  readonly batch: Array<BrokerContext.Publication>
  /** To be woken when a batch is there for all of them. */
  readonly woken: Set<Signal>
  /** Places that are not on disk, by consumer. */
  readonly places: Map<string, Place>
  placesDueAtMs: number
}

const makeState = ({ journal, limits, report }: Options, guard: Guard): State => {
  const merged = { ...LIMITS, ...limits }
  return {
    limits: merged,
    journal,
    report,
    guard,
    table: new BrokerTable({ countMax: merged.recentMax, bytesMax: merged.recentBytesMax }, journal.last()),
    counters: BrokerContext.counters(),
    unblocked: new Signal(),
    open: new Set(),
    batch: [],
    woken: new Set(),
    places: new Map(),
    placesDueAtMs: Number.POSITIVE_INFINITY
  }
}

const handlers = (state: State, clock: Clock.Clock): Actor.Handlers<Message, never, never> => ({
  receive: (message) => {
    if (message._tag === "Publish") state.batch.push(message.publication)
    else state.placesDueAtMs = Math.min(state.placesDueAtMs, MonotonicTime.nowMsUnsafe(clock) + PLACES_INTERVAL_MS)
  },
  afterBatch: () => (state.batch.length === 0 ? undefined : store(state)),
  deadlineMs: () => state.placesDueAtMs,
  timerFired: () => flush(state)
})

/** A consumer acknowledges often; its place is written once in a while, because to hear an event twice is no loss. */
const keep = (state: State, place: Place): void => {
  const id = idOf(place)
  const before = state.places.get(id)
  if (before === undefined || before.acknowledged < place.acknowledged) state.places.set(id, place)
}

const idOf = ({ key, name }: ConsumerId): string => `${key} ${name}`

const flush = Effect.fnUntraced(function* (state: State) {
  state.placesDueAtMs = Number.POSITIVE_INFINITY
  if (state.places.size === 0) return
  const places = [...state.places.values()]
  state.places.clear()
  const kept = state.journal.remember(places, yield* Clock.currentTimeMillis)
  yield* Effect.catch(kept, ({ detail }) => Effect.logError(`events: places of consumers were not kept: ${detail}`))
})

const store = (state: State): Effect.Effect<void> => {
  const batch = state.batch.splice(0)
  const outcome = { _tag: "NotStored", detail: "the broker failed unexpectedly" } as const
  return Effect.onError(storeBatch(state, batch), () =>
    Effect.sync(() => {
      for (const publication of batch) settle(state, publication, outcome)
    })
  )
}

const storeBatch = Effect.fnUntraced(function* (state: State, batch: ReadonlyArray<BrokerContext.Publication>) {
  yield* waitForBlocking(state, batch)
  const publishedAtMs = yield* Clock.currentTimeMillis
  const events = batch.map(({ payload, publisher, topic }) => ({ topic, payload, publisher, publishedAtMs }))
  const stored = yield* Effect.result(state.journal.append(events))
  if (Result.isFailure(stored)) {
    state.counters.notStored += batch.length
    yield* Effect.logError(`events: ${batch.length} could not be stored: ${stored.failure.detail}`)
    for (const publication of batch) settle(state, publication, { _tag: "NotStored", detail: stored.failure.detail })
    return
  }
  batch.forEach((publication, index) => {
    const sequence = stored.success + index
    const { from, origin, payload, publisher, topic, topicBytes } = publication
    state.table.publish(new RecentEvent({ sequence, topic, payload, publisher, publishedAtMs }, topicBytes, origin))
    state.report({ _tag: "EventPublished", topic, sizeBytes: payload.length, from })
  })
  state.counters.published += batch.length
  const woken = [...state.woken]
  state.woken.clear()
  for (const ready of woken) ready.raise()
  for (const [index, publication] of batch.entries())
    settle(state, publication, { _tag: "Stored", sequence: stored.success + index })
})

/** At most `blockMs`; who has not taken anything until then goes on from the log like everybody else. */
const waitForBlocking = (state: State, batch: ReadonlyArray<BrokerContext.Publication>): Effect.Effect<void> => {
  const topics = [...new Set(batch.map(({ topic }) => topic))].map(TopicPattern.topic)
  const blocking = () => topics.flatMap((topic) => state.table.blocking(topic, state.limits.blockPendingMax))
  const isFree = () => blocking().length === 0
  const free: Effect.Effect<void> = Effect.suspend(() =>
    isFree() ? Effect.void : Effect.andThen(state.unblocked.waitUnless(isFree), free)
  )
  return Effect.suspend(() =>
    isFree()
      ? Effect.void
      : Effect.timeoutOrElse(free, {
          duration: state.limits.blockMs,
          orElse: () =>
            Effect.sync(() => {
              for (const one of blocking()) one.fallBehind(one.position)
            })
        })
  )
}

const settle = (state: State, publication: BrokerContext.Publication, outcome: BrokerContext.Outcome): void => {
  if (state.open.delete(publication)) publication.settle(outcome)
}

/** The broker is gone, and with it what was told to it. */
const abandon = (state: State): void => {
  for (const publication of [...state.open]) settle(state, publication, { _tag: "NotStored", detail: STOPPED })
}

const publish = Effect.fn("Broker.publish")(function* (
  context: BrokerContext.BrokerContext,
  node: Node["Service"],
  topic: string,
  payload: Uint8Array
) {
  const topicBytes = Bytes.fromUtf8(topic)
  const problem =
    topicBytes.length > EventFrame.TOPIC_BYTES_MAX
      ? `the topic is longer than ${EventFrame.TOPIC_BYTES_MAX} bytes`
      : payload.length > EventFrame.PAYLOAD_BYTES_MAX
        ? `the data is longer than ${EventFrame.PAYLOAD_BYTES_MAX} bytes`
        : undefined
  if (problem !== undefined) return yield* new PublishError({ reason: "Invalid", detail: problem })
  const address = yield* node.address
  const settled = Deferred.makeUnsafe<number, PublishError>()
  yield* context.publish({
    ...{ topic: topic.toWellFormed(), topicBytes, payload, publisher: address.node, origin: 0 },
    from: Address.formatSocket({ address, port: Address.Port(0) }),
    settle: (outcome) => Deferred.doneUnsafe(settled, exitOf(outcome))
  })
  return yield* Deferred.await(settled)
})

const exitOf = (outcome: BrokerContext.Outcome): Exit.Exit<number, PublishError> => {
  if (outcome._tag === "Stored") return Exit.succeed(outcome.sequence)
  const reason = outcome.detail === STOPPED ? "Stopped" : "NotStored"
  return Exit.fail(new PublishError({ reason, detail: outcome.detail }))
}

const statusOf = (state: State, subscribers: ReadonlyMap<number, Subscriber>): BrokerStatus => ({
  log: state.journal.log,
  first: state.journal.first(),
  last: state.journal.last(),
  sizeBytes: state.journal.sizeBytes(),
  subscribers: [...subscribers.values()].map(({ consumer, remote, subscription }) => ({
    ...{ remote, consumer, pattern: subscription.pattern.text, policy: subscription.policy },
    pending: subscription.pending,
    dropped: subscription.dropped,
    isBehind: subscription.isBehind
  })),
  counters: { ...state.counters }
})

/** What a broker allows unless told otherwise. */
export const LIMITS: BrokerContext.Limits = {
  retention: Journal.RETENTION,
  recentMax: 4_096,
  recentBytesMax: 32 << 20,
  connectionsMax: 2_048,
  connectionsPerPeerMax: 256,
  blockPendingMax: 1_024,
  blockMs: 5_000,
  stalledMs: 60_000,
  rate: { capacity: 200, perSecond: 100 },
  arrivingBytesMax: 64 << 20,
  arrivingBytesPerPeerMax: 33 << 20,
  arrivingMs: 60_000
}
const MAILBOX_CAPACITY = 256
const PLACES_INTERVAL_MS = 500
const STOPPED = "the node is stopping"

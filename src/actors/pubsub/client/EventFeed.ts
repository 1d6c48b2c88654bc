/**
 * Hears events from many brokers as one: this node's own and that of every trusted peer, as they come and go, or one. Each
 * has a fiber that dials it, goes on where it was after a break, and tries again, later each time, while it does not answer.
 * What was heard waits in one short queue; while nobody takes from it the brokers wait.
 */
import { Cause, Effect, Exit, Fiber, Queue, Random, Scope, Semaphore } from "effect"
import * as Backoff from "../../../core/data/Backoff.ts"
import * as Bytes from "../../../core/data/Bytes.ts"
import type { Duplex } from "../../../core/net/Duplex.ts"
import type { NodeId } from "../../../protocol/wire/Address.ts"
import * as EventSubscription from "./EventSubscription.ts"

/** How the feed reaches brokers. */
export interface Network<E extends Failure> {
  /** This node's own number and those of the peers that it trusts. */
  readonly brokers: Effect.Effect<ReadonlyArray<NodeId>, E>
  /** A stream to port 1002. */
  readonly dial: (node: NodeId) => Effect.Effect<Duplex<Failure>, E, Scope.Scope>
  readonly randomBytes: (sizeBytes: number) => Uint8Array
}

/** Something with a sentence for people. */
export interface Failure {
  readonly message: string
}

/** What is heard, and from whom. */
export interface Heard {
  readonly broker: NodeId
  readonly item: FeedItem
  /** The consumer is done with everything of this broker up to this event. */
  readonly acknowledge: Effect.Effect<void>
}

/** What a feed tells beside what its brokers do. */
export type FeedItem =
  | Exclude<EventSubscription.Item, { readonly _tag: "Placed" }>
  /** Its events are heard from now on. */
  | { readonly _tag: "Joined" }
  /** It is not reached any more, for now, or not trusted. */
  | { readonly _tag: "Left"; readonly detail: string }
  /** It has another log than before: what it published meanwhile may be lost. */
  | { readonly _tag: "LogChanged" }

/** What is wanted, and from whom. */
export interface Options extends EventSubscription.Wanted {
  /** Only this broker; its first dial must succeed. */
  readonly from?: NodeId | undefined
}

/** Follows the brokers until the scope ends; gives what is heard next. With `from`, fails if that cannot be dialled now. */
export const follow = Effect.fnUntraced(function* <E extends Failure>(
  network: Network<E>,
  options: Options
): Effect.fn.Return<Effect.Effect<Heard>, E | Failure, Scope.Scope> {
  const scope = yield* Effect.scope
  const heard = yield* Queue.bounded<Heard>(HEARD_MAX)
  const dials = yield* Semaphore.make(DIALS_MAX)
  const sourceOf = (broker: NodeId): Source<E> => ({ network, options, broker, dials, scope, heard })
  if (options.from !== undefined) {
    const source = sourceOf(options.from)
    const first = yield* open(source)
    yield* Effect.forkScoped(keepUp(source, first))
    return Queue.take(heard)
  }
  const start = (broker: NodeId) => Effect.forkIn(keepUp(sourceOf(broker), undefined), scope)
  yield* Effect.forkScoped(watch(network, start, heard), { startImmediately: true })
  return Queue.take(heard)
})

/** One broker, and how far this feed has come with it; mutable. */
interface Source<E extends Failure> {
  readonly network: Network<E>
  readonly options: Options
  readonly broker: NodeId
  readonly dials: Semaphore.Semaphore
  readonly scope: Scope.Scope
  readonly heard: Queue.Queue<Heard>
  log?: string
  /** The newest event that was passed on, and the newest that the consumer is done with. */
  last?: number
  acknowledged?: number
  isJoined?: boolean
  /** While it is open. */
  subscription?: EventSubscription.EventSubscription<Failure> | undefined
}

/** Starts with those trusted now, and looks again every second. A daemon that is away comes back. */
const watch = <E extends Failure>(
  network: Network<E>,
  start: (broker: NodeId) => Effect.Effect<Fiber.Fiber<never>>,
  heard: Queue.Queue<Heard>
): Effect.Effect<never> => {
  const running = new Map<NodeId, Fiber.Fiber<never>>()
  const look = Effect.gen(function* () {
    const brokers = new Set((yield* network.brokers).slice(0, BROKERS_MAX))
    for (const [broker, fiber] of running) {
      if (brokers.has(broker)) continue
      running.delete(broker)
      yield* Fiber.interrupt(fiber)
      const item = { _tag: "Left", detail: "it is not trusted any more" } as const
      yield* Queue.offer(heard, { broker, item, acknowledge: Effect.void })
    }
    for (const broker of brokers) if (!running.has(broker)) running.set(broker, yield* start(broker))
  })
  return Effect.forever(Effect.andThen(Effect.ignore(look), Effect.sleep(WATCH_INTERVAL_MS)))
}

interface Open {
  readonly subscription: EventSubscription.EventSubscription<Failure>
  readonly close: Effect.Effect<void>
}

/** Dials and subscribes, in a scope of its own. */
const open = Effect.fnUntraced(function* <E extends Failure>(source: Source<E>): Effect.fn.Return<Open, E | Failure> {
  const { broker, dials, last, log, network, options, scope } = source
  const own = yield* Scope.fork(scope)
  const close = Scope.close(own, Exit.void)
  const start =
    last === undefined || log === undefined ? options.start : ({ _tag: "After", sequence: last, log } as const)
  const nonce = Bytes.toHex(network.randomBytes(NONCE_BYTES))
  const subscribed = Effect.gen(function* () {
    const stream = yield* dials.withPermit(Scope.provide(network.dial(broker), own))
    if (options.consumer !== undefined) yield* Scope.addFinalizer(own, finished(stream))
    return yield* EventSubscription.make(stream, { ...options, start }, nonce)
  })
  return { subscription: yield* Effect.onError(subscribed, () => close), close }
})

/** The broker has taken what was acknowledged when it ends its side, too: the consumer's next stream must not be faster. */
const finished = (stream: Duplex<Failure>): Effect.Effect<void> =>
  Effect.andThen(stream.end, Effect.forever(stream.read)).pipe(Effect.timeout(FINISH_MS), Effect.ignore)

const keepUp = <E extends Failure>(source: Source<E>, first: Open | undefined): Effect.Effect<never> => {
  let failures = 0
  let given = first
  const opened = Effect.suspend(() => {
    const ready = given
    given = undefined
    return ready === undefined ? open(source) : Effect.succeed(ready)
  })
  const use = Effect.fnUntraced(function* ({ subscription }: Open) {
    failures = 0
    source.subscription = subscription
    source.isJoined = false
    // A broker of the reference does not say that it has understood.
    const late = yield* Effect.forkChild(Effect.delay(join(source), JOIN_MS))
    const end = yield* Effect.flip(Effect.forever(hear(source, subscription)))
    yield* Fiber.interrupt(late)
    source.subscription = undefined
    yield* tell(source, { _tag: "Left", detail: Cause.isDone(end) ? "it ended the stream" : textOf(end) })
  })
  const attempt = Effect.flatMap(opened, (current) => Effect.ensuring(use(current), current.close))
  const pause = Effect.flatMap(Random.next, (random) => Effect.sleep(Backoff.delayMs(BACKOFF, failures++, random)))
  return Effect.forever(Effect.andThen(Effect.ignore(attempt), pause))
}

const hear = Effect.fnUntraced(function* <E extends Failure>(
  source: Source<E>,
  subscription: EventSubscription.EventSubscription<Failure>
) {
  const item = yield* subscription.next
  if (item._tag === "Placed") {
    yield* placed(source, subscription, item.log, item.position)
    return yield* join(source)
  }
  yield* join(source)
  if (item._tag === "Gap") source.last = Math.max(source.last ?? 0, item.last)
  if (item._tag !== "Event" || item.sequence === undefined) return yield* tell(source, item)
  const { sequence } = item
  // After a break a consumer is sent what it had not acknowledged; it was passed on before.
  if (source.last !== undefined && sequence <= source.last) return
  source.last = sequence
  yield* Queue.offer(source.heard, { broker: source.broker, item, acknowledge: acknowledge(source, sequence) })
})

/** Told when the broker has answered: what is published from now on is heard. */
const join = <E extends Failure>(source: Source<E>): Effect.Effect<void> =>
  Effect.suspend(() => {
    if (source.isJoined) return Effect.void
    source.isJoined = true
    return tell(source, { _tag: "Joined" })
  })

/** Numbers mean something within one log only. */
const placed = Effect.fnUntraced(function* <E extends Failure>(
  source: Source<E>,
  subscription: EventSubscription.EventSubscription<Failure>,
  log: string,
  position: number
) {
  const isOther = source.log !== undefined && source.log !== log
  if (source.log !== log) {
    source.log = log
    source.last = position
    delete source.acknowledged
  }
  source.last ??= position
  if (isOther) yield* tell(source, { _tag: "LogChanged" })
  const { acknowledged } = source
  if (acknowledged !== undefined && acknowledged > position) yield* subscription.acknowledge(acknowledged)
})

const acknowledge = <E extends Failure>(source: Source<E>, sequence: number): Effect.Effect<void> =>
  Effect.suspend(() => {
    if (source.options.consumer === undefined || sequence <= (source.acknowledged ?? 0)) return Effect.void
    source.acknowledged = sequence
    // What a break takes along is said again when the broker is back.
    return source.subscription === undefined ? Effect.void : Effect.ignore(source.subscription.acknowledge(sequence))
  })

const tell = <E extends Failure>({ broker, heard }: Source<E>, item: FeedItem): Effect.Effect<void> =>
  Effect.asVoid(Queue.offer(heard, { broker, item, acknowledge: Effect.void }))

const textOf = (error: unknown): string =>
  typeof error === "object" && error !== null && "message" in error ? String(error.message) : String(error)

/** Brokers followed at once; the rest of a longer trust list is not heard. */
export const BROKERS_MAX = 4_096
/** What was heard and not taken. */
const HEARD_MAX = 64
/** Dials under way at once. */
const DIALS_MAX = 16
const WATCH_INTERVAL_MS = 1_000
/** How long a consumer that leaves waits for its broker. */
const FINISH_MS = 1_000
/** A broker of ours answers sooner, also a busy one on a bad path: who is told too early misses what comes next. */
const JOIN_MS = 10_000
const NONCE_BYTES = 16
const BACKOFF = { initialMs: 250, factor: 2, maxMs: 30_000, jitter: 0.5 }

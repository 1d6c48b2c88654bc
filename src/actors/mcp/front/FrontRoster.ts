/**
 * Which services this node may use now (mcp §6.11): every trusted peer is asked again and again. A peer that cannot be reached
 * keeps its services for a while, marked as down; one that answers without a service has taken it away.
 *
 * Owns what the peers said last; asks a few at a time, those that are down less and less often.
 */
import { Clock, Deferred, Effect, PubSub, Result, type Scope, Semaphore, Stream } from "effect"
import * as MonotonicTime from "../../../core/actor/MonotonicTime.ts"
import type { Duplex } from "../../../core/net/Duplex.ts"
import * as FederatedName from "../../../protocol/mcp/FederatedName.ts"
import type { ListedService } from "../../../protocol/relay/ServiceListing.ts"
import { AGAIN_MS, FORGET_MS, SOON_MS } from "../client/PeerPatience.ts"
import * as ServiceLister from "../client/ServiceLister.ts"
import type { CannotReach } from "../mount/ShimFailure.ts"
import type { Target } from "../Target.ts"

/** A service with the alias under which it is served. */
export interface KnownService {
  readonly alias: string
  readonly target: Target
  readonly title: string
  readonly isUp: boolean
}

/** The services, live. */
export interface FrontRoster {
  /** In the order of their aliases. */
  readonly services: () => ReadonlyArray<KnownService>
  /** Emits when `services` gives something else. */
  readonly changes: Stream.Stream<void>
  /**
   * Completes when every peer has answered, is remembered, or failed: twice if it failed soon, since a command asks only now.
   */
  readonly ready: Effect.Effect<void>
}

/** Where the services come from. */
export interface Options<E> {
  /** Names of the trusted peers, as `dial` takes them. Fails while the node cannot be asked. */
  readonly peers: Effect.Effect<ReadonlyArray<string>, unknown>
  /** A stream to the MCP port of a peer. */
  readonly dial: (peer: string) => Effect.Effect<Duplex<E>, CannotReach, Scope.Scope>
  readonly hash: FederatedName.Hash
  /** Aliases that the owner chose, by `PEER/SERVICE`. */
  readonly aliases?: ReadonlyMap<string, string>
  /** Only these services, whether their peers list them or not; undefined for all that are listed. */
  readonly only?: ReadonlyArray<Target>
  /** What the peers listed before; absent: nothing is remembered, and everybody waits for their answers. */
  readonly memory?: RosterMemory
}

/** What peers listed when they were last asked, by their names. Nothing in it fails. */
export interface RosterMemory {
  readonly load: Effect.Effect<ReadonlyMap<string, ReadonlyArray<ListedService>>>
  readonly save: (listed: ReadonlyMap<string, ReadonlyArray<ListedService>>) => Effect.Effect<void>
}

/** A roster in the surrounding scope. */
export const make = Effect.fnUntraced(function* <E>(
  options: Options<E>
): Effect.fn.Return<FrontRoster, never, Scope.Scope> {
  const clock = yield* Clock.Clock
  const nowMs = () => MonotonicTime.nowMsUnsafe(clock)
  const told = yield* PubSub.sliding<void>(1)
  const peers = new Map<string, PeerState>()
  const { dial, hash, memory, only } = options
  const ready = yield* Deferred.make<void>()
  const asking = yield* Semaphore.make(ASKED_AT_ONCE)
  const scope = yield* Effect.scope
  let services: ReadonlyArray<KnownService> = []
  const remembered = yield* memory?.load ?? Effect.succeed(NOTHING)

  const remember = Effect.suspend(() => {
    const asked = [...peers].filter(([, { wasAsked }]) => wasAsked)
    const listed = new Map(asked.map(([peer, state]) => [peer, state.listed]))
    // Of those that have not answered yet, what is known stays.
    for (const [peer, services] of remembered) if (peers.has(peer) && !listed.has(peer)) listed.set(peer, services)
    return memory?.save(listed) ?? Effect.void
  })

  const publish = Effect.suspend(() => {
    const next = named(
      [...peers].flatMap(([peer, state]) => knownOf(peer, state)),
      options,
      hash
    )
    const isSame = JSON.stringify(next) === JSON.stringify(services)
    services = next
    return isSame ? Effect.void : Effect.asVoid(PubSub.publish(told, undefined))
  })

  const askOne = Effect.fnUntraced(function* (peer: string, state: PeerState) {
    const answer = yield* Effect.result(asking.withPermit(ServiceLister.ask(dial(peer))))
    state.wasAsked = true
    // An older keeper answers nothing at all: it is up, and what is asked of it by name may still be there. One that is
    // only slow may have services.
    const isOlder = Result.isFailure(answer) && answer.failure._tag === "NoListing" && !answer.failure.isLate
    const isUp = Result.isSuccess(answer) || (isOlder && state.listed.length === 0)
    if (isUp) {
      const before = JSON.stringify(state.listed)
      state.listed = Result.isSuccess(answer) ? answer.success : []
      state.downSinceMs = undefined
      state.failures = 0
      state.dueAtMs = nowMs() + UP_INTERVAL_MS
      state.isRemembered = false
      if (JSON.stringify(state.listed) !== before) yield* remember
    } else {
      state.downSinceMs ??= nowMs()
      state.dueAtMs = nowMs() + Math.min(DOWN_INTERVAL_MAX_MS, DOWN_INTERVAL_MS * 2 ** state.failures++)
    }
    yield* publish
  })

  const askFirst = Effect.fnUntraced(function* (peer: string, state: PeerState) {
    const startedAtMs = nowMs()
    yield* askOne(peer, state)
    if (state.downSinceMs === undefined || nowMs() - startedAtMs > SOON_MS) return
    state.dueAtMs = Number.POSITIVE_INFINITY
    yield* Effect.sleep(AGAIN_MS)
    yield* askOne(peer, state)
  })

  const round = Effect.gen(function* () {
    const wanted = only === undefined ? yield* options.peers : only.map(({ peer }) => peer)
    const trusted = new Set(wanted.slice(0, PEERS_MAX))
    for (const peer of [...peers.keys()]) if (!trusted.has(peer)) peers.delete(peer)
    for (const state of peers.values()) {
      if (state.downSinceMs !== undefined && nowMs() - state.downSinceMs >= FORGET_MS) state.listed = []
    }
    yield* publish
    const due: Array<Effect.Effect<void>> = []
    for (const peer of trusted) {
      const state = peers.get(peer) ?? fresh(remembered.get(peer), memory !== undefined && only !== undefined)
      if (state.dueAtMs > nowMs()) continue
      // Until the answer comes.
      state.dueAtMs = Number.POSITIVE_INFINITY
      peers.set(peer, state)
      due.push(state.wasAsked ? askOne(peer, state) : askFirst(peer, state))
    }
    yield* publish
    const isKnown = ({ downSinceMs, isRemembered, wasAsked }: PeerState) =>
      isRemembered || (wasAsked && downSinceMs === undefined)
    if ([...peers.values()].every(isKnown)) {
      yield* Deferred.succeed(ready, undefined)
    }
    // By other fibers: a peer that does not answer must not keep the others waiting.
    yield* Effect.all(due, { concurrency: "unbounded", discard: true }).pipe(
      Effect.andThen(Deferred.succeed(ready, undefined)),
      Effect.forkIn(scope)
    )
  })

  const knownOf = (peer: string, { downSinceMs, isRemembered, listed, wasAsked }: PeerState): ReadonlyArray<Known> => {
    // One that is remembered is believed to be there until it has been asked.
    const isUp = downSinceMs === undefined && (wasAsked || isRemembered)
    if (only === undefined) return listed.map(({ name, title }) => ({ target: { peer, service: name }, title, isUp }))
    return only
      .filter((target) => target.peer === peer)
      .map((target) => ({ target, title: listed.find(({ name }) => name === target.service)?.title ?? "", isUp }))
  }

  yield* round.pipe(
    Effect.catch((error) => Effect.logDebug("mcp: the trusted peers are not known", error)),
    Effect.andThen(Effect.sleep(ROUND_INTERVAL)),
    Effect.forever,
    Effect.forkScoped
  )
  return {
    services: () => services,
    changes: Stream.fromPubSub(told),
    ready: Deferred.await(ready)
  }
})

type Known = Omit<KnownService, "alias">

interface PeerState {
  listed: ReadonlyArray<ListedService>
  /** Undefined while it answers. */
  downSinceMs: number | undefined
  failures: number
  dueAtMs: number
  wasAsked: boolean
  /** What is listed is from before. */
  isRemembered: boolean
}

const fresh = (listed: ReadonlyArray<ListedService> | undefined, isNamed: boolean): PeerState => ({
  listed: listed ?? [],
  downSinceMs: undefined,
  failures: 0,
  dueAtMs: 0,
  wasAsked: false,
  isRemembered: listed !== undefined || isNamed
})

const NOTHING: ReadonlyMap<string, ReadonlyArray<ListedService>> = new Map()

/** With aliases, no two the same: who comes later in the order of targets gets a mark. */
const named = <E>(
  known: ReadonlyArray<Known>,
  { aliases }: Options<E>,
  hash: FederatedName.Hash
): ReadonlyArray<KnownService> => {
  const taken = new Set<string>()
  return known
    .map((service) => ({ service, origin: `${service.target.peer}/${service.target.service}` }))
    .toSorted((a, b) => (a.origin < b.origin ? -1 : 1))
    .slice(0, SERVICES_MAX)
    .map(({ origin, service }) => {
      const wanted = aliases?.get(origin) ?? FederatedName.alias(service.target.peer, service.target.service, hash)
      const alias = taken.has(wanted) ? FederatedName.distinct(wanted, origin, hash) : wanted
      taken.add(alias)
      return { alias, ...service }
    })
    .toSorted((a, b) => (a.alias < b.alias ? -1 : 1))
}

/** Services of one front, and peers that are asked for them. */
const SERVICES_MAX = 256
const PEERS_MAX = 256
const ASKED_AT_ONCE = 8
/** How often there is a look at who is due. */
const ROUND_INTERVAL = "2 seconds"
const UP_INTERVAL_MS = 15_000
/** The first wait for a peer that is down; it doubles. */
const DOWN_INTERVAL_MS = 5000
const DOWN_INTERVAL_MAX_MS = 60_000
